"""The segments of packed rows, the way of attention and the masks: shared by all layers of one call, built once."""

# Shapes: B rows, L positions, H query heads, N key heads. `segments_BL` numbers the example of each position:
#
#     segments   1 1 1 2 2 0      two examples and padding, which is a segment of its own
#     boundaries 0     3   5 6    the same, as Python integers: known when the graph is built
#     chunks     1 1 2 3 3 4      each cut where `chunk` = 2 positions are full (llama4), numbered anew
#
# Segments are an array, so that a compiled graph takes them as an input. Boundaries are part of the graph, which lets
# `split` leave out all pairs of two examples, at the price of one graph for each set of them.

from collections.abc import Sequence
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from tasks.attention.method import Way
from tasks.model.family import model_type

GROUPED = {"gemma2": ("num_attention_heads", "num_key_value_heads")}
"""Families that add the mask to scores [B, N, H / N, L, L], by the names of H and N in their arguments."""


class SegmentMask(str):
    """Stands for the mask in ways other than `mask`; `segment_attention` reads it.

    It is a str, since models pass `"causal"` through untouched. It is that word only where unrouted attention would be
    right by it. Elsewhere it is another one, by which stock attention raises an error instead of silently leaking from
    segment to segment or seeing beyond a window.
    """

    row: "PackedRow"
    window: int | None
    chunk: int | None

    def __new__(cls, row: "PackedRow", window: int | None, chunk: int | None = None) -> "SegmentMask":
        whole = (window is None or window >= row.length) and not row.passes(chunk)
        plain = row.way == "causal" and whole
        text = f"causal inside segments, {row.way}; run the model inside segment_attention()"
        mask = super().__new__(cls, "causal" if plain else text)
        mask.row, mask.window, mask.chunk = row, window, chunk
        return mask


class PackedRow:
    """The rows of one call: their segments, the way of attention, and each mask, built once.

    Attributes:
        length: positions of a row, L.
        segments_BL: int [B, L]; None where a row is one segment.
        dtype: the dtype of additive masks.
        way: see `tasks.attention.method`.
        boundaries: for `split`: per row where segments start, then L.
        longest: no segment that matters is longer; blockwise then skips keys further away.
        first: the position of a row's first token in its example, where a row is one segment.
        grouped: masks are [B, 1, 1, L, L] rather than [B, 1, L, L].
        shared: fewer layers have a cache than there are, so that some read another's.
        latent: the model adds a product of its own to the scores, see `PackedCache.update_and_fetch`.
    """

    def __init__(
        self,
        length: int,
        segments_BL: mx.array | None,
        dtype: mx.Dtype,
        way: Way,
        model: nn.Module,
        boundaries: Sequence[Sequence[int]] | None = None,
        longest: int | None = None,
        first: int = 0,
    ) -> None:
        self.length, self.segments_BL, self.dtype, self.way = length, segments_BL, dtype, way
        self.grouped, self.latent, self.shared = _grouped(model), _latent(model), _shared(model)
        self.boundaries, self.longest, self.first = boundaries, longest, first
        self._masks: dict[tuple[int | None, int | None, bool], mx.array] = {}
        self._segments: dict[int, mx.array] = {}

    def passes(self, chunk: int | None) -> bool:
        """Whether a segment may be longer than a chunk, or run from one into the next."""
        return chunk is not None and self.first % chunk + self.length > chunk

    def segments(self, chunk: int | None) -> mx.array | None:
        """The segments int [B or 1, L], each cut where `chunk` positions are full, counted from its first."""
        if chunk is None or not self.passes(chunk):
            return self.segments_BL
        if chunk not in self._segments:
            positions = mx.arange(self.length)
            if self.segments_BL is None:
                self._segments[chunk] = ((self.first + positions) // chunk)[None]
            else:
                left, right = self.segments_BL[:, :-1], self.segments_BL[:, 1:]
                begins = mx.where(mx.pad(left != right, [(0, 0), (1, 0)]), positions, 0)
                places = positions - mx.cummax(begins, axis=1)  # of each position in its own segment
                self._segments[chunk] = mx.cumsum((places % chunk == 0).astype(mx.int32), axis=1)
        return self._segments[chunk]

    def cuts(self, chunk: int | None, rows: int) -> Sequence[Sequence[int]] | None:
        """The segments of `rows` rows as boundaries, cut by `chunk`; None where they are known as an array only."""
        whole = [(0, self.length)] * rows if self.segments_BL is None else self.boundaries
        if chunk is None or not self.passes(chunk) or whole is None:
            return whole
        return [_cut(row, chunk, self.first % chunk) for row in whole]

    def mask(self, window: int | None, chunk: int | None = None, *, additive: bool) -> mx.array:
        """Causal & same segment, window and chunk, [B, 1, L, L]: 0 and -inf in `dtype`, or bool."""
        chunk = chunk if self.passes(chunk) else None
        if (window, chunk, additive) not in self._masks:
            if additive:
                built = mx.where(self.mask(window, chunk, additive=False), 0.0, -mx.inf).astype(self.dtype)
            else:
                positions = mx.arange(self.length)
                built = (positions[:, None] >= positions)[None]
                if window is not None:
                    built = built & (positions[:, None] - positions < window)
                segments = self.segments(chunk)
                if segments is not None:
                    built = built & (segments[:, :, None] == segments[:, None])
                built = built[:, None, None] if self.grouped else built[:, None]
            self._masks[window, chunk, additive] = built
        return self._masks[window, chunk, additive]


def _cut(boundaries: Sequence[int], chunk: int, done: int) -> list[int]:
    """Boundaries with those of chunks between, of which the first has `done` positions before the row.

    Example:
        >>> _cut([0, 2, 9], 3, 0), _cut([0, 9], 4, 3)
        ([0, 2, 5, 8, 9], [0, 1, 5, 9])
    """
    starts = [max(a, at) for a, b in pairwise(boundaries) for at in range(a - done, b, chunk)]
    return [*starts, boundaries[-1]]


def _grouped(model: nn.Module) -> bool:
    names = GROUPED.get(model_type(model))
    return names is not None and getattr(model.args, names[0]) > getattr(model.args, names[1])


def _shared(model: nn.Module) -> bool:
    return len(make_prompt_cache(model)) < len(getattr(model, "layers", []))


def _latent(model: nn.Module) -> bool:
    """Whether attention is latent in the form that mlx-lm's models share."""
    return any(name.endswith("embed_q") for name, _ in model.named_modules())
