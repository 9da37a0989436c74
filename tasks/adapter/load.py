"""Loading an adapter onto its base, strictly: what does not fit is told at once, tensor by tensor."""

import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from tasks.adapter.adapter import BASE, Adapter, Config, read_adapter, read_config, read_tensors, tensor_digest
from tasks.adapter.checksums import base_checksums
from tasks.artifact import read_manifest
from tasks.errors import AdapterError
from tasks.lora import Rule
from tasks.lora.attach import adapter_parameters, attach
from tasks.model.family import blocks, projections


def load_adapter(path: Path, model: nn.Module, *, rule: Rule | None = None) -> Adapter:
    """Attaches the adapter at `path` to a freshly loaded base and fills it in, strictly.

    Everything that does not fit is gathered and raised once, by tensor: missing, unexpected, another shape, other
    bytes than when it was saved, and base parameters that differ from those it was trained on. An adapter of
    `mlx_lm.lora` has no manifest; it is held to names and shapes only.

    Args:
        path: the adapter directory.
        model: the base.
        rule: by which it was attached, for a training, whose dropout is no part of an adapter; None reads the file.

    Raises:
        AdapterError: as above.
        TargetError: the model has no such projections.
    """
    config, tensors, manifest = read_config(path), read_tensors(path), read_manifest(path) or {}
    attach(model, _rule(config, model) if rule is None else rule)
    wanted = adapter_parameters(model)
    problems = [
        f"{name} is missing, the model wants {array.shape}" for name, array in wanted.items() if name not in tensors
    ]
    for name, array in tensors.items():
        if name not in wanted:
            problems.append(f"{name} {array.shape} is no adapter parameter of the model")
        elif array.shape != wanted[name].shape:
            problems.append(f"{name} is {array.shape}, the model wants {wanted[name].shape}")
        elif not mx.issubdtype(array.dtype, mx.floating):
            problems.append(f"{name} is {array.dtype}, the model wants numbers in floating point")
        elif manifest.get("tensors", {}).get(name, tensor_digest(array)) != tensor_digest(array):
            problems.append(f"{name} holds other bytes than when it was saved")
    lost = [name for name in manifest.get("tensors", {}) if name not in tensors and name not in wanted]
    problems += [f"{name} is missing" for name in lost]
    _raise(path, problems, len(wanted), "tensors do not fit")
    _check_base(path, model)
    model.load_weights([(name, array.astype(mx.float32)) for name, array in tensors.items()], strict=False)
    return read_adapter(path)


def _rule(config: Config, model: nn.Module) -> Rule:
    """The rule that attaches to this model what a configuration is of."""
    _, all_blocks = blocks(model)
    last = config.last_blocks if 0 < config.last_blocks < len(all_blocks) else None
    # Without keys mlx-lm adapts every linear map of the blocks, routers too.
    keys = config.parameters.get("keys") or sorted({path for block in all_blocks for path in projections(block)})
    return config.rule.over(tuple(keys), last)


def _check_base(path: Path, model: nn.Module) -> None:
    if not (path / BASE).is_file():
        return
    try:
        recorded = dict(json.loads((path / BASE).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise AdapterError(f"adapter at {path}: {BASE} cannot be read: {error}") from error
    found, problems = base_checksums(model), []
    for name in sorted({*recorded, *found}):
        was, now = recorded.get(name, "absent"), found.get(name, "absent")
        if was != now:
            problems.append(f"{name} was {was}, is {now}")
    _raise(path, problems, len(recorded), "base parameters are not those it was trained on")


def _raise(path: Path, problems: list[str], total: int, what: str) -> None:
    if problems:
        shown = "; ".join(problems[:4]) + ("; ..." if len(problems) > 4 else "")
        raise AdapterError(f"adapter at {path}: {len(problems)} of {total} {what}: {shown}")
