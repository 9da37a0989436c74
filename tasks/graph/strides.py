"""Strides of arrays, in elements: those of rows in order, and those of a reshaped view."""

Strides = tuple[int, ...]


def row_strides(shape: tuple[int, ...]) -> Strides:
    """The strides of an array in row-major order, in elements.

    Example:
        >>> row_strides((2, 3, 4))
        (12, 4, 1)
    """
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def reshaped(shape: tuple[int, ...], strides: Strides, wanted: tuple[int, ...]) -> Strides | None:
    """The strides of a reshaped view, or None where the elements must be copied.

    Example:
        >>> reshaped((4, 6), (1, 4), (2, 2, 6)), reshaped((4, 6), (1, 4), (24,))
        ((2, 1, 4), None)
    """
    runs: list[tuple[int, int]] = []  # axes that lie one in the other, as one: (elements, stride of the last)
    for n, stride in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if runs and runs[-1][1] == stride * n:
            runs[-1] = runs[-1][0] * n, stride
        else:
            runs.append((n, stride))
    found: list[int] = []
    at, left = 0, runs[0][0] if runs else 1
    for n in wanted:
        if n == 1:
            found.append(0)
            continue
        if at >= len(runs) or left % n:
            return None
        left //= n
        found.append(left * runs[at][1])
        if left == 1:
            at += 1
            left = runs[at][0] if at < len(runs) else 1
    return tuple(found)
