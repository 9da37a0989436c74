"""A web form changes the keys of a run and the choices of conf/, and reaches nothing else, however it is written."""

import os
from pathlib import Path

import pytest

from pipelines.config import CONF, compose_plain
from pipelines.config.form import check_experiment, check_overrides
from tasks.errors import ConfigError

FINE = [
    "lora.rank=16",
    "lora=rslora",
    "+lora.alpha=8",
    "lora.alpha=${lora.rank}",
    "lora.targets=[q_proj,v_proj]",
    "data.columns={prompt: question}",
    "data.train=/a folder/chat.jsonl",
    "name='a,b'",
    "~data.valid",
    "run_dir=null",
]
HYDRA = [
    "hydra.run.dir=x",
    "hydra.searchpath=[file:///tmp]",
    "+hydra/job_logging=default",
    "/hydra.run.dir=x",
    "++hydra.run.dir=x",
    "~hydra",
    "~hydra.run",
    "hydra@x=default",
    "+HYDRA/job_logging=default",  # a folder's case does not matter on a Mac
    "'hydra.run.dir'=x",
    " hydra.run.dir=x",
    "seed=1\nhydra.run.dir=x",
    "--config-dir=/tmp",
]
EXPERIMENT = [
    "experiment=quickstart",
    "+experiment=quickstart",
    "++experiment=quickstart",
    "+experiment@_global_=quickstart",
    "+EXPERIMENT=quickstart",
    "+/experiment=quickstart",
    "+./experiment=quickstart",
    "+data/../experiment=quickstart",
]
ELSEWHERE = [
    "model=../../elsewhere",
    "model=../experiment/quickstart",
    "model=[../../elsewhere]",
    "model=file:///tmp/x",
    "+../model=x",
    "+model@data=starter",
    "model@_global_=starter",
    "+model@hydra=starter",
    "+defaults=[{experiment: quickstart}]",
    "_target_=os.system",
]
RESOLVERS = [
    "name=${oc.env:HOME}",
    "name=${ oc.env : HOME}",
    "name='${oc.env:HOME}'",
    "name=$\\{oc.env\\:HOME\\}",
    "name='\\${oc.env:HOME}'",
    "name='${${model.path}:HOME}'",
    "name='${oc.${model.path}:HOME}'",
    "name='${lora.rank}${oc.env:HOME}'",
    "name='$${lora.rank}{oc.env:HOME}'",
    "model.path=[a,'${oc.env:HOME}']",
    "data.columns={a: '${oc.env:HOME}'}",
]
SWEEPS = ["seed=1,2", "seed=choice(1,2)", "seed=range(1,3)", "name=glob(*)"]


@pytest.mark.parametrize("override", FINE)
def test_what_a_form_may_change(override: str) -> None:
    assert check_overrides([override]) == [override]


@pytest.mark.parametrize("override", [*HYDRA, *EXPERIMENT, *ELSEWHERE, *RESOLVERS, *SWEEPS, "lora.rank", "", "="])
def test_what_it_must_not_reach(override: str) -> None:
    with pytest.raises(ConfigError, match=r"not allowed here|cannot read the override") as caught:
        check_overrides(["lora.rank=4", override])
    assert repr(override) in str(caught.value)


def test_a_choice_outside_conf_would_otherwise_be_read(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("path: from-elsewhere\n", encoding="utf-8")
    override = f"model={os.path.relpath(tmp_path / 'own', CONF / 'model')}"
    assert compose_plain([override])["model"]["path"] == "from-elsewhere", "Hydra has mended it: the rule can go"
    with pytest.raises(ConfigError, match="choose from"):
        check_overrides([override])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("lorra.rank=2", "did you mean lora"),
        ("lora=rslor", "choose from lora, rslora"),
        ("+experiment=quickstart", "a field of its own"),
        ("seed=1,2", "several runs"),
        ("+model@data=starter", "name a key with dots"),
    ],
)
def test_the_refusal_says_what_to_write(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_overrides([override])


def test_an_unknown_experiment_lists_what_there_is() -> None:
    assert check_experiment("none") == "none"
    with pytest.raises(ValueError, match="quickstart"):
        check_experiment("nope")
