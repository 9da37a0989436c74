"""Attaches a rule to a frozen model: its projections are wrapped from one seed, in one deterministic order."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from tasks.lora.adapted import Adapted
from tasks.lora.rule import Rule
from tasks.model.family import blocks, projections, select_projections
from tasks.patch import original, replaced


def attach(model: nn.Module, rule: Rule, seed: int = 0) -> list[str]:
    """Wraps the projections that a rule targets; returns their full names, sorted.

    The same seed draws the same numbers whatever the order of the targets. Afterwards the layers' trained parameters
    are the model's only trainable ones.

    Raises:
        TargetError: a target that no projection answers to.
        ModelError: the model has no list of blocks.

    Example:
        >>> from tasks.lora import LoRA
        >>> model = nn.Module()
        >>> model.layers = [nn.Sequential(nn.Linear(4, 2))]
        >>> attach(model, LoRA(rank=1))
        ['layers.0.layers.0']
        >>> len(adapter_parameters(model))
        2
    """
    prefix, all_blocks = blocks(model)
    wanted = set(select_projections(model, rule.targets, rule.last_blocks))
    first = len(all_blocks) - (rule.last_blocks or len(all_blocks))
    linears = {
        f"{prefix}.{index}.{path}": linear
        for index, block in enumerate(all_blocks[first:], start=first)
        for path, linear in projections(block).items()
        if path in wanted
    }
    names = sorted(linears)
    keys = mx.random.split(mx.random.key(seed), len(names)) if names else []
    wrapped = [(name, rule.wrap(linears[name], key)) for name, key in zip(names, keys, strict=True)]
    model.freeze()
    model.update_modules(tree_unflatten(wrapped))
    for _, layer in wrapped:
        layer.unfreeze(keys=list(layer.trained), recurse=False)
        layer.train(model.training)
    return names


def adapted_layers(model: nn.Module) -> dict[str, Adapted]:
    """The wrapped layers of a model by full name, sorted."""
    return {name: module for name, module in sorted(model.named_modules()) if isinstance(module, Adapted)}


def adapter_parameters(model: nn.Module) -> dict[str, mx.array]:
    """The adapter's parameters by full name, sorted: the one order in which they are written; float32."""
    layers = adapted_layers(model).items()
    return dict(sorted((f"{name}.{leaf}", layer[leaf]) for name, layer in layers for leaf in layer.trained))


@contextmanager
def unscaled(model: nn.Module) -> Iterator[dict[str, float]]:
    """Takes the strength out of every wrapped layer for the block, whose parameters must be given scaled already.

    Whoever hands the layers their parameters multiplies all of them at once, instead of each layer its own in both
    directions of every step.

    Yields:
        The factor of each parameter that a strength multiplies, by its full name.

    Example:
        >>> from tasks.lora import LoRA
        >>> model = nn.Module()
        >>> model.layers = [nn.Sequential(nn.Linear(4, 2))]
        >>> (name,) = attach(model, LoRA(rank=1, alpha=3.0))
        >>> with unscaled(model) as factors:
        ...     list(factors.values()), adapted_layers(model)[name].scale
        ([3.0], 1.0)
        >>> adapted_layers(model)[name].scale
        3.0
    """
    layers = {name: layer for name, layer in adapted_layers(model).items() if layer.scaled}
    with ExitStack() as stack:
        for layer in layers.values():
            stack.enter_context(replaced(layer, "scale", 1.0))
        yield {f"{name}.{leaf}": original(layer, "scale") for name, layer in layers.items() for leaf in layer.scaled}


def draw_dropout(model: nn.Module, key: mx.array) -> None:
    """Hands each wrapped layer its own dropout key for the coming step; the same key gives the same masks."""
    layers = adapted_layers(model)
    for layer, layer_key in zip(layers.values(), mx.random.split(key, max(1, len(layers))), strict=False):
        layer._key = layer_key
