"""Interfaces of what mlx-lm gives: a causal language model, the caches of a call, and what a cache can do."""

from typing import Any, Protocol

import mlx.core as mx

Caches = list[Any]
"""The caches of one call, an entry for each layer: mlx-lm's own or ours, a list of those, None for a layer without."""


class BatchCache(Protocol):
    """The cache of one layer for several sequences, some of which may leave while others join.

    Attributes:
        state: a tree of arrays, each of a row a sequence.
    """

    state: Any

    def filter(self, batch_indices: list[int]) -> None:
        """Keeps the sequences at these places."""

    def extend(self, other: Any) -> None:
        """Takes in the sequences of another cache of the same kind."""


class KeyValueCache(Protocol):
    """The cache of one layer of attention.

    Attributes:
        keys: [B, N, T, D], of N key heads; None before the first call.
        values: [B, N, T, E].
    """

    keys: mx.array | None
    values: mx.array | None


class CausalLM(Protocol):
    """Token ids [B, T] -> logits [B, T, V], of which those at a position depend on no later one.

    Every model of mlx-lm is one, and an `nn.Module`: what only runs a model asks for this, what looks inside for that.

    Example:
        >>> from mlx_lm.models.qwen3 import Model, ModelArgs
        >>> model: CausalLM = Model(ModelArgs(model_type="qwen3", hidden_size=8, num_hidden_layers=1,
        ...     intermediate_size=16, num_attention_heads=2, rms_norm_eps=1e-6, vocab_size=32, num_key_value_heads=1,
        ...     max_position_embeddings=64, rope_theta=1e4, head_dim=4, tie_word_embeddings=True))
        >>> model(mx.array([[1, 2, 3]])).shape
        (1, 3, 32)
    """

    def __call__(self, inputs: mx.array, /, *, cache: Caches | None = None) -> mx.array:
        """The logits, in the dtype that the model computes in."""
        ...
