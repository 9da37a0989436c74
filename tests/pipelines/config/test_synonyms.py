"""Names that people bring along from other tools, each answered by what to write here."""

import pytest

from pipelines.config import Run, compose, compose_plain
from pipelines.config.explain import keys_of
from pipelines.config.synonyms import CHOICES, NAMES, SENTENCES, SWITCHES, synonym
from tasks.errors import ConfigError

KNOWN = keys_of(Run)
PLAIN = {"lora": {"rank": 8}}


@pytest.mark.parametrize(
    ("typed", "value", "answer"),
    [
        ("lr", 0.01, "write optim.lr=0.01"),
        ("learning_rate", 1e-5, "write optim.lr=1e-05"),
        ("optim.learning_rate", 0.01, "write optim.lr=0.01"),
        ("lora.num_layers", 4, "write lora.last_blocks=4"),
        ("num_layers", -1, "write lora.last_blocks=null"),
        ("max_seq_length", 512, "write data.max_tokens=512"),
        ("batch_size", 4, "write batch=padded batch.size=4"),
        ("per-device-train-batch-size", 4, "write batch=padded batch.size=4"),
        ("epochs", 2, "write train.epochs=2"),
        ("num_train_epochs", 2, "write train.epochs=2"),
        ("iters", 100, "write train.steps=100"),
        ("lora.scale", 20, "alpha is scale * rank: write lora.alpha=160"),
        ("lora_parameters.scale", 2.5, "alpha is scale * rank: write lora.alpha=20"),
        ("lora.target_modules", ["q_proj", "v_proj"], "write 'lora.targets=[q_proj,v_proj]'"),
        ("r", 16, "write lora.rank=16"),
        ("rank", 16, "write lora.rank=16"),
        ("gradient_accumulation_steps", 4, "write train.accumulate=4"),
        ("sample_packing", True, "write batch=packed"),
        ("sample_packing", False, "write batch=padded"),
        ("grad_checkpoint", True, "write memory.checkpoint=all"),
        ("load_in_4bit", True, "write model.quantize=4"),
        ("bf16", True, "write model.dtype=bfloat16"),
        ("optimizer", "adamw", "write optim=adamw"),
        ("base_model", "Qwen/Qwen3-0.6B", "write model.path=Qwen/Qwen3-0.6B"),
        ("output_dir", "a b", "write \"run_dir='a b'\""),
        ("wandb", True, "metrics.jsonl"),
        ("report_to", "wandb", "sinks="),
        ("use_dora", True, "DoRA"),
        ("lora.rnk", 4, None),
        ("nothing_like_it", 4, None),
        ("kind", "lora", None),
    ],
)
def test_answers(typed: str, value: object, answer: str | None) -> None:
    said = synonym(typed, value, KNOWN, PLAIN)
    assert said == answer if answer is None or answer.startswith(("write", "alpha")) else answer in str(said)


def test_without_a_rank_the_formula_is_said() -> None:
    assert synonym("lora.scale", 20, KNOWN, {}) == "write lora.alpha=..., which is scale * rank"


def test_every_name_leads_to_a_key_or_choice_that_there_is() -> None:
    groups = [name for name in KNOWN if "." not in name]
    written = [w.strip("'").partition("=")[0] for pair in SWITCHES.values() for w in pair]
    assert {*NAMES, *written, *CHOICES.values()} <= {*KNOWN, *groups}


def test_no_name_stands_twice_or_is_a_key_of_its_own() -> None:
    names = " ".join([*NAMES.values(), *SWITCHES, *CHOICES, *SENTENCES]).split()
    assert sorted(names) == sorted(set(names))
    assert not {*names} & {*KNOWN}


def test_records_that_are_no_run_have_no_synonyms() -> None:
    assert synonym("wandb", True, ["budget.trials"], {}) is None


@pytest.mark.parametrize("name", ["lr=0.01", "lora.num_layers=4"])
def test_what_is_answered_can_be_typed(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["data.train=x", name])
    advice = str(caught.value).rpartition("write ")[2]
    assert compose_plain(["data.train=x", advice])
    assert compose(["data.train=x", advice])
