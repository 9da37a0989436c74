import pytest
from pydantic import ValidationError

from pipelines.config import Run, compose


def test_a_run_is_frozen_and_strict() -> None:
    run = compose(["data.train=rows.jsonl"])
    with pytest.raises(ValidationError, match="frozen"):
        run.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Run.model_validate({**run.model_dump(), "colour": "red"})
