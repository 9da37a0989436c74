from tasks.budget.anatomy import Anatomy
from tasks.budget.longest_row import STEP, longest_row
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.memory import GB, Checkpoint, Memory
from tests.tiny import tiny_model
from tests.training import recipe


def model_of(**changes):
    model = tiny_model("qwen3", **changes)
    attach(model, LoRA(rank=4, alpha=8.0))
    return model


def longest(limit: int, checkpoint: Checkpoint = "none", most: int = 4096) -> int:
    how = recipe(rule=LoRA(rank=4), memory=Memory(limit_gb=limit / GB, checkpoint=checkpoint))
    return longest_row(Anatomy(model_of()), how, most)


def test_more_memory_and_recomputing_give_longer_rows() -> None:
    short, long = longest(20_000_000), longest(40_000_000)
    assert 0 < short < long < 4096
    assert short % STEP == long % STEP == 0
    assert longest(20_000_000, "all") > short


def test_no_row_fits_and_every_row_fits() -> None:
    assert longest(100_000) == 0
    assert longest(10 * GB, most=2000) == 1920
