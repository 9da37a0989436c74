"""Plans the tiles of blockwise attention: the keys that each block of queries can see, before anything is computed.

Causality and the window bound what a query sees, so whole blocks of keys are left out of the graph. Segments are data:
they mask inside a tile, and never change the plan, so that one compiled graph serves every packing of a row.
"""

from typing import NamedTuple

import mlx.core as mx

MASKED = -1e30
"""A masked score. Finite, so that a tile without a visible key gives no NaN; a later tile's weight takes it to zero."""


class Tile(NamedTuple):
    """Keys `start` to `stop` (exclusive), for one block of queries; `partial` when some pair is masked."""

    start: int
    stop: int
    partial: bool


class Band(NamedTuple):
    """Queries `start` to `stop` (exclusive) and the tiles of keys they see, ascending: the diagonal is in the last."""

    start: int
    stop: int
    tiles: tuple[Tile, ...]


def plan(length: int, block: int, reach: int, spare: int) -> list[Band]:
    """The bands of a causal row of `length` queries and as many keys.

    Args:
        block: queries in a band; tiles start at multiples of it.
        reach: keys that a query sees, itself included (a window, the longest segment); `length` for all before it.
        spare: pairs of a query and a key that a tile may have at most; it has one block of keys at least.

    Raises:
        ValueError: `block` or `reach` is below 1.

    Example:
        >>> [(band.start, [tile[:2] for tile in band.tiles]) for band in plan(6, 2, 3, spare=4)]
        [(0, [(0, 2)]), (2, [(0, 2), (2, 4)]), (4, [(2, 4), (4, 6)])]
    """
    if block < 1 or reach < 1:
        raise ValueError(f"block={block}, window={reach}; both must be at least 1")
    span = block * max(1, spare // (block * block))
    bands = []
    for start in range(0, length, block):
        stop = min(start + block, length)
        first = max(0, start - reach + 1) // block * block
        tiles = []
        for left in range(first, stop, span):
            right = min(left + span, stop)
            tiles.append(Tile(left, right, partial=right > start + 1 or stop - 1 - left >= reach))
        bands.append(Band(start, stop, tuple(tiles)))
    return bands


def visible(
    band: Band, tile: Tile, reach: int, segments_BL: mx.array | None, picked_BQL: mx.array | None = None
) -> mx.array | None:
    """The mask of the pairs of a tile that may attend, bool [B or 1, 1, 1, queries, keys]; None where all may.

    Args:
        picked_BQL: bool, which of all keys each query of the band picked.
    """
    allowed = None
    if tile.partial:
        queries, keys = mx.arange(band.start, band.stop)[:, None], mx.arange(tile.start, tile.stop)[None]
        allowed = queries >= keys
        if band.stop - 1 - tile.start >= reach:
            allowed = allowed & (queries - keys < reach)
        allowed = allowed[None, None, None]
    if segments_BL is not None:
        left, right = segments_BL[:, band.start : band.stop, None], segments_BL[:, None, tile.start : tile.stop]
        same = (left == right)[:, None, None]
        allowed = same if allowed is None else allowed & same
    if picked_BQL is not None:
        picked = picked_BQL[:, None, None, :, tile.start : tile.stop]
        allowed = picked if allowed is None else allowed & picked
    return allowed
