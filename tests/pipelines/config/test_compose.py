"""Composing and decoding: what is right decodes to frozen records, what is wrong is said at once, with the fix."""

import json

import pytest
import yaml
from pydantic import ValidationError

from pipelines.config import (
    CONF,
    EXPERIMENTS,
    Run,
    compose,
    compose_plain,
    compose_variant,
    decode,
    lenient,
)
from tasks.errors import ConfigError

GIVEN = ["data.train=rows.jsonl"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_decodes(name: str) -> None:
    run = compose([f"+experiment={name}"])
    assert run.name == name
    assert compose([f"+experiment={name}"]) == run


@pytest.mark.parametrize(
    "values",
    [
        ["lora.rank=4", "optim.lr=3e-05", "lora.targets=[q_proj]", "data.max_tokens=null", "run_dir='/a b,c'"],
        ["lora=rslora", "lora.rank=16", "batch=packed", "batch.tokens=128"],
        ["train.steps=7", "lora.rank=4", "lora.rank=5"],
    ],
)
def test_a_variant_is_what_composing_gives(values: list[str]) -> None:
    base = ["+experiment=quickstart", "lora.alpha=${lora.rank}", "verify=quick"]
    for _ in range(2):
        assert compose_variant(base, values) == compose([*base, *values])
    assert compose_variant(base, []) == compose(base), "what others share is left as it was"


@pytest.mark.parametrize("wrong", ["lora.rnk=4", "lora.rank=abc", "lorra.rank=4", "lora=nope", "lora.rank.deep=4"])
def test_a_wrong_variant_is_said_as_composing_says_it(wrong: str) -> None:
    with pytest.raises(ConfigError) as said:
        compose([*GIVEN, wrong])
    with pytest.raises(ConfigError) as found:
        compose_variant(GIVEN, [wrong])
    assert str(found.value) == str(said.value)


OTHERS = ("experiment", "schedule", "sweep")  # not keys of a run


@pytest.mark.parametrize(
    "choice", [f"{p.parent.name}={p.stem}" for p in sorted(CONF.glob("*/*.yaml")) if p.parent.name not in OTHERS]
)
def test_every_choice_composes_and_decodes(choice: str) -> None:
    assert compose([choice, *GIVEN]).data.train == "rows.jsonl"


def test_the_defaults_of_the_yaml_files_are_those_of_the_records() -> None:
    run = compose(GIVEN)
    for name in ("data", "batch", "lora", "loss", "optim", "memory", "train", "evaluate"):
        record = getattr(run, name)
        needed = {"train": "rows.jsonl"} if name == "data" else {}
        default = type(record).model_validate({**needed})
        named = compose_plain([])[name]
        differ = {key for key in named if getattr(record, key) != getattr(default, key)}
        assert differ <= {"train"} | ({"eval_every", "save_every"} if name == "train" else set()), name


def test_a_run_is_frozen_and_survives_its_own_yaml() -> None:
    run = compose(GIVEN)
    with pytest.raises(ValidationError, match="frozen"):
        run.seed = 1  # pyright: ignore[reportAttributeAccessIssue]
    assert decode(yaml.safe_load(yaml.safe_dump(run.model_dump(mode="json")))) == run


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("lora.rnk=4", ["lora.rnk=4", "did you mean lora.rank?"]),
        ("+lora.rnk=4", ["lora.rnk=4", "did you mean lora.rank?"]),
        ("bath.size=3", ["bath", "did you mean batch?"]),
        ("lora.rank=0", ["lora.rank=0", "at least 1"]),
        ("lora.rank=4.5", ["lora.rank=4.5", "whole number"]),
        ("lora.rank=true", ["lora.rank=true", "whole number"]),
        ("optim.lr=abc", ['optim.lr="abc"', "number"]),
        ("optim.lr=.nan", ["optim.lr"]),
        ("loss.kind=foo", ['loss.kind="foo"', "masked_cross_entropy"]),
        ("lora=lorra", ["lora=lorra", "did you mean lora?", "rslora"]),
        ("+experiment=quikstart", ["experiment=quikstart", "did you mean quickstart?"]),
        ("data.train=null", ["data.train is not given"]),
        ("model.quantize=7", ["model.quantize=7"]),
        ("name=../x", ['name="../x"']),
        ("lora.rank", ["'lora.rank'", "key=value"]),
        ("name=../x", ["letters, digits"]),
        ("experiment=quickstart", ["write +experiment="]),
        ("lora.rank=2,4", ["lora.rank=2,4", "-m"]),
        ("data.train=[x", ["'data.train=[x'", "in quotes"]),
        ("data.train=rows(1).jsonl", ["'data.train=rows(1).jsonl'", "in quotes"]),
        ("data.train=${nowhere}", ["nowhere"]),
        ("verify.checks=[reload]", ["verify.checks", "reload_logits"]),
        ("sinks=[tensorboard]", ['sinks.0="tensorboard": there is no such sink; choose from console, jsonl']),
    ],
)
def test_a_mistake_names_the_key_the_value_and_the_fix(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([*GIVEN, override])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_key_of_another_kind_says_so() -> None:
    with pytest.raises(ConfigError, match=r"no such key with batch=padded; '~batch\.tokens' takes it away"):
        compose(["+experiment=quickstart", "batch=padded", "batch.tokens=768"])


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["lora.rnk=4", "lora.rank=abc", "optim.lr=-3"])
    message = str(caught.value)
    assert message.startswith("4 problems")
    assert all(key in message for key in ("lora.rnk", "lora.rank", "optim.lr", "data.train"))


def test_steps_and_epochs_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"not both; got steps=3, epochs=2\.0"):
        compose([*GIVEN, "train.steps=3", "train.epochs=2.0"])


def test_one_target_needs_no_brackets() -> None:
    assert compose([*GIVEN, "lora.targets=q_proj"]).lora.targets == ("q_proj",)
    assert compose([*GIVEN, "lora.targets=[q_proj,v_proj]"]).lora.targets == ("q_proj", "v_proj")


def test_keys_of_records_that_no_yaml_names_can_be_set() -> None:
    assert lenient(["loss.z_loss=0.1"]) == ["++loss.z_loss=0.1"]
    assert compose([*GIVEN, "loss.z_loss=1e-4"]).loss.model_dump()["z_loss"] == 1e-4


def test_composing_leaves_hydra_as_it_was() -> None:
    from hydra.core.global_hydra import GlobalHydra

    before = GlobalHydra.instance().hydra
    compose(GIVEN)
    assert GlobalHydra.instance().hydra is before


def test_decoding_refuses_what_json_cannot_say() -> None:
    plain = compose_plain(GIVEN)
    plain["optim"]["lr"] = float("inf")
    with pytest.raises(ConfigError, match=r"optim\.lr"):
        decode(plain)
    assert isinstance(decode(json.loads(json.dumps(compose_plain(GIVEN)))), Run)


@pytest.mark.parametrize("value", ["[" * 500 + "]" * 500, "{a:" * 500 + "1" + "}" * 500])
def test_what_is_too_deep_is_one_line(value: str) -> None:
    for ask in (compose, compose_plain):
        with pytest.raises(ConfigError, match="nested too deep"):
            ask([f"data.template_kwargs={value}"])
