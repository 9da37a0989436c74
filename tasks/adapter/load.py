"""Loading an adapter onto its base, strictly: what does not fit is told at once, tensor by tensor."""

import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from tasks.adapter.adapter import BASE, Adapter, read_adapter, read_config, read_tensors, tensor_digest
from tasks.adapter.names import adapter_parameters, base_checksums
from tasks.artifact import read_manifest
from tasks.errors import AdapterError
from tasks.lora.attach import attach
from tasks.model.family import blocks, projections, select_projections


def load_adapter(path: Path, model: nn.Module, *, dropout: float = 0.0) -> Adapter:
    """Attaches the adapter at `path` to a freshly loaded base and fills it in, strictly.

    Everything that does not fit is gathered and raised once, by tensor: missing, unexpected, another shape, other
    bytes than when it was saved, and base parameters that differ from those it was trained on. An adapter of
    `mlx_lm.lora` has no manifest; it is held to names and shapes only.

    Raises:
        AdapterError: as above.
        TargetError: the model has no such projections.
    """
    config, tensors = read_config(path), read_tensors(path)
    manifest = read_manifest(path) or {}
    parameters = config["lora_parameters"]
    _, all_blocks = blocks(model)
    last = config["num_layers"] if 0 < config["num_layers"] < len(all_blocks) else None
    # Without keys mlx-lm adapts every linear map of the blocks, routers too.
    keys = parameters.get("keys") or sorted({path for block in all_blocks for path in projections(block)})
    select_projections(model, keys, last)
    attach(model, keys, rank=parameters["rank"], scale=parameters["scale"], dropout=dropout, last_blocks=last)
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
