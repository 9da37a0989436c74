"""What is typed is stronger than what an experiment says of the same key or group."""

import pytest

from pipelines.config import compose, compose_variant

QUICK = "+experiment=quickstart"


def test_a_group_wins_by_what_its_choice_changes() -> None:
    run, plain = compose([QUICK, "evaluate=loss_only"]), compose([QUICK])
    assert (run.evaluate.generate, run.evaluate.samples) == (0, 0)
    assert (plain.evaluate.generate, plain.evaluate.max_new_tokens) == (128, 64)
    rslora = compose([QUICK, "lora=rslora", "lora.rank=4"])
    assert (rslora.lora.kind, rslora.lora.rank) == ("rslora", 4)


def test_a_layout_of_another_kind_leaves_the_experiment_s_keys_behind() -> None:
    padded = compose([QUICK, "batch=padded"]).batch
    assert padded.model_dump() == {"kind": "padded", "size": 8}
    packed = compose([QUICK, "batch=packed"]).batch
    assert packed.model_dump() == {"kind": "packed", "tokens": 768, "size": 1}, "both kinds have tokens: they stay"


def test_data_stays_where_another_way_of_reading_is_typed() -> None:
    assert compose([QUICK, "data=text"]).data.train == compose([QUICK]).data.train


@pytest.mark.parametrize(("typed", "left"), [("train.epochs=2", (None, 2.0)), ("train.steps=7", (7, None))])
def test_one_of_two_that_exclude_each_other(typed: str, left: tuple[int | None, float | None]) -> None:
    train = compose([QUICK, typed, "optim.warmup=1"]).train
    assert (train.steps, train.epochs) == left


def test_a_key_that_another_kind_has_asks_for_that_kind() -> None:
    assert compose([QUICK, "batch.size=4"]).batch.model_dump() == {"kind": "padded", "size": 4}
    assert compose([QUICK, "batch=packed", "batch.size=4"]).batch.model_dump()["size"] == 4


@pytest.mark.parametrize("values", [["evaluate=loss_only"], ["batch=padded"], ["train.epochs=2"], ["lora=rslora"]])
def test_a_variant_follows_the_same_rule(values: list[str]) -> None:
    assert compose_variant([QUICK], values) == compose([QUICK, *values])
