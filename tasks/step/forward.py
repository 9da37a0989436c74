"""Computes the loss of a batch where it counts: attention inside each example, the head at supervised positions.

With a head that was found and proven at the start (`find_head`), hidden states are gathered at the positions that the
loss counts, and go through the head chunk by chunk; without one, all logits are computed. Rows of several examples get
an attention that keeps the examples apart.
"""

# Shapes: B rows, T positions, D hidden size, V vocabulary, N positions whose hidden states go through the head.

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from tasks.attention import alone_cache, choose_way, honours_alone, packed_cache, segment_attention
from tasks.batch import Batch, Rows
from tasks.device.backend import backend
from tasks.loss import Loss, LossSum
from tasks.loss.chunked import chunked_loss, gather_supervised
from tasks.model.activations import own_activations
from tasks.model.causal_lm import Caches
from tasks.model.family import model_type
from tasks.model.head import Head, find_head, vocabulary
from tasks.model.unpacked import unpacked_products

SAMPLE = 256
"""Examples from which `usual_share` estimates how much of a row is supervised."""

log = logging.getLogger(__name__)
Boundaries = tuple[tuple[int, ...], ...]
"""Where the segments of each row start, and its end."""

Arrays = dict[str, Any]
"""A batch as MLX arrays by name; the names present decide how its loss is computed. `boundaries` is a tuple of ints."""


class Forward:
    """Computes the loss of a batch, as sum and count.

    Args:
        model: ids [B, T] -> logits [B, T, V], causal.
        loss: what is summed; its `supervised_only` decides between supervised targets and every real one.
        head: the model's two parts, or None for full logits.
        chunk: the most positions whose logits are alive at a time.
        split: run attention example by example in packed rows: the least work, but each set of boundaries is a graph
            of its own, so it is for steps that are not compiled.
        usual: N is padded to this share of B * T, or to all of B * T where more positions count, so that a compiled
            step has two graphs a shape; None pads nothing. See `usual_share`.
        alone: whether rows of one example may go blockwise; None asks the model, which reads its weights.

    Example:
        >>> from mlx_lm.models.qwen3 import Model, ModelArgs
        >>> from tasks.batch import make_batch
        >>> from tasks.loss import MaskedCrossEntropy
        >>> from tasks.model.head import find_head
        >>> model = Model(ModelArgs(model_type="qwen3", hidden_size=8, num_hidden_layers=1, intermediate_size=16,
        ...     num_attention_heads=2, rms_norm_eps=1e-6, vocab_size=32, num_key_value_heads=1,
        ...     max_position_embeddings=64, rope_theta=1e4, head_dim=4, tie_word_embeddings=True))
        >>> _ = model.freeze()
        >>> batch = make_batch([[(np.array([5, 6, 7]), np.array([0, 0, 1.0]))]], [0])
        >>> plain, fast = Forward(model, MaskedCrossEntropy()), Forward(model, MaskedCrossEntropy(), find_head(model))
        >>> abs(plain(plain.arrays(batch)).mean.item() - fast(fast.arrays(batch)).mean.item()) < 1e-5
        True
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        head: Head | None = None,
        *,
        chunk: int = 1024,
        split: bool = False,
        usual: float | None = None,
        alone: bool | None = None,
    ):
        assert head is None or head.frozen, "a head that is trained needs full logits"
        self.model, self.loss, self.head, self.chunk = model, loss, head, chunk
        self.dtype, self._split, self._usual = compute_dtype(model), split, usual
        self._alone = honours_alone(model, vocabulary(model)) if alone is None else alone
        if not self._alone:
            log.info(
                "%s uses its own attention kernel: memory grows with the square of the row length", model_type(model)
            )

    def arrays(self, batch: Batch) -> Arrays:
        """The batch as arrays; the N positions that count by their flat index b * T + t, padded as `usual` says."""
        weights_BT = batch.weights_BT if self.loss.supervised_only else batch.real_BT
        arrays: Arrays = {"inputs": mx.array(batch.inputs_BT)}
        if batch.packed:
            arrays["segments"] = mx.array(batch.segments_BT)
            if self._split:
                arrays["boundaries"] = tuple(_boundaries(row) for row in batch.segments_BT)
        if self.head is None:
            return {**arrays, "targets": mx.array(batch.targets_BT), "weights": mx.array(weights_BT)}
        # Counted here, in NumPy: the number of counted positions is a shape, and no shape may depend on an array's
        # content inside a graph. The padding repeats position 0 under weight 0, so it adds neither loss nor gradient.
        counted = np.flatnonzero(weights_BT)
        index_N = np.zeros(_filled(len(counted), weights_BT.size, self._usual), np.int32)
        index_N[: len(counted)] = counted
        weights_N = weights_BT.reshape(-1)[index_N]
        weights_N[len(counted) :] = 0
        targets_N = batch.targets_BT.reshape(-1)[index_N]
        return {**arrays, "index": mx.array(index_N), "targets": mx.array(targets_N), "weights": mx.array(weights_N)}

    def __call__(self, arrays: Arrays, *, backward: bool = True) -> LossSum:
        """The loss over the batch, as sum and count; to be called inside `training_kernels(model)`.

        Args:
            arrays: the result of `arrays`.
            backward: whether a gradient will be taken; without one the head does half the work.
        """
        # The cache is made inside the graph: a compiled step then takes the segments as an input, like the ids, and
        # one graph serves every packing of a shape. It stores nothing; it only answers the layers' call for a mask.
        cache = self._cache(arrays["inputs"], arrays.get("segments"), arrays.get("boundaries"))
        if self.head is None:
            return self.loss(self.model(arrays["inputs"], cache=cache), arrays["targets"], arrays["weights"])
        hidden_BTD = self.head.hidden(arrays["inputs"], cache=cache)
        hidden_ND = gather_supervised(hidden_BTD, arrays["index"])
        targets_N, weights_N = arrays["targets"], arrays["weights"]
        logits = self.head.logits
        return chunked_loss(self.loss, logits, hidden_ND, targets_N, weights_N, chunk=self.chunk, backward=backward)

    def evaluated(self, arrays: Arrays) -> LossSum:
        """The loss of a batch of which no gradient will be taken, by the kernels of training."""
        with training_kernels(self.model):
            return self(arrays, backward=False)

    def mean(self, batches: Iterable[Batch]) -> float:
        """The loss over all batches, divided once by their whole count; nats. Leaves the model in evaluation mode."""
        self.model.eval()
        whole = LossSum(mx.array(0.0), mx.array(0.0))
        with training_kernels(self.model):
            for batch in batches:
                whole = whole.add(self(self.arrays(batch), backward=False))
                mx.eval(whole)
        assert whole.count.item(), "no position counts in any batch"
        return float(np.array(whole.mean))

    def _cache(self, inputs_BT: mx.array, segments_BT: mx.array | None, boundaries: Boundaries | None) -> Caches | None:
        rows, length = inputs_BT.shape
        if segments_BT is None:
            return alone_cache(self.model, length, self.dtype) if self._alone else None
        way = choose_way(length, backend(), rows=rows, boundaries=boundaries is not None)
        return packed_cache(self.model, segments_BT, self.dtype, way=way, boundaries=boundaries)


@contextmanager
def training_kernels(model: nn.Module) -> Iterator[None]:
    """Gives a model the attention, quantized products and activations that train best, for as long as the block lasts.

    Keep it around the backward passes too. May be nested and left in any order, in one thread.

    Raises:
        GraftlineError: another thread is inside.
    """
    with segment_attention(model), unpacked_products(model), own_activations():
        yield


def choose_forward(model: nn.Module, loss: Loss, *, chunk: int | None, usual: float | None) -> Forward:
    """Makes the Forward of a model: with its head apart if it has a frozen one that can be, else with full logits.

    Args:
        model: ids -> logits.
        loss: what is summed.
        chunk: the most positions whose logits are alive at a time; None asks for logits at every position.
        usual: the usual share of positions that count, for a step that is compiled; None for one that is not, where
            attention runs example by example in packed rows.
    """
    head = find_head(model) if chunk is not None else None
    if chunk is not None and (head is None or not head.frozen):
        log.info("the %s model has no head of its own; logits are computed at every position", model_type(model))
        head = None
    return Forward(model, loss, head, chunk=chunk or 1, split=usual is None, usual=usual)


def compute_dtype(model: nn.Module) -> mx.Dtype:
    """The dtype that a model computes in: that of most frozen floating-point parameters, or of most if none is frozen.

    Example:
        >>> compute_dtype(nn.Linear(2, 2))
        mlx.core.float32
    """
    trained, named = (dict(tree_flatten(tree)) for tree in (model.trainable_parameters(), model.parameters()))
    floats = {name: array.dtype for name, array in named.items() if mx.issubdtype(array.dtype, mx.floating)}
    frozen = [dtype for name, dtype in floats.items() if name not in trained]
    return Counter(frozen or floats.values()).most_common(1)[0][0]


def _boundaries(segments_T: np.ndarray) -> tuple[int, ...]:
    """The positions where the segments of a row start, and the row's length.

    Example:
        >>> _boundaries(np.array([1, 1, 2, 0, 0]))
        (0, 2, 3, 5)
    """
    return (0, *(int(i) + 1 for i in np.flatnonzero(np.diff(segments_T))), len(segments_T))


def usual_share(rows: Rows, loss: Loss) -> float:
    """The share of positions that hardly any batch of these rows exceeds in positions that count, of SAMPLE of them.

    Example:
        >>> from tasks.loss import MaskedCrossEntropy
        >>> class Half(list):
        ...     lengths = np.full(50, 100)
        ...     weights = staticmethod(lambda _: np.arange(100) % 2)
        >>> usual_share(Half(range(50)), MaskedCrossEntropy())
        0.6875
    """
    if not loss.supervised_only:
        return 1.0
    taken = np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int)).tolist()
    counted = sum(np.count_nonzero(rows.weights(i)[1:]) for i in taken)
    share = counted / max(1, sum(int(rows.lengths[i]) - 1 for i in taken))
    return min(1.0, math.ceil(16 * 1.25 * share) / 16)


def _filled(count: int, positions: int, usual: float | None) -> int:
    """N for a batch with `count` counted positions: see `usual` of `Forward`."""
    if usual is None:
        return max(1, count)
    most = max(1, round(usual * positions))
    return most if count <= most else positions
