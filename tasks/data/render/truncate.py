"""What happens to an example that is longer than `data.max_tokens`."""

from typing import Literal

from tasks.errors import DataError

Cut = Literal["error", "keep_start", "keep_end"]


def truncate(ids: list[int], weights: list[float], max_tokens: int, cut: Cut) -> tuple[list[int], list[float], int]:
    """The ids and weights that stay, and how many were cut from the start.

    Raises:
        DataError: `cut` is `error`; its text has both lengths.

    Example:
        >>> truncate([1, 2, 3], [0.0, 1.0, 1.0], 2, "keep_end")
        ([2, 3], [0.0, 1.0], 1)
    """
    if cut == "error":
        raise DataError(
            f"the row has {len(ids)} tokens and data.max_tokens is {max_tokens}; raise it, "
            "or set data.truncate to drop, keep_start or keep_end"
        )
    start = len(ids) - max_tokens if cut == "keep_end" else 0
    ids, weights = ids[start : start + max_tokens], weights[start : start + max_tokens]
    return ids, [0.0, *weights[1:]], start


def split(ids: list[int], weights: list[float], max_tokens: int) -> list[tuple[list[int], list[float]]]:
    """Pieces of at most `max_tokens` that overlap by one token: the last of one predicts the first target of the next.

    Example:
        >>> split([1, 2, 3, 4], [0.0, 1.0, 1.0, 1.0], 3)
        [([1, 2, 3], [0.0, 1.0, 1.0]), ([3, 4], [0.0, 1.0])]
    """
    steps = range(0, max(len(ids) - 1, 1), max_tokens - 1)
    return [(ids[n : n + max_tokens], [0.0, *weights[n + 1 : n + max_tokens]]) for n in steps]
