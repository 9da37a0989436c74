"""How many ids and positions a model takes, whatever its config calls them."""

from typing import Any

import mlx.nn as nn
import pytest
from mlx_lm.models import gpt2

from tasks.model.context_limits import POSITIONS, UNBOUNDED, Limits, limits_of
from tests.tiny import tiny_model


@pytest.mark.parametrize("name", POSITIONS)
def test_a_length_counts_by_any_name(name: str) -> None:
    assert limits_of(nn.Linear(2, 2), {name: 9}) == Limits(UNBOUNDED, 9, UNBOUNDED)
    assert limits_of(nn.Linear(2, 2), {"text_config": {name: 9}}).positions == 9


def test_a_table_counts_where_no_config_says(monkeypatch: pytest.MonkeyPatch) -> None:
    args: dict[str, Any] = {"model_type": "gpt2", "n_ctx": 99, "n_embd": 8, "n_head": 2, "n_layer": 1}
    model = gpt2.Model(gpt2.ModelArgs(**args, n_positions=64, layer_norm_epsilon=1e-5, vocab_size=50))
    assert limits_of(model, {}) == Limits(50, 64, 64)
    assert limits_of(model, {"n_ctx": 99, "vocab_size": 60}) == Limits(50, 64, 64)


def test_a_model_without_such_a_table_goes_by_its_config() -> None:
    assert limits_of(tiny_model(), {"vocab_size": 320, "max_position_embeddings": 512}) == Limits(320, 512, UNBOUNDED)


@pytest.mark.parametrize("value", [None, True, "9", 0, -1, [9]])
def test_what_is_no_count_is_passed_over(value: object) -> None:
    assert limits_of(nn.Linear(2, 2), {"n_ctx": value, "vocab_size": value}).positions == UNBOUNDED
