"""Greedy answers to the prompts of held-out rows: batched by mlx-lm where a batch gives what each prompt does alone."""

import logging
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from tasks.attention.isolation import TOLERANCE
from tasks.model.causal_lm import CausalLM
from tasks.score.ends import Ends

log = logging.getLogger(__name__)

AT_ONCE, PROMPTS = 32, 8
"""Answers that are generated together, and prompts that are read together: mlx-lm's own."""

PROBED = 3
"""Prompts of a probe: more than the one or two heads of keys over which a wrong mask may spread without an error."""


def answers(
    model: nn.Module, tokenizer: Any, prompts: list[list[int]], most: int, ends: Ends, at_once: int = AT_ONCE
) -> list[str]:
    """One greedy answer a prompt, in their order.

    Args:
        model: ids -> logits.
        tokenizer: mlx-lm's wrapper of one.
        prompts: token ids.
        most: tokens of an answer at most.
        ends: where an answer stops.
        at_once: answers that are generated together, as `trusted` gives it; 1 makes no batch at all.
    """
    if at_once > 1:
        said = _batched(model, prompts, most, at_once, ends.ids)
    else:
        said = [_alone(model, prompt, most, ends.ids) for prompt in prompts]
    return [ends.text(tokenizer, ids) for ids in said]


def trusted(model: nn.Module, prompts: list[list[int]], at_once: int) -> int:
    """As many answers at once as were asked for, or 1 for a model that answers otherwise in a batch.

    Args:
        model: ids -> logits.
        prompts: token ids.
        at_once: answers that the memory has room for.
    """
    if min(at_once, len(prompts)) < 2 or (reason := batch_differs(model, prompts, at_once)) is None:
        return at_once
    log.warning("held-out answers are generated one at a time: %s", reason)
    return 1


def batch_differs(model: nn.Module, prompts: list[list[int]], at_once: int = AT_ONCE) -> str | None:
    """Why prompts cannot be answered in a batch; None where they can.

    A few of them are read together and each alone, and the logits behind them compared: mlx-lm's masks of a batch are
    wrong for some models, which then crash or answer something else.

    Args:
        model: ids -> logits.
        prompts: token ids; the shortest, the longest and one between are taken.
        at_once: the most that are read together.
    """
    from mlx_lm.generate import PromptProcessingBatch
    from mlx_lm.models.cache import make_prompt_cache

    by_length, count = sorted(prompts, key=len), min(PROBED, at_once)
    few = [by_length[n * (len(by_length) - 1) // (count - 1)] for n in range(count)]
    run: CausalLM = model
    alone = mx.concatenate([_after(run, prompt) for prompt in few])
    try:
        batch = PromptProcessingBatch(model, list(range(count)), [make_prompt_cache(model) for _ in few])
        batch.prompt([prompt[:-1] or prompt for prompt in few])
        together = run(mx.array([prompt[-1:] for prompt in few]), cache=batch.prompt_cache)[:, -1]
        dtype, together = together.dtype, together.astype(mx.float32)
        off_B = np.array(mx.sqrt((together - alone).square().mean(-1) / alone.square().mean()))
        # In half precision rounding sends a token to another expert now and then, which no mask has to do with.
        gap = float(np.max(off_B) if dtype == mx.float32 else np.median(off_B))
    except Exception as error:  # an exotic model may fail in any way
        return f"the model takes no several prompts at once ({type(error).__name__}: {error})"
    same = gap <= TOLERANCE.get(dtype, 0.0)
    return None if same else f"several prompts at once give other logits than each alone (off by {gap:.2g})"


def _after(model: nn.Module, prompt: list[int]) -> mx.array:
    """The logits behind a prompt that is read alone, its last token by itself as when an answer begins: [1, V]."""
    from mlx_lm.models.cache import make_prompt_cache

    cache = make_prompt_cache(model)
    model(mx.array([prompt[:-1] or prompt]), cache=cache)
    mx.eval([layer.state for layer in cache])
    logits = model(mx.array([prompt[-1:]]), cache=cache)[:, -1].astype(mx.float32)
    mx.eval(logits)
    return logits


def _batched(
    model: nn.Module, prompts: list[list[int]], most: int, at_once: int, stops: frozenset[int]
) -> list[list[int]]:
    if not prompts:
        return []
    from mlx_lm.generate import batch_generate

    batched: Any = {"completion_batch_size": at_once, "prefill_batch_size": min(at_once, PROMPTS)}
    stopping: Any = _Stopping(stops)
    found = batch_generate(model, stopping, prompts, max_tokens=most, return_token_ids=True, **batched)
    return found.token_ids or []


@dataclass(frozen=True)
class _Stopping:
    """All that mlx-lm's batches ask of a tokenizer, their ids decoded elsewhere."""

    eos_token_ids: frozenset[int]

    def decode(self, ids: list[int]) -> str:
        return ""


def _alone(model: nn.Module, prompt: list[int], most: int, stops: frozenset[int]) -> list[int]:
    from mlx_lm.generate import generate_step

    said: list[int] = []
    for token, _ in generate_step(mx.array(prompt), model, max_tokens=most):
        if int(token) in stops:
            break
        said.append(int(token))
    return said
