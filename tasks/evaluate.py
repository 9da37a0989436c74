"""evaluate: an adapter and held-out rows -> their loss and sample answers, base against adapter."""

import logging
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapter import Adapter, base_fingerprint, load_adapter, read_adapter_manifest
from tasks.artifact import Record, fingerprint, write_json
from tasks.budget import Anatomy, most_at_once
from tasks.data import TokenCache
from tasks.errors import GraftlineError
from tasks.memory import Memory
from tasks.model import Model
from tasks.model.base import load_base, load_tokenizer
from tasks.score.answers import AT_ONCE, answers, trusted
from tasks.score.ends import find_ends
from tasks.score.exact_match import exact_match
from tasks.score.held_out import HeldOut
from tasks.score.held_out_loss import held_out_loss
from tasks.settings import Evaluate

log = logging.getLogger(__name__)
Measured = TypeVar("Measured")
_OF_BASES = LRUCache[str, Any](maxsize=16)
"""Scores of bases, by what they depend on: the trials of a sweep ask for the same ones."""


class Sample(Record):
    """One held-out example: the prompt, the reference, and the answer of each model."""

    prompt: str
    reference: str
    before: str
    after: str


class Scores(Record):
    """Held-out scores, base against adapter; the `evaluate` part of report.json.

    Attributes:
        split: the rows that were scored, `test` or `valid`; empty where nothing is evaluated.
        examples: the number of rows that the loss is over.
        loss_before: the base's masked cross entropy, nats a supervised token; None where nothing is evaluated, or the
            model failed at it.
        loss_after: the adapter's.
        metric: the metric of metric_before and metric_after.
        answered: the number of generated answers that they are over.
        metric_before: the base's score; None where nothing was generated.
        metric_after: the adapter's.
        samples: the first answers.
        problems: what could not be measured, each with its reason.
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
    problems: tuple[str, ...] = ()


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
        memory: the memory settings; their budget limits how many answers are generated at once.

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
    name, rows = held_out.name, held_out.rows
    tokenizer, base = load_tokenizer(model), load_base(model).model
    manifest, attempts = read_adapter_manifest(Path(adapter.path)), _Attempts()
    ends = find_ends(tokenizer, (manifest and manifest.answer_ends) or cache.splits["train"].ends)
    prompts, at_once = held_out.prompts, AT_ONCE
    if prompts:
        room = memory.budget - 4 * adapter.parameters
        at_once = most_at_once(Anatomy(base), len(prompts), held_out.longest_prompt, new, room)[0]
        at_once = attempts.run("answers", lambda: trusted(base, prompts, at_once)) or 1
    identity = _identity(adapter, model, cache, name)

    def loss() -> float:
        return held_out_loss(base, rows)

    def answered_texts() -> list[str]:
        return answers(base, tokenizer, prompts, new, ends, at_once)

    scored = identity and [*identity, len(rows)]
    generated = identity and [*identity, held_out.asked, new, sorted(ends.ids), ends.words]
    before = (
        attempts.run("the held-out loss", lambda: _once(scored, loss)),
        attempts.run("answers", lambda: _once(generated, answered_texts)),
    )
    load_adapter(Path(adapter.path), base)
    after = attempts.run("the held-out loss", loss), attempts.run("answers", answered_texts)
    references = [ends.text(tokenizer, ids) for ids in held_out.references]
    texts = [ends.text(tokenizer, ids) for ids in prompts]
    answered = before[1] is not None and after[1] is not None
    compared = zip(texts, references, before[1] or (), after[1] or (), strict=True) if answered else ()
    scores = Scores(
        split=name,
        examples=len(rows),
        loss_before=before[0],
        loss_after=after[0],
        metric=settings.metric,
        answered=len(prompts) if answered else 0,
        metric_before=exact_match(before[1] or [], references) if answered else None,
        metric_after=exact_match(after[1] or [], references) if answered else None,
        samples=tuple(
            Sample(prompt=p, reference=r, before=b, after=a) for p, r, b, a in islice(compared, settings.samples)
        ),
        problems=attempts.problems,
    )
    write_json(out, scores.model_dump(mode="json"))
    log.info("held-out loss %s -> %s", *(_shown(figure) for figure in (scores.loss_before, scores.loss_after)))
    return scores


class _Attempts:
    """Measurements that may fail, and why some did: a model that cannot be scored has been trained all the same.

    A user's mistake, and a signal, end the stage as ever.
    """

    def __init__(self) -> None:
        self._failed: dict[str, str] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each measurement that failed."""
        return tuple(self._failed.values())

    def run(self, what: str, measure: Callable[[], Measured]) -> Measured | None:
        """The result of `measure`; None where it fails, or another measurement of the kind failed before."""
        if what in self._failed:
            return None
        try:
            return measure()
        except GraftlineError:
            raise
        except Exception as error:  # an exotic model may fail in any way
            self._failed[what] = f"{what} could not be measured: {type(error).__name__}: {error}"
            log.warning(self._failed[what])
            return None


def _shown(figure: float | None) -> str:
    return "unknown" if figure is None else f"{figure:.4f}"


def _identity(adapter: Adapter, model: Model, cache: TokenCache, name: str) -> list[Any] | None:
    """What a base's scores depend on, by content; None for an adapter without a record of its base."""
    try:
        return [base_fingerprint(Path(adapter.path)), model, cache.fingerprint, name]
    except FileNotFoundError:
        return None


def _once(identity: list[Any] | None, measure: Callable[[], Measured]) -> Measured:
    """The result of `measure`, computed once a process: the trials of a sweep have one base and one set of rows."""
    if identity is None:
        return measure()
    if (key := fingerprint(identity)) not in _OF_BASES:
        _OF_BASES[key] = measure()
    return _OF_BASES[key]
