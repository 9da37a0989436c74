import json
from typing import Any

import pytest

from tasks.sink import Counters, StepMetrics
from tasks.sink.metrics import RECENT


def step(counters: Counters, number: int, **changes: Any) -> StepMetrics:
    values: dict[str, Any] = {
        **{"step": number, "loss": 3.0 - number, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 30},
        **{"supervised_tokens": 10, "seconds": 0.5},
        "memory": {"active_bytes": 5, "cache_bytes": 2, "peak_bytes": 100 - number},
    }
    return counters.count(**{**values, **changes})


def test_tokens_a_second_are_over_all_training_so_far():
    counters = Counters()
    assert step(counters, 1).tokens_per_second == 60
    assert step(counters, 2, seconds=1.5).tokens_per_second == 30
    assert (counters.tokens, counters.supervised_tokens, counters.seconds) == (60, 20, 2.0)


def test_the_first_loss_stays_the_last_follows_and_the_peak_never_falls():
    counters = Counters()
    lines = [step(counters, n) for n in (1, 2, 3)]
    assert (counters.loss_first, counters.loss_last) == (2.0, 0.0)
    assert [line.peak_memory_bytes for line in lines] == [99, 99, 99]


def test_a_validation_that_was_not_made_is_not_said():
    counters = Counters()
    assert "valid_loss" not in step(counters, 1).line()
    assert counters.validated(step(counters, 2), 1.25).line()["valid_loss"] == 1.25
    step(counters, 3)
    assert counters.valid_loss == 1.25


def test_the_line_has_the_names_of_the_contract():
    assert set(step(Counters(), 1).line()) == {
        *("step", "loss", "learning_rate", "grad_norm", "tokens", "supervised_tokens", "seconds", "tokens_per_second"),
        *("active_memory_bytes", "cache_memory_bytes", "peak_memory_bytes"),
    }


def test_counters_go_on_through_json():
    counters = Counters()
    step(counters, 1, loss=0.1 + 0.2)
    again = Counters(**json.loads(json.dumps(vars(counters))))
    assert again == counters
    assert step(again, 2) == step(counters, 2)


def test_no_time_is_no_division_by_zero():
    assert Counters().tokens_per_second == 0
    assert step(Counters(), 1, seconds=0.0).tokens_per_second == pytest.approx(30 / 1e-9)


def test_a_step_that_is_not_finite_is_counted_and_changes_no_loss():
    counters = Counters()
    nan = step(counters, 1, loss=float("nan"))
    assert (nan.line()["loss"], nan.line()["skipped"]) == (None, True)
    json.dumps(nan.line(), allow_nan=False)
    step(counters, 2, grad_norm=float("inf"))
    assert (counters.skipped, counters.skipped_in_a_row, counters.loss_first, counters.tokens) == (2, 2, None, 60)
    assert "skipped" not in step(counters, 3).line()
    assert (counters.skipped, counters.skipped_in_a_row, counters.loss_first) == (2, 0, 0.0)


def test_the_lowest_validation_loss_is_remembered():
    counters = Counters()
    for number, loss in enumerate((3.0, 1.0, 2.0, 1.0)):
        counters.validated(step(counters, number), loss)
    assert (counters.best_loss, counters.best_step, counters.since_best, counters.valid_loss) == (1.0, 1, 2, 1.0)


def test_the_last_finite_losses_are_remembered_and_spikes_are_counted():
    counters = Counters()
    for number in range(RECENT + 9):
        step(counters, number, loss=float(number), spike=number == 3)
    step(counters, 99, loss=float("nan"))
    assert counters.recent == [float(number) for number in range(9, RECENT + 9)]
    assert counters.spikes == 1
    assert step(counters, 100, spike=True).line()["spike"] is True
    assert "spike" not in step(counters, 101).line()
