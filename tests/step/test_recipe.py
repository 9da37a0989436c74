"""A recipe is frozen, and the last step is always due."""

import pytest
from pydantic import ValidationError

from tasks.errors import ConfigError
from tasks.settings import Train
from tests.training import recipe


def test_the_last_step_is_always_due():
    how = recipe(steps=7)
    assert [step for step in range(1, 8) if how.due(step, 3)] == [3, 6, 7]
    assert [step for step in range(1, 8) if how.due(step, None)] == [7]


def test_it_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        recipe().steps = 4


def test_a_run_ends_at_its_last_step_or_where_patience_runs_out():
    patient = recipe(steps=9, train=Train(eval_every=1, patience=3))
    assert [patient.ended(step, since) for step, since in ((0, 0), (5, 2), (5, 3), (9, 0), (9, 3))] == [
        None,
        None,
        "patience",
        "steps",
        "steps",
    ]
    assert recipe(steps=9).ended(5, 99) is None


def test_what_goes_by_validation_needs_rows():
    recipe(train=Train(eval_every=1)).check_rows(valid=False)
    recipe(train=Train(eval_every=1, patience=3)).check_rows(valid=True)
    with pytest.raises(ConfigError, match=r"train\.patience=3 goes by the validation loss.*give data\.valid"):
        recipe(train=Train(eval_every=1, patience=3)).check_rows(valid=False)
