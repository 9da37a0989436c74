"""Loads an adapter onto its base, strictly: everything that does not fit is reported at once, tensor by tensor."""

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from tasks.adapter.adapter import Adapter, read_adapter
from tasks.adapter.adapter_config import Config, read_config
from tasks.adapter.adapter_manifest import read_adapter_manifest
from tasks.adapter.adapter_tensors import DTYPES, read_tensors, tensor_digest, tensor_info
from tasks.adapter.base_record import read_base_record
from tasks.adapter.checksums import base_checksums
from tasks.errors import AdapterError, one_line
from tasks.lora import Rule
from tasks.lora.attach import adapter_parameters, attach
from tasks.model.family import blocks, projections


def load_adapter(path: Path, model: nn.Module, *, rule: Rule | None = None) -> Adapter:
    """Attaches the adapter at `path` to a freshly loaded base and fills it in, strictly.

    Everything that does not fit is gathered and raised once, by tensor: missing, unexpected, another shape, other
    bytes than when it was saved, and base parameters that differ from those it was trained on. An adapter of
    `mlx_lm.lora` has no manifest; only its names and shapes are checked.

    Args:
        path: the adapter directory.
        model: the base.
        rule: the rule that attached it, for a training, whose dropout is no part of an adapter; None reads the file.

    Raises:
        AdapterError: as above.
        TargetError: the model has no such projections.
    """
    config, stored, manifest = read_config(path), tensor_info(path), read_adapter_manifest(path)
    recorded = {} if manifest is None else manifest.tensors
    attach(model, _rule(config, model) if rule is None else rule)
    wanted = {name: array.shape for name, array in adapter_parameters(model).items()}
    tensors = read_tensors(path, wanted)
    problems = [f"{name} is missing, the model wants {shape}" for name, shape in wanted.items() if name not in stored]
    for name, (dtype, shape) in stored.items():
        if name not in wanted:
            problems.append(f"{name} {shape} is no adapter parameter of the model")
        elif shape != wanted[name]:
            problems.append(f"{name} is {shape}, the model wants {wanted[name]}")
        elif dtype not in DTYPES:
            problems.append(f"{name} is {dtype}, the model wants numbers in floating point")
        elif recorded.get(name, "") not in ("", tensor_digest(tensors[name])):
            problems.append(f"{name} has other bytes than when it was saved")
        elif not bool(mx.isfinite(tensors[name]).all()):
            problems.append(f"{name} contains NaN or an infinite number")
    problems += [f"{name} is missing" for name in recorded if name not in stored and name not in wanted]
    _raise(path, problems, len(wanted), "tensors do not fit")
    _check_base(path, model)
    model.load_weights([(name, array.astype(mx.float32)) for name, array in tensors.items()], strict=False)
    return read_adapter(path)


def _rule(config: Config, model: nn.Module) -> Rule:
    """The rule that attaches an adapter of this configuration to this model."""
    _, all_blocks = blocks(model)
    last = config.last_blocks if 0 < config.last_blocks < len(all_blocks) else None
    # Without keys mlx-lm adapts every linear map of the blocks, routers too.
    keys = config.parameters.get("keys") or sorted({path for block in all_blocks for path in projections(block)})
    return config.rule.over(tuple(keys), last)


def _check_base(path: Path, model: nn.Module) -> None:
    if (recorded := read_base_record(path)) is None:
        return
    current, problems = base_checksums(model), []
    for name in sorted({*recorded, *current}):
        was, now = recorded.get(name, "absent"), current.get(name, "absent")
        if was != now:
            problems.append(f"{name} was {was}, is {now}")
    _raise(path, problems, len(recorded), "base parameters are not those it was trained on")


def _raise(path: Path, problems: list[str], total: int, what: str) -> None:
    if problems:
        shown = "; ".join(one_line(problem, 400) for problem in problems[:4]) + ("; ..." if len(problems) > 4 else "")
        raise AdapterError(f"adapter at {path}: {len(problems)} of {total} {what}: {shown}")
