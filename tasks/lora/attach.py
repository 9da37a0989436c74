"""Attaching LoRA to a frozen model: which projections, wrapped from one seed, in one deterministic order."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from tasks.lora.layers import LoRALinear, LoRASwitchLinear, wrap
from tasks.model.family import blocks, projections
from tasks.patch import original, replaced


def attach(
    model: nn.Module,
    paths: Sequence[str],
    *,
    rank: int,
    scale: float,
    dropout: float = 0.0,
    last_blocks: int | None = None,
    seed: int = 0,
) -> list[str]:
    """Wraps the projections at `paths` inside the last `last_blocks` blocks; returns their full names, sorted.

    The same seed draws the same A matrices whatever the order of `paths`. The adapters are the model's only
    trainable parameters afterwards.
    """
    prefix, all_blocks = blocks(model)
    first = len(all_blocks) - (last_blocks or len(all_blocks))
    wanted = set(paths)
    found = {
        f"{prefix}.{index}.{path}": linear
        for index, block in enumerate(all_blocks[first:], start=first)
        for path, linear in projections(block).items()
        if path in wanted
    }
    names = sorted(found)
    keys = mx.random.split(mx.random.key(seed), len(names)) if names else []
    wrapped = [
        (name, wrap(found[name], rank=rank, scale=scale, dropout=dropout, key=key))
        for name, key in zip(names, keys, strict=True)
    ]
    model.freeze()
    model.update_modules(tree_unflatten(wrapped))
    for _, layer in wrapped:
        layer.unfreeze(keys=["lora_a", "lora_b"], recurse=False)
        layer.train(model.training)
    return names


def adapted_layers(model: nn.Module) -> dict[str, LoRALinear | LoRASwitchLinear]:
    """The wrapped layers of a model by full name, sorted."""
    return {
        name: module
        for name, module in sorted(model.named_modules())
        if isinstance(module, LoRALinear | LoRASwitchLinear)
    }


@contextmanager
def unscaled(model: nn.Module) -> Iterator[dict[str, float]]:
    """Inside, every wrapped layer takes its `lora_b` as scaled already, and so adds (x @ A) @ B; undone on leaving.

    Whoever hands the layers their parameters multiplies all of them at once, instead of each layer its own in both
    directions of every step.

    Yields:
        The factor of each `lora_b`, by its full name.

    Example:
        >>> model = nn.Sequential(wrap(nn.Linear(4, 2), rank=1, scale=3.0, dropout=0.0, key=mx.random.key(0)))
        >>> with unscaled(model) as factors:
        ...     factors, model.layers[0].scale
        ({'layers.0.lora_b': 3.0}, 1.0)
        >>> model.layers[0].scale
        3.0
    """
    layers = adapted_layers(model)
    with ExitStack() as stack:
        for layer in layers.values():
            stack.enter_context(replaced(layer, "scale", 1.0))
        yield {f"{name}.lora_b": original(layer, "scale") for name, layer in layers.items()}


def draw_dropout(model: nn.Module, key: mx.array) -> None:
    """Hands each wrapped layer its own dropout key for the coming step; the same key gives the same masks."""
    layers = adapted_layers(model)
    for layer, own in zip(layers.values(), mx.random.split(key, max(1, len(layers))), strict=False):
        layer._key = own
