"""Rows in memory: what the layouts ask of a split, without a token cache."""

import numpy as np
from hypothesis import strategies as st

lengths = st.lists(st.integers(1, 700), min_size=1, max_size=60)


class MemoryRows:
    """Rows of given lengths; row i holds i, i + 1, ..., and every second token of it is supervised."""

    def __init__(self, lengths: list[int]):
        self._lengths = lengths

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def lengths(self) -> np.ndarray:
        return np.array(self._lengths)

    def ids(self, index: int, /) -> np.ndarray:
        return np.arange(index, index + self._lengths[index])

    def weights(self, index: int, /) -> np.ndarray:
        return (np.arange(self._lengths[index]) % 2).astype(np.float32)
