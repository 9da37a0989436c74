"""Predicts the peak memory of generating answers: mlx-lm's batches of prompts, then of answers with their caches."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.generate import PromptProcessingBatch
from mlx_lm.models.cache import make_prompt_cache

from tasks.budget.anatomy import Anatomy
from tasks.budget.peak import peak_bytes
from tasks.model.causal_lm import BatchCache, CausalLM
from tasks.patch import replaced
from tasks.score.answers import AT_ONCE, PROMPTS
from tasks.step.update import named

log = logging.getLogger(__name__)

ORDER = 1.06
"""Factor on what is taken beside the weights: in which order answers end and prompts join is not known, and once took
4 % more."""


def answering(model: nn.Module, asked: int, longest: int, new: int, *, at_once: int = AT_ONCE) -> int:
    """Predicts the most bytes that generating answers needs, the model's weights included; nothing is computed.

    There are two moments. Prompts are read beside the keys and values of the answers under way. And where an answer
    ends, mlx-lm still has all keys and values while the next step copies those of the others and adds a new one's.

    Args:
        model: ids -> logits, its arrays lazy.
        asked: prompts.
        longest: tokens of the longest prompt.
        new: tokens of an answer at most.
        at_once: answers that are generated together.

    Raises:
        ValueError: an operation of the model that MLX does not export.
    """
    rows, read = min(asked, at_once), min(asked, at_once, PROMPTS)
    more = asked > rows
    with _unevaluated():
        one = _prompted(model, 1, longest + new)
        _step(model, one, 1)
        answers = _State(one, rows)

        def prefill(_: object) -> list[mx.array]:
            return _arrays(_prompted(model, read, longest))

        def decode(ended: int) -> int:
            left, joining = rows - ended, _State(one, ended)

            def step(given: list[dict[str, mx.array]]) -> list[mx.array]:
                caches = answers.fill(_batch(model, rows).prompt_cache, given[0])
                for cache in caches if left else ():
                    cache.filter(list(range(left)))
                if more and left:
                    others = joining.fill(_batch(model, ended).prompt_cache, given[1])
                    for cache, other in zip(caches, others, strict=True):
                        cache.extend(other)
                return [*_step(model, caches, rows if more or not left else left), *_arrays(caches)]

            return peak_bytes(model, step, [answers.arrays, joining.arrays if more else {}])

        beside = answers.nbytes if more else answers.nbytes * (rows - read) // rows
        needed = max(peak_bytes(model, prefill) + beside, *(decode(n) for n in ((1, read) if more else (1,))))
    weights = sum({id(array): array.nbytes for array in named(model.parameters()).values()}.values())
    return int(weights + ORDER * (needed - weights))


class _State:
    """The contents of the caches of some answers, all alike, by the example of one answer's.

    Attributes:
        arrays: the keys and values, and whatever else has more than a number for each answer.
    """

    def __init__(self, one: list[BatchCache], rows: int):
        state: Any = tree_flatten([cache.state for cache in one])
        grown = {n: mx.zeros((rows, *a.shape[1:]), a.dtype) for n, a in state if isinstance(a, mx.array)}
        self._state = [(name, grown.get(name, a)) for name, a in state]
        self.arrays = {name: array for name, array in grown.items() if array.ndim > 1}

    @property
    def nbytes(self) -> int:
        """Bytes of all answers' caches."""
        return sum(array.nbytes for array in self.arrays.values())

    def fill(self, caches: list[BatchCache], given: dict[str, mx.array]) -> list[BatchCache]:
        """Puts arrays of these shapes into caches."""
        state: Any = tree_unflatten([(name, given.get(name, a)) for name, a in self._state])
        for cache, content in zip(caches, state, strict=True):
            cache.state = content
        return caches


def most_at_once(anatomy: Anatomy, asked: int, longest: int, new: int, budget: int) -> tuple[int, int | None]:
    """How many answers may be generated together, AT_ONCE halved until they fit the budget, and the bytes they need.

    One at a time if not even that fits; AT_ONCE and None where it cannot be predicted. The arguments are those of
    `answering`.
    """
    at_once = AT_ONCE
    try:
        if (loop := anatomy.loop) is not None and loop.is_long(longest + new):
            raise ValueError("the model steps through positions one by one")
        while (needed := answering(anatomy.model, asked, longest, new, at_once=at_once)) > budget and at_once > 1:
            at_once //= 2
    except Exception as error:  # a cache of an exotic model may fail in any way; the answers themselves may not
        log.warning("cannot predict the memory of generating answers (%s); it is not checked", error)
        return AT_ONCE, None
    return at_once, needed


def _batch(model: nn.Module, rows: int) -> PromptProcessingBatch:
    return PromptProcessingBatch(model, list(range(rows)), [make_prompt_cache(model) for _ in range(rows)])


def _prompted(model: nn.Module, rows: int, length: int) -> list[BatchCache]:
    """The caches after prompts of this length, one of them shorter, as the others of a batch are."""
    batch = _batch(model, rows)
    batch.prompt([[0] * max(1, length - (row > 0)) for row in range(rows)])
    return batch.prompt_cache


def _step(model: CausalLM, caches: list[BatchCache], rows: int) -> list[mx.array]:
    """A token of each answer, and its log-probabilities."""
    logits = model(mx.zeros((rows, 1), mx.int32), cache=caches)[:, -1, :]
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return [mx.argmax(logprobs, axis=-1), logprobs]


def _arrays(caches: list[BatchCache]) -> list[mx.array]:
    state: Any = tree_flatten([cache.state for cache in caches])
    return [array for _, array in state if isinstance(array, mx.array)]


@contextmanager
def _unevaluated() -> Iterator[None]:
    """Lets mlx-lm build its graphs without computing them, in the whole process."""
    with replaced(mx, "eval", lambda *_: None):
        yield
