"""What is typed wins over what an experiment says: a group by its choice, one of two keys that exclude each other.

Hydra lays an experiment's own keys over the group that was typed, so that `evaluate=loss_only` would still generate
the answers that the experiment asks for, and `train.epochs=2` would meet the experiment's `train.steps`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

EITHER = {"train.epochs": "train.steps", "train.steps": "train.epochs"}
"""A typed key, and the one that it takes the place of."""

OTHER_KIND = {("batch.size", "bucketed"): "padded", ("batch.tokens", "padded"): "bucketed"}
"""A typed key that the composed kind of its group does not have, and the choice that has it."""

Files = Callable[[str, str], Mapping[str, Any]]
"""The content of a group's choice, as `files("lora", "rslora")`."""


def implied_choices(kinds: Mapping[str, Any], typed: Mapping[str, str]) -> list[str]:
    """The groups that a typed key asks for where the experiment's own choice has no such key.

    Args:
        kinds: the composed kind of each group.
        typed: the values that were typed, by key.

    Example:
        >>> implied_choices({"batch": "bucketed"}, {"batch.size": "4"})
        ['batch=padded']
    """
    pairs = ((key.partition(".")[0], key) for key in typed)
    wanted = [(group, OTHER_KIND.get((key, str(kinds.get(group))))) for group, key in pairs if group not in typed]
    return [f"{group}={choice}" for group, choice in wanted if choice]


def typed_wins(
    composed: Mapping[str, Any], typed: Mapping[str, str], before: Mapping[str, str], files: Files
) -> Iterator[tuple[str, Any, bool]]:
    """The keys to change so that what is typed is stronger than what the experiment says.

    Of a typed group, those keys count in which its choice differs from the one that would have been taken without
    it: that difference is what was asked for, and the experiment's other keys stay.

    Args:
        composed: the configuration as Hydra composed it, plain.
        typed: the values that were typed, by key or group.
        before: for each typed group, the choice without it.
        files: the content of a choice.

    Yields:
        The dotted key, its value, and whether it stays at all.

    Example:
        >>> content = {"default": {"generate": 64}, "loss_only": {"generate": 0}}
        >>> composed = {"evaluate": {"generate": 128, "samples": 3}}
        >>> typed, before = {"evaluate": "loss_only"}, {"evaluate": "default"}
        >>> list(typed_wins(composed, typed, before, lambda group, choice: content[choice]))
        [('evaluate.generate', 0, True)]
    """
    for group, old in before.items():
        chosen, replaced = files(group, typed[group]), files(group, old)
        for key in sorted({*chosen, *replaced}):
            name, keeps = f"{group}.{key}", key in chosen
            differs = not keeps or key not in replaced or chosen[key] != replaced[key]
            if name not in typed and differs and composed[group].get(key, ...) != (chosen[key] if keeps else ...):
                yield name, chosen.get(key), keeps
    for key, other in EITHER.items():
        group, _, name = other.partition(".")
        if typed.get(key, "null") != "null" and other not in typed and composed.get(group, {}).get(name) is not None:
            yield other, None, True
