"""The `data` group."""

import pytest
from pydantic import ValidationError

from tasks.data import Data


def test_from_json():
    data = Data.model_validate_json('{"train": "a", "columns": {"prompt": "q"}, "template_kwargs": {"x": [1]}}')
    assert (data.columns, data.strict, data.truncate) == ({"prompt": "q"}, True, "error")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"train": ""}', "at least 1 character"),
        ('{"train": "a", "max_tokens": 1}', "greater than or equal to 2"),
        ('{"train": "a", "valid_share": 1.0}', "less than 1"),
        ('{"train": "a", "columns": {"promt": "q"}}', "no names of ours"),
        ('{"train": "a", "supervise": "user"}', "'assistant', 'last'"),
        ('{"train": "a", "trains": "b"}', "Extra inputs"),
    ],
)
def test_refused(text: str, reason: str):
    with pytest.raises(ValidationError, match=reason):
        Data.model_validate_json(text)
