"""evaluate: an adapter and held-out rows -> their loss and sample answers, base against adapter."""

import logging
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapter import Adapter, base_fingerprint, load_adapter
from tasks.artifact import Record, fingerprint, write_json
from tasks.budget.answering import most_at_once
from tasks.data import TokenCache
from tasks.memory import Memory
from tasks.model import Model
from tasks.model.base import load_base, load_tokenizer
from tasks.score.answers import answers, as_text
from tasks.score.exact_match import exact_match
from tasks.score.held_out import HeldOut
from tasks.score.held_out_loss import held_out_loss
from tasks.settings import Evaluate

log = logging.getLogger(__name__)
Found = TypeVar("Found")
_OF_BASES = LRUCache[str, Any](maxsize=16)
"""Scores of bases, by what they depend on: the trials of a sweep ask for the same."""


class Sample(Record):
    """One held-out example: what was asked, what was wanted, and what each model said."""

    prompt: str
    reference: str
    before: str
    after: str


class Scores(Record):
    """Held-out scores, base against adapter; the `evaluate` part of report.json.

    Attributes:
        split: which rows, `test` or `valid`; empty where nothing is evaluated.
        examples: how many the loss is over.
        loss_before: the base's masked cross entropy, nats a supervised token; None where nothing is evaluated.
        loss_after: the adapter's.
        metric: what metric_before and metric_after measure.
        answered: over how many generated answers.
        metric_before: the base's score; None where nothing was generated.
        metric_after: the adapter's.
        samples: the first answers.
    """

    split: str
    examples: int
    loss_before: float | None
    loss_after: float | None
    metric: str
    answered: int
    metric_before: float | None
    metric_after: float | None
    samples: tuple[Sample, ...]


@task(name="evaluate", task_run_name="evaluate", cache_policy=NO_CACHE)
def evaluate(
    adapter: Adapter,
    cache: TokenCache,
    model: Model,
    settings: Evaluate,
    out: Path,
    *,
    memory: Memory = Memory(),  # noqa: B008 (frozen)
) -> Scores:
    """Scores the base, then the adapter, on the test rows (on the validation rows where there are none).

    Args:
        adapter: the adapter directory.
        cache: the tokenized splits.
        model: the base.
        settings: how many examples and answers.
        out: the file to write, evaluate.json.
        memory: whose budget says how many answers are generated at once.

    Raises:
        DataError: there are no held-out rows.
    """
    held_out, new = HeldOut(cache, settings), settings.max_new_tokens
    if not len(held_out.rows):
        scores = Scores(
            split="",
            examples=0,
            loss_before=None,
            loss_after=None,
            metric=settings.metric,
            answered=0,
            metric_before=None,
            metric_after=None,
            samples=(),
        )
        write_json(out, scores.model_dump(mode="json"))
        return scores
    name, rows, asked = held_out.name, held_out.rows, held_out.asked
    tokenizer, base = load_tokenizer(model), load_base(model).model
    room = memory.budget - 4 * adapter.parameters
    at_once = most_at_once(base, len(asked), held_out.longest_prompt, new, room)[0] if asked else 1
    of = _identity(adapter, model, cache, name)
    before = (
        _once(of and [*of, len(rows)], lambda: held_out_loss(base, rows)),
        _once(
            of and [*of, asked, new],
            lambda: answers(base, tokenizer, rows, asked, new, at_once),
        ),
    )
    load_adapter(Path(adapter.path), base)
    after = held_out_loss(base, rows), answers(base, tokenizer, rows, asked, new, at_once)
    references = [as_text(tokenizer, rows.ids(i)[rows.prompt_length(i) : rows.answer_stop(i)]) for i in asked]
    scores = Scores(
        split=name,
        examples=len(rows),
        loss_before=before[0],
        loss_after=after[0],
        metric=settings.metric,
        answered=len(asked),
        metric_before=exact_match(before[1], references),
        metric_after=exact_match(after[1], references),
        samples=tuple(
            Sample(prompt=as_text(tokenizer, rows.ids(i)[: rows.prompt_length(i)]), reference=r, before=b, after=a)
            for i, r, b, a in islice(zip(asked, references, before[1], after[1], strict=True), settings.samples)
        ),
    )
    write_json(out, scores.model_dump(mode="json"))
    log.info("held-out loss %.4f -> %.4f", before[0], after[0])
    return scores


def _identity(adapter: Adapter, model: Model, cache: TokenCache, name: str) -> list[Any] | None:
    """What a base's scores depend on, by content; None for an adapter that does not say what its base held."""
    try:
        return [base_fingerprint(Path(adapter.path)), model, cache.fingerprint, name]
    except FileNotFoundError:
        return None


def _once(of: list[Any] | None, measure: Callable[[], Found]) -> Found:
    """What `measure` gives, once in a process: the trials of a sweep have one base and one set of held-out rows."""
    if of is None:
        return measure()
    if (key := fingerprint(of)) not in _OF_BASES:
        _OF_BASES[key] = measure()
    return _OF_BASES[key]
