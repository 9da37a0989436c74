import pytest
from pydantic import ValidationError

from pipelines.config import Run, compose


def test_a_run_is_frozen_and_strict() -> None:
    run = compose(["data.train=rows.jsonl"])
    with pytest.raises(ValidationError, match="frozen"):
        run.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Run.model_validate({**run.model_dump(), "colour": "red"})


def test_the_recipe_is_what_shapes_the_training() -> None:
    run = compose(["data.train=rows.jsonl", "lora=rslora", "loss=mse", "batch=padded", "seed=7"])
    recipe = run.recipe()
    assert (recipe.rule, recipe.layout, recipe.loss, recipe.optim) == (run.lora, run.batch, run.loss, run.optim)
    assert (recipe.memory, recipe.train, recipe.seed, recipe.steps) == (run.memory, run.train, 7, 0)
