"""Rounds of several sides, one after the other in turn, so that a drift of the machine meets all of them alike."""

from collections.abc import Mapping
from typing import Any, Protocol

from tests.bench.report import side


class Side(Protocol):
    """A way to train."""

    def round(self) -> tuple[int, float]:
        """(real tokens, seconds)."""
        ...

    def reset(self) -> None:
        """Starts a new peak."""
        ...

    def peak(self) -> int:
        """The peak since, bytes."""
        ...

    def leave(self) -> None:
        """Gives memory back."""
        ...


def interleave(sides: Mapping[str, Side], rounds: int, warm: int = 1) -> dict[str, dict[str, Any]]:
    """The figures of each side: medians over `rounds`, after `warm` untimed ones; the peak is of the timed ones."""
    found: dict[str, list[tuple[int, float, int]]] = {name: [] for name in sides}
    for n in range(warm + rounds):
        for name, one in sides.items():
            one.reset()
            tokens, seconds = one.round()
            if n >= warm:
                found[name].append((tokens, seconds, one.peak()))
            one.leave()
    return {
        name: side(rounds[0][0], [s for _, s, _ in rounds], max(p for *_, p in rounds))
        for name, rounds in found.items()
    }
