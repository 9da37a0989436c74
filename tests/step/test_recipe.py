"""A recipe is frozen, and the last step is always due."""

import pytest
from pydantic import ValidationError

from tests.training import recipe


def test_the_last_step_is_always_due():
    how = recipe(steps=7)
    assert [step for step in range(1, 8) if how.due(step, 3)] == [3, 6, 7]
    assert [step for step in range(1, 8) if how.due(step, None)] == [7]


def test_it_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        recipe().steps = 4
