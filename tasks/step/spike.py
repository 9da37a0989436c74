"""Loss spikes: a step whose loss is far above those before it, by statistics that a spike itself does not move."""

from collections.abc import Sequence

import numpy as np

FEWEST = 16
"""Losses that must be known before any step can be a spike."""
NORMAL = 1.4826
"""The standard deviation of a normal distribution by its median absolute deviation."""
FLOOR = 0.01
"""The least deviation, as a share of the median: a loss that hardly moves makes no spike of its rounding."""


def spike_limit(recent: Sequence[float], times: float | None) -> float:
    """The loss above which the next step is a spike: the median and so many deviations; infinite while few are known.

    Args:
        recent: the losses of the steps before, finite ones alone.
        times: how many standard deviations; None notices no spike.

    Example:
        >>> round(spike_limit([1.0, 1.1, 0.9, 1.2] * 4, 10.0), 3)
        2.533
        >>> spike_limit([1.0] * 3, 10.0)
        inf
    """
    if times is None or len(recent) < FEWEST:
        return float("inf")
    losses = np.array(recent)
    median = float(np.median(losses))
    deviation = NORMAL * float(np.median(np.abs(losses - median)))
    return median + times * max(deviation, FLOOR * abs(median))
