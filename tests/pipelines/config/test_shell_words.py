"""Words of a command line: what a shell split, dashes, a missing key; each with the line that was meant."""

import shlex

import pytest

from pipelines.config import compose
from pipelines.config.shell_words import tidy, unreadable
from tasks.errors import ConfigError

SPLIT = "put it in quotes: "


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("lora.rank", "cannot read the override 'lora.rank'; write key=value, as in lora.rank=16"),
        ("quickstart", "cannot read the override 'quickstart'; write +experiment=quickstart"),
        ("rows.jsonl", "cannot read the override 'rows.jsonl'; write data.train=rows.jsonl"),
        ("lora.rank = 4", "lora.rank =: no space before '='; write lora.rank=4"),
        ("lora.rank =4", "lora.rank =4: no space before '='; write lora.rank=4"),
        ("lora.rank= 4", "lora.rank= 4: no space after '='; write lora.rank=4"),
        ("lora.targets=[q_proj, v_proj]", SPLIT + "'lora.targets=[q_proj, v_proj]'"),
        ("data.columns={prompt: question, completion: answer}", SPLIT + "'data.columns={prompt: question, completion"),
        ("data.columns=a:question data.columns=b:answer", "in quotes: 'data.columns={a: question, b: answer}'"),
        ("'data.columns={prompt=question}'", "a ':' between them: 'data.columns={prompt: question}'"),
        ("lora.targets=q_proj,v_proj", "a list is written 'lora.targets=[q_proj,v_proj]'"),
        ("lora.rank=4,8", "lora.rank=4,8: several values are several runs, which -m asks for"),
        ("+experiment=quickstart +experiment=wikisql", "experiment=... is given twice; choose one"),
        ("model=Qwen/Qwen3-0.6B", "write model.path=Qwen/Qwen3-0.6B"),
        ("data=rows.jsonl", "write data.train=rows.jsonl"),
        ("model=null", "model=null: model takes the name of a file of conf/model; choose from gemma3_1b, "),
        ("lora=8", "lora=8: lora takes the name of a file of conf/lora; choose from lora, rslora"),
        ("evaluate=false", "evaluate=false: evaluate takes the name of a file of conf/evaluate; choose from default, "),
    ],
)
def test_answers(line: str, answer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["data.train=x", *shlex.split(line)])
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("--lora.rank=4", "lora.rank=4"),
        ("--learning-rate=4", "learning_rate=4"),
        ("+experiment=quickstart.yaml", "+experiment=quickstart"),
        ("+experiment=./conf/experiment/quickstart.yaml lora=rslora.yml", "+experiment=quickstart lora=rslora"),
        ("-m --cfg job --info searchpath lora.rank=4", "-m --cfg job --info searchpath lora.rank=4"),
        ("--cfg=job data.train=conf/a.yaml", "--cfg=job data.train=conf/a.yaml"),
    ],
)
def test_understood(line: str, left: str) -> None:
    assert tidy(line.split()) == left.split()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("--lora.rank 4", "--lora.rank 4: keys are written without dashes, with '=': lora.rank=4"),
        ("--verbose", "--verbose: there is no such flag; keys are written key=value, as in lora.rank=16, and --help"),
        ("--verbose lora.rank=4", "--verbose: there is no such flag"),
    ],
)
def test_flags_that_are_none(line: str, answer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tidy(line.split())
    assert str(caught.value).startswith(answer)


def test_brackets_of_a_file_name_are_no_list() -> None:
    assert "in quotes of its own" in unreadable("data.train=rows(1).jsonl")
    with pytest.raises(ConfigError, match="in quotes of its own"):
        compose(["data.train=[rows.jsonl", "lora.rank=4"])
