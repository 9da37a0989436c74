"""What is drawn, under which conditions, and how it reads to Hydra."""

import optuna
import pytest

from pipelines.search import space
from pipelines.search.config import Categorical, Float, Int

RULES = Categorical(kind="categorical", choices=("lora", "rslora"))
DROPOUT = Float(kind="float", low=0.1, high=0.5, when={"lora": "rslora"})
BLOCKS = Int(kind="int", low=1, high=2, when={"lora.dropout": [0.1], "lora": ["rslora"]})
CHAIN = {"lora.last_blocks": BLOCKS, "lora.dropout": DROPOUT, "lora": RULES}


def test_a_key_comes_after_those_of_its_condition() -> None:
    assert space.ordered(CHAIN) == ["lora", "lora.dropout", "lora.last_blocks"]


def test_keys_in_a_circle_are_left_out() -> None:
    a, b = (Int(kind="int", low=0, high=1, when={other: 0}) for other in "ba")
    assert space.ordered({"a": a, "b": b, "lora": RULES}) == ["lora"]


def test_a_key_that_is_not_in_play_is_not_drawn() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [space.suggest(study.ask(), {"lora.dropout": DROPOUT, "lora": RULES}) for _ in range(20)]
    assert {("lora.dropout" in values, values["lora"]) for values in drawn} == {(True, "rslora"), (False, "lora")}


def test_a_list_is_a_choice_too() -> None:
    targets = Categorical(kind="categorical", choices=(["q_proj", "v_proj"], ["all"]))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [space.suggest(study.ask(), {"lora.targets": targets})["lora.targets"] for _ in range(10)]
    assert sorted({*map(tuple, drawn)}) == [("all",), ("q_proj", "v_proj")]


def test_a_grid_has_each_combination_once() -> None:
    stepped = Float(kind="float", low=0.1, high=0.3, step=0.1, when={"lora": "rslora"})
    grid = space.grid({"lora.dropout": stepped, "lora": RULES})
    assert len(grid) == 4
    assert grid[0] == {"lora": "lora"}
    assert [round(values["lora.dropout"], 6) for values in grid[1:]] == [0.1, 0.2, 0.3]


def test_a_grid_needs_steps() -> None:
    with pytest.raises(ValueError, match="a grid needs a step"):
        space.grid({"optim.lr": Float(kind="float", low=0.1, high=1.0)})


def test_the_probes_put_each_key_in_play() -> None:
    for key, values in space.probes(CHAIN):
        assert space.in_play(CHAIN[key], values), (key, values)
