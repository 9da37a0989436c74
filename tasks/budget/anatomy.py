"""What a model is made of, read off its structure and its graphs: each fact is found once, and no weight is read."""

from dataclasses import dataclass
from functools import cached_property

import mlx.core as mx
import mlx.nn as nn

from tasks.attention import alone_cache, segment_attention
from tasks.attention.isolation import ALONE
from tasks.budget.recurrent import Loop, loop_of
from tasks.loss import Loss
from tasks.model.family import blocks, model_type, projections
from tasks.model.head import Head, find_head, vocabulary
from tasks.step.forward import Forward, compute_dtype


@dataclass(frozen=True)
class Anatomy:
    """A model and what everybody who predicts its memory asks of it. It is made once a model and handed down.

    Whatever computes must prove what is only believed here: the head (`find_head`) and whether rows of one example may
    go blockwise (`honours_alone`). A fact is found when it is first asked for, and kept.

    Attributes:
        model: the base with the adapter attached, its arrays lazy.

    Example:
        >>> from mlx_lm.models.qwen3 import Model, ModelArgs
        >>> anatomy = Anatomy(Model(ModelArgs(model_type="qwen3", hidden_size=8, num_hidden_layers=2,
        ...     intermediate_size=16, num_attention_heads=2, rms_norm_eps=1e-6, vocab_size=32, num_key_value_heads=1,
        ...     max_position_embeddings=64, rope_theta=1e4, head_dim=4, tie_word_embeddings=True)))
        >>> anatomy.family, len(anatomy.blocks), anatomy.vocabulary, anatomy.loop, anatomy.alone
        ('qwen3', 2, 32, None, True)
    """

    model: nn.Module

    @property
    def family(self) -> str:
        """Its name, such as `qwen3`."""
        return model_type(self.model)

    @cached_property
    def blocks(self) -> list[nn.Module]:
        """The transformer blocks, in order."""
        return blocks(self.model)[1]

    @cached_property
    def widths(self) -> list[int]:
        """For each block, how many numbers its projections read and make for a position."""
        return [sum(sum(linear["weight"].shape[-2:]) for linear in projections(b).values()) for b in self.blocks]

    @cached_property
    def vocabulary(self) -> int:
        """Entries of the smallest embedding: ids below it are valid."""
        return vocabulary(self.model)

    @cached_property
    def head(self) -> Head | None:
        """Where the hidden states end, as the shapes say; None where there is no clean split."""
        return find_head(self.model, prove=False)

    @cached_property
    def loop(self) -> Loop | None:
        """The loop over positions that a recurrent model runs; None where every position is computed at once."""
        return loop_of(self.model)

    @cached_property
    def alone(self) -> bool:
        """Whether rows of one example go blockwise, as `honours_alone` finds by computing.

        A model whose attention is not mlx-lm's own raises on our cache while its graph is built. The two agreed on the
        families of mlx-lm 0.32.2 that they were both asked about; nine are in the tests.
        """
        model = self.model
        dtype, ids = compute_dtype(model), mx.zeros((1, ALONE), mx.int32)
        with segment_attention(model):
            try:
                for way in ("causal", "blockwise"):
                    model(ids, cache=alone_cache(model, ALONE, dtype, way=way))
            except Exception:  # an exotic model may fail in any way; all mean the same
                return False
        return True

    def forward(self, loss: Loss, *, chunk: int | None, split: bool = False, usual: float | None = None) -> Forward:
        """How losses are computed, as `choose_forward` chooses it, but that no weight is read to prove it."""
        head = self.head if chunk is not None and self.head is not None and self.head.frozen else None
        return Forward(self.model, loss, head, chunk=chunk or 1, split=split, usual=usual, alone=self.alone)
