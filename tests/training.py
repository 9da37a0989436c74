"""Training a tiny adapter for real, by the undecorated stages."""

from pathlib import Path
from typing import Any

from tasks.batch import Bucketed
from tasks.data import TokenCache
from tasks.inject import inject
from tasks.lora import LoRA
from tasks.loss import MaskedCrossEntropy
from tasks.memory import Memory
from tasks.model import Model
from tasks.optim import AdamW
from tasks.settings import Train
from tasks.sink import SINKS, Sinks
from tasks.step import Recipe
from tasks.train import Trained, train


def recipe(**changes: Any) -> Recipe:
    """Three steps of a small adapter, or what `changes` say."""
    settings: dict[str, Any] = {
        "rule": LoRA(rank=4, alpha=8.0),
        "layout": Bucketed(tokens=256),
        "loss": MaskedCrossEntropy(),
        "optim": AdamW(lr=1e-2),
        "memory": Memory(),
        "train": Train(),
        "steps": 3,
        "seed": 0,
    }
    return Recipe(**{**settings, **changes})


def train_in(
    folder: Path, cache: TokenCache, source: Model, how: Recipe, sinks: tuple[str, ...] = ("jsonl",)
) -> Trained:
    """Injects and trains under `folder`; again on the same folder it resumes."""
    folder.mkdir(parents=True, exist_ok=True)
    start = inject.fn(source, how.rule, how.seed, folder / "start")
    return train.fn(start, cache, how, source, folder, Sinks(tuple(SINKS[name] for name in sinks)), 48)
