"""Values that are none of a key: what was wanted, in plain words, and what to write; never pydantic's own words."""

import pytest

from pipelines.config import compose_variant
from tasks.errors import ConfigError

QUICK = ["+experiment=quickstart"]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("train.steps=1k", 'train.steps="1k": give a whole number; write train.steps=1000'),
        ("train.steps=1e3", "train.steps=1000.0: give a whole number; write train.steps=1000"),
        ("memory.limit_gb=8GB", 'memory.limit_gb="8GB": give a number; write memory.limit_gb=8'),
        ("optim.lr=1e-4x", 'optim.lr="1e-4x": give a number'),
        ("optim.lr=.nan", "optim.lr="),
        ("lora.rank=eight", 'lora.rank="eight": give a whole number'),
        ("lora.rank=true", "lora.rank=true: give a whole number"),
        ("lora.rank=4.5", "lora.rank=4.5: give a whole number"),
        ("lora.rank=-4", "lora.rank=-4: give a number of at least 1"),
        ("lora.dropout=1.5", "lora.dropout=1.5: give a number below 1"),
        ("lora.dropout=null", "lora.dropout=null: give a number"),
        ("train.eval_every=never", 'train.eval_every="never": give a whole number; write train.eval_every=null'),
        ("train.eval_every=often", 'train.eval_every="often": give a whole number or null'),
        ("data.valid=0.1", "data.valid=0.1: give a file; a share of train is data.valid_share=0.1"),
        ("data.train=''", "data.train is not given; say data.train=FILE, or +experiment=quickstart for a first run"),
        ("data.columns=prompt", """data.columns="prompt": give names and values; write 'data.columns={name: value}'"""),
        ("model.dtype=bf16", 'model.dtype="bf16": did you mean bfloat16? choose from auto, float32, bfloat16, float16'),
        ("model.quantize=7", "model.quantize=7: choose from 2, 3, 4, 5, 6, 8"),
        ("train.final=Best", 'train.final="Best": did you mean best? choose from last, best'),
        ("resume=true", "resume=true: did you mean auto? choose from auto, never, extend"),
        ("orchestrate=maybe", 'orchestrate="maybe": give true or false'),
        ("sinks=console", """sinks="console": give a list; write 'sinks=[console]'"""),
        ("verify.checks=[]", "verify.checks=[]: give a list that is not empty"),
        ("seed=4294967296", "seed=4294967296: give a number below 4294967296"),
        ("name=3", """name=3: give a text; write "name='3'\""""),
        ("data.strict=yes", 'data.strict="yes": give true or false; write data.strict=true'),
        ("model.quantize=4bit", 'model.quantize="4bit": did you mean 4? choose from 2, 3, 4, 5, 6, 8'),
    ],
)
def test_answers(typed: str, answer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose_variant(QUICK, [typed])
    said = str(caught.value)
    assert said == answer if not answer.endswith("=") else said.startswith(answer)
    assert not any(words in said for words in ("Input should", "String should", "Tuple should", "valid "))


def test_one_mistake_is_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        compose_variant(QUICK, ["verify.checks=[file]"])
    assert str(caught.value).startswith('verify.checks.0="file": did you mean files? choose from files, reload_logits')
    assert "\n" not in str(caught.value)
