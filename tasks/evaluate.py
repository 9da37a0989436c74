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
        loss_before: the base's masked cross entropy, nats a supervised token; None where nothing is evaluated, or the
            model failed at it.
        loss_after: the adapter's.
        metric: what metric_before and metric_after measure.
        answered: over how many generated answers.
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
    name, rows = held_out.name, held_out.rows
    tokenizer, base = load_tokenizer(model), load_base(model).model
    manifest, found = read_adapter_manifest(Path(adapter.path)), _Findings()
    ends = find_ends(tokenizer, (manifest and manifest.answer_ends) or cache.splits["train"].ends)
    prompts, at_once = held_out.prompts, AT_ONCE
    if prompts:
        room = memory.budget - 4 * adapter.parameters
        at_once = most_at_once(Anatomy(base), len(prompts), held_out.longest_prompt, new, room)[0]
        at_once = found.of("answers", lambda: trusted(base, prompts, at_once)) or 1
    of = _identity(adapter, model, cache, name)

    def loss() -> float:
        return held_out_loss(base, rows)

    def said() -> list[str]:
        return answers(base, tokenizer, prompts, new, ends, at_once)

    before = (
        found.of("the held-out loss", lambda: _once(of and [*of, len(rows)], loss)),
        found.of("answers", lambda: _once(of and [*of, held_out.asked, new, sorted(ends.ids), ends.words], said)),
    )
    load_adapter(Path(adapter.path), base)
    after = found.of("the held-out loss", loss), found.of("answers", said)
    references = [ends.text(tokenizer, ids) for ids in held_out.references]
    texts = [ends.text(tokenizer, ids) for ids in prompts]
    answered = before[1] is not None and after[1] is not None
    told = zip(texts, references, before[1] or (), after[1] or (), strict=True) if answered else ()
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
            Sample(prompt=p, reference=r, before=b, after=a) for p, r, b, a in islice(told, settings.samples)
        ),
        problems=found.problems,
    )
    write_json(out, scores.model_dump(mode="json"))
    log.info("held-out loss %s -> %s", *(_shown(figure) for figure in (scores.loss_before, scores.loss_after)))
    return scores


class _Findings:
    """What could not be measured, each with its reason: a model that cannot be scored has been trained all the same.

    A user's mistake, and a signal, end the stage as ever.
    """

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each."""
        return tuple(self._said.values())

    def of(self, what: str, measure: Callable[[], Found]) -> Found | None:
        """What `measure` gives; None where it fails, or another measure of the kind failed before."""
        if what in self._said:
            return None
        try:
            return measure()
        except GraftlineError:
            raise
        except Exception as error:  # an exotic model may fail in any way
            self._said[what] = f"{what} could not be measured: {type(error).__name__}: {error}"
            log.warning(self._said[what])
            return None


def _shown(figure: float | None) -> str:
    return "unknown" if figure is None else f"{figure:.4f}"


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
