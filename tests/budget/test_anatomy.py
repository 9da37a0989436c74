"""What is read off a model's structure against what computing proves."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest

from tasks.attention import honours_alone
from tasks.budget.anatomy import Anatomy
from tasks.model.head import find_head
from tests.attention.families import SAME, llama4, tiny
from tests.tiny import attach_random, tiny_model


@pytest.mark.parametrize("make", [llama4, *(lambda f=f: tiny(f) for f in (*SAME, "gpt2", "mamba"))])
def test_how_rows_of_one_example_go_is_known_without_a_weight(make: Callable[[], Any]) -> None:
    model = make()
    assert Anatomy(model).alone == honours_alone(model, 300)


def test_a_model_that_fails_in_any_way_goes_its_own_way() -> None:
    assert not Anatomy(nn.Linear(2, 2)).alone


def test_nothing_is_computed_and_each_fact_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("qwen3")
    mx.synchronize()
    before = mx.get_active_memory()
    anatomy = Anatomy(model)
    facts = {"blocks", "widths", "vocabulary", "head", "loop", "alone"}
    first = {name: getattr(anatomy, name) for name in facts}
    assert mx.get_active_memory() == before
    for name in ("blocks", "vocabulary", "find_head", "loop_of", "segment_attention"):
        monkeypatch.delattr(f"tasks.budget.anatomy.{name}")
    assert all(getattr(anatomy, name) is first[name] for name in facts)


def test_it_is_of_the_base_whether_an_adapter_is_on_it_or_not() -> None:
    bare, adapted = tiny_model("qwen3"), tiny_model("qwen3")
    attach_random(adapted)
    left, right = Anatomy(bare), Anatomy(adapted)
    assert (left.widths, left.vocabulary, left.family) == (right.widths, right.vocabulary, "qwen3")
    proven = find_head(adapted)
    assert right.head is not None
    assert proven is not None
    assert (right.head.inner, right.head.projection) == (proven.inner, proven.projection)
