"""Saving a random adapter."""

from pathlib import Path

from tasks.adapter import record_probe, save_adapter
from tasks.lora import AnyRule, LoRA
from tasks.model import Model
from tasks.model.base import load_base
from tests.tiny import attach_random

FAMILIES = ["qwen3", "qwen3_moe", "gemma3_text", "llama"]


def saved(folder: Path, source: Model, rule: AnyRule | None = None, seed: int = 0):
    """Attaches a random adapter to a base, saves it, and gives the model and what was saved."""
    rule = rule or LoRA(rank=4, alpha=8.0)
    model = load_base(source).model
    attach_random(model, rule, seed=seed)
    probe = record_probe(model, list(range(20)))
    return model, save_adapter(folder, model, rule=rule, source=source, step=7, seed=seed, probe=probe)
