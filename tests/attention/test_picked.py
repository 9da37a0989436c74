"""Indexers: few queries at a time they pick what they pick at once, and are themselves again afterwards."""

from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.models.deepseek_v32 import Indexer

from tasks.attention import alone_cache, segment_attention
from tasks.attention.picked import BUDGET, fewer_picks, indexers, picked_keys
from tests.attention.families import apart, tiny


def test_the_class_and_the_number_come_back() -> None:
    model = tiny("deepseek_v32")
    found: list[Any] = indexers(model)
    assert len(found) == len(model.layers)
    with picked_keys(model), picked_keys(model), fewer_picks(model, 3):
        assert type(found[0]) is not Indexer
        assert isinstance(found[0], Indexer)
        assert found[0].index_topk == 3
    assert type(found[0]) is Indexer
    assert found[0].index_topk == 6
    assert indexers(tiny("deepseek_v3")) == []


@pytest.mark.parametrize("budget", [1, 2000, 2**20])  # a query at a time, a few, all
def test_it_picks_what_the_model_picks(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUDGET, "cpu", budget)
    model = tiny("deepseek_v32")
    ids = mx.random.randint(0, 300, (2, 40), key=mx.random.key(1))
    plain = model(ids, cache=make_prompt_cache(model))
    cache = alone_cache(model, 40, mx.float32)
    with segment_attention(model):
        assert apart(model(ids, cache=cache), plain) < 1e-5
    assert cache[0][1].picked.shape == (2, 40, 6)
    with fewer_picks(model, 5):
        assert apart(model(ids), plain) > 1e-3  # it matters which


def test_a_row_within_the_picks_picks_nothing() -> None:
    model = tiny("deepseek_v32", index_topk=40)
    ids = mx.random.randint(0, 300, (1, 40), key=mx.random.key(1))
    cache = alone_cache(model, 40, mx.float32)
    with segment_attention(model):
        assert apart(model(ids, cache=cache), model(ids)) < 1e-5
    assert cache[0][1].picked is None
