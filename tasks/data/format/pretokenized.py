"""Rows of token ids that were made elsewhere: {"input_ids", "labels"}, as transformers' trainers take them."""

from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example
from tasks.data.format.weight import read_spans
from tasks.errors import DataError

NEEDS = (("input_ids",),)
MASKS = ("completion_mask", "assistant_masks", "loss_mask")
"""Columns of other tools in which a target is 1 and any other token 0."""

TAKES = ("labels", "attention_mask", "position_ids", "seq_lengths", "spans", *MASKS)

IGNORED = -100
"""The label of a token that is no target."""


def parse(row: dict[str, Any]) -> Example:
    """Reads `input_ids`, and the targets among them: those with a label, with a 1 in one of MASKS, in `spans` (counted
    in tokens), or all.

    Tokens with an attention mask of 0 are padding, at either end, and are left out, whatever their labels are.

    Raises:
        DataError: no list of ids, labels of another length or of other ids, a hole in the attention mask, or several
            examples that were packed into one row.

    Example:
        >>> example = parse({"input_ids": [5, 6, 7], "labels": [-100, 6, 7]})
        >>> example.ids, example.id_weights
        ((5, 6, 7), (0.0, 1.0, 1.0))
    """
    ids = _numbers(row, "input_ids")
    if not ids or min(ids) < 0:
        raise DataError(f"'input_ids' has {'no ids' if not ids else f'the id {min(ids)}'}; it must be a list of ids")
    first, stop = _real(row, len(ids))
    _refuse_packed(row, first, stop)
    weights = _weights(row, ids, first, stop)
    return Example("pretokenized", ids=tuple(ids[first:stop]), id_weights=tuple(weights[first:stop]))


def _weights(row: dict[str, Any], ids: list[int], first: int, stop: int) -> list[float]:
    labels, spans = row.get("labels"), read_spans(row.get("spans"), len(ids), "input_ids")
    if labels is not None and spans is not None:
        raise DataError("the row has 'labels' and 'spans'; which is meant? data.ignore=[spans] leaves one out")
    if labels is not None:
        return _labelled(_numbers(row, "labels"), ids, first, stop)
    if spans is not None:
        weights = [0.0] * len(ids)
        for begin, end, weight in spans:
            weights[begin:end] = [weight] * (end - begin)
        return weights
    mask = next((name for name in MASKS if dict.get(row, name) is not None), None)
    if mask is None:
        return [1.0] * len(ids)
    values = _numbers(row, mask)
    if len(values) != len(ids) or not set(values) <= {0, 1}:
        raise DataError(f"{mask!r} has {len(values)} entries for {len(ids)} ids; it must be 0 or 1 for each")
    return [float(value) for value in values]


def _labelled(labels: list[int], ids: list[int], first: int, stop: int) -> list[float]:
    if len(labels) != len(ids):
        raise DataError(f"'labels' has {len(labels)} entries and 'input_ids' {len(ids)}; they must be as many")
    wrong = next((n for n in range(first, stop) if labels[n] not in (IGNORED, ids[n])), None)
    if wrong is None:
        return [float(label != IGNORED) for label in labels]
    hint = ""
    if all(label in (IGNORED, after) for label, after in zip(labels[:-1], ids[1:], strict=True)):
        hint = "; they are shifted by one: labels stand beside their own token, not before it"
    elif all(label in (IGNORED, before) for label, before in zip(labels[1:], ids[:-1], strict=True)):
        hint = "; they are shifted by one: labels stand beside their own token, not behind it"
    elif labels[wrong] < 0:
        hint = f"; a token that is no target is written {IGNORED}"
    raise DataError(
        f"labels[{wrong}] is {labels[wrong]}; it must be {IGNORED} or input_ids[{wrong}], {ids[wrong]}{hint}"
    )


def _refuse_packed(row: dict[str, Any], first: int, stop: int) -> None:
    """Refuses a row of several examples: each would be trained on with those before it as its context."""
    places = None if row.get("position_ids") is None else _numbers(row, "position_ids")[first:stop]
    lengths = None if row.get("seq_lengths") is None else _numbers(row, "seq_lengths")
    starts = [] if places is None else [n for n in range(1, len(places)) if places[n] <= places[n - 1]]
    count = max(len(starts) + 1, len(lengths or ()))
    if count > 1:
        column = "position_ids" if starts else "seq_lengths"
        raise DataError(
            f"the row has {count} examples that were packed into one ({column!r}); write a row for each, which "
            f"batch=packed packs (data.ignore=[{column}] takes them for one)"
        )


def _real(row: dict[str, Any], length: int) -> tuple[int, int]:
    """Where the tokens that are no padding begin, and where they end."""
    if row.get("attention_mask") is None:
        return 0, length
    mask = _numbers(row, "attention_mask")
    real = [n for n, on in enumerate(mask) if on]
    if len(mask) != length or not real or real != list(range(real[0], real[-1] + 1)):
        raise DataError(
            f"'attention_mask' has {len(mask)} entries for {length} ids; it must be 1 for each token in a row, and 0 "
            "for padding at the ends"
        )
    return real[0], real[-1] + 1


def _numbers(row: dict[str, Any], key: str) -> list[int]:
    value = row.get(key)
    if not isinstance(value, list | tuple):
        raise DataError(f"{key!r} is {kind_of(value)}; it must be a list of whole numbers")
    masks = key in ("attention_mask", *MASKS)
    if not all(isinstance(number, int) and (masks or not isinstance(number, bool)) for number in value):
        raise DataError(f"{key!r} has an entry that is no whole number; it must be a list of whole numbers")
    return [int(number) for number in value]
