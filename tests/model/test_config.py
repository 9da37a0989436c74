import pytest
from pydantic import ValidationError

from tasks.model import Model


def test_a_path_is_all_that_is_needed():
    model = Model(path="Qwen/Qwen3-0.6B")
    assert (model.dtype, model.quantize, model.group_size, model.revision) == ("auto", None, 64, None)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"path": ""}, {"path": "m", "quantize": 7}, {"path": "m", "dtype": "float8"}, {"path": "m", "quantise": 4}],
)
def test_what_is_unknown_or_out_of_range_is_refused(wrong):
    with pytest.raises(ValidationError):
        Model.model_validate(wrong)


def test_it_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Model(path="m").path = "n"  # pyright: ignore[reportAttributeAccessIssue]
