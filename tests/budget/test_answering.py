"""The prediction against the peak of answers that are really generated."""

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.generate import batch_generate

from tasks.budget.anatomy import Anatomy
from tasks.budget.answering import PROMPTS, answering, most_at_once
from tasks.memory import begin_peak
from tasks.step.update import named
from tests.tiny import tiny_model

SIZES = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "vocab_size": 4096}


class Endless:
    """A tokenizer that no answer ends before its time with."""

    eos_token_ids = (-1,)

    def decode(self, _: Any) -> str:
        return ""


def generated(model: Any, asked: int, longest: int, new: int, at_once: int) -> int:
    """The peak of real answers, to prompts of two lengths."""
    others = begin_peak(named(model.parameters()).values())
    draw = np.random.default_rng(0)
    prompts = [draw.integers(0, 300, size=longest - 9 * (n % 2)).tolist() for n in range(asked)]
    batched: Any = {"completion_batch_size": at_once, "prefill_batch_size": min(at_once, PROMPTS)}
    batch_generate(model, Endless(), prompts, max_tokens=new, **batched)  # type: ignore[arg-type]
    return mx.get_peak_memory() - others


@pytest.mark.parametrize(
    ("family", "changes", "asked", "longest", "new", "at_once"),
    [
        ("qwen3", {}, 24, 100, 24, 16),
        ("qwen3", {"vocab_size": 32000}, 5, 250, 12, 32),
        ("qwen3", {}, 3, 600, 4, 1),
        ("gemma3_text", {"sliding_window": 64}, 12, 150, 12, 32),
        ("qwen3_moe", {}, 9, 100, 8, 8),
    ],
    ids=repr,
)
def test_it_is_never_under_and_little_over(
    family: str, changes: dict[str, Any], asked: int, longest: int, new: int, at_once: int
) -> None:
    model = tiny_model(family, **{**SIZES, **changes})
    told = answering(model, asked, longest, new, at_once=at_once)
    real = generated(model, asked, longest, new, at_once)
    assert real <= told <= 1.25 * real


def test_fewer_at_once_hold_less_and_as_many_are_taken_as_fit() -> None:
    model = tiny_model("qwen3", **SIZES)
    told = {n: answering(model, 64, 200, 40, at_once=n) for n in (32, 16, 8, 4, 2, 1)}
    assert sorted(told.values(), reverse=True) == list(told.values())
    assert most_at_once(Anatomy(model), 64, 200, 40, told[4]) == (4, told[4])
    assert most_at_once(Anatomy(model), 64, 200, 40, told[32]) == (32, told[32])
    assert most_at_once(Anatomy(model), 64, 200, 40, 1) == (1, told[1])


def test_a_cache_that_cannot_be_batched_is_said_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("qwen3")
    model.make_cache = lambda: [object() for _ in model.layers]
    assert most_at_once(Anatomy(model), 4, 20, 4, 10**9) == (32, None)
    assert "cannot predict the memory of generating answers" in caplog.text
