"""The adapter directory: mlx-lm's two files, plus a manifest that lets a reload be proven.

adapters.safetensors    the parameters, float32, in the order of their names
adapter_config.json     mlx-lm's: rank, scale, dropout, keys, number of blocks
base.json               what each base parameter held, so that another base is noticed
probe.safetensors       fixed tokens and their logits at the end of training (tasks/adapter/probe.py)
manifest.json           the rule, the step, a digest of each tensor and file; written last
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from safetensors.numpy import save_file

from tasks.adapter.names import adapter_parameters, base_checksums
from tasks.adapter.probe import PROBE_FILE, Probe
from tasks.artifact import Record, atomic_directory, file_digest, read_manifest, write_json
from tasks.errors import AdapterError
from tasks.lora import Rule
from tasks.lora.attach import adapted_layers, attach
from tasks.model import Model
from tasks.model.family import blocks, model_type, projections, select_projections

WEIGHTS, CONFIG, BASE = "adapters.safetensors", "adapter_config.json", "base.json"


class Adapter(Record):
    """An adapter directory that is complete.

    Attributes:
        path: the directory.
        sha256: the digest of its weights file.
        step: optimizer steps it was trained for.
        parameters: how many numbers it holds.
        modules: how many projections it adapts.
        rank: inner size of the update.
        scale: factor of the update.
    """

    path: str
    sha256: str
    step: int
    parameters: int
    modules: int
    rank: int
    scale: float


def save_adapter(
    path: Path, model: nn.Module, *, rule: Rule, source: Model, step: int, seed: int, probe: Probe | None = None
) -> Adapter:
    """Writes the adapter attached to `model` as a directory, complete or not at all.

    Args:
        path: where; what stands there is replaced.
        model: a model with LoRA attached.
        rule: the rule it was attached by.
        source: where the base came from.
        step: optimizer steps so far.
        seed: what A was drawn from.
        probe: recorded logits to keep beside it.
    """
    parameters = adapter_parameters(model)
    manifest: dict[str, Any] = {
        "kind": "adapter",
        "version": 1,
        "step": step,
        "seed": seed,
        "rule": rule.model_dump(mode="json"),
        "model": source.model_dump(mode="json"),
        "model_type": model_type(model),
        "tensors": {name: _tensor_digest(array) for name, array in parameters.items()},
    }
    with atomic_directory(path, manifest) as folder:
        write_weights(folder / WEIGHTS, parameters)
        write_json(folder / CONFIG, _mlx_lm_config(model, rule, source))
        write_json(folder / BASE, base_checksums(model))
        if probe is not None:
            mx.save_safetensors(str(folder / PROBE_FILE), probe.arrays(), metadata={"format": "mlx"})
    return read_adapter(path)


def write_weights(path: Path, parameters: dict[str, mx.array]) -> None:
    """Writes tensors in the order of their names: the same ones are the same bytes on every machine.

    `mx.save_safetensors` writes them in the order of a hash table, which is another one on another platform.
    """
    save_file({name: np.array(array) for name, array in parameters.items()}, path, metadata={"format": "mlx"})


def read_adapter(path: Path) -> Adapter:
    """What an adapter directory says of itself, its weights not loaded.

    Raises:
        AdapterError: no such directory, or one without the two files of mlx-lm's layout.
    """
    config = _config(path)
    tensors = _tensors(path)
    return Adapter(
        path=str(path),
        sha256=file_digest(path / WEIGHTS),
        step=(read_manifest(path) or {}).get("step", 0),
        parameters=sum(array.size for array in tensors.values()),
        modules=len({name.rpartition(".")[0] for name in tensors}),
        rank=config["lora_parameters"]["rank"],
        scale=config["lora_parameters"]["scale"],
    )


def load_adapter(path: Path, model: nn.Module, *, dropout: float = 0.0) -> Adapter:
    """Attaches the adapter at `path` to a freshly loaded base and fills it in, strictly.

    Everything that does not fit is gathered and raised once, by tensor: missing, unexpected, another shape, other
    bytes than when it was saved, and base parameters that differ from those it was trained on. An adapter of
    `mlx_lm.lora` has no manifest; it is held to names and shapes only.

    Raises:
        AdapterError: as above.
        TargetError: the model has no such projections.
    """
    config, tensors = _config(path), _tensors(path)
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
        elif manifest.get("tensors", {}).get(name, _tensor_digest(array)) != _tensor_digest(array):
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


def _mlx_lm_config(model: nn.Module, rule: Rule, source: Model) -> dict[str, Any]:
    prefix, all_blocks = blocks(model)
    inside = {name.removeprefix(f"{prefix}.").partition(".")[2] for name in adapted_layers(model)}
    return {
        "model": source.path,
        "fine_tune_type": "lora",
        "num_layers": rule.last_blocks or len(all_blocks),
        "lora_parameters": {
            "rank": rule.rank,
            "scale": rule.scale,
            "dropout": rule.dropout,
            "keys": sorted(inside),
        },
    }


def _config(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise AdapterError(f"adapter at {path}: there is no such directory")
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        if config.get("fine_tune_type", "lora") != "lora":
            raise AdapterError(
                f"adapter at {path}: fine_tune_type is {config['fine_tune_type']!r}; only 'lora' is read"
            )
        lora = dict(config["lora_parameters"])
        lora |= {"rank": int(lora["rank"]), "scale": float(lora["scale"])}
        return {**config, "num_layers": int(config["num_layers"]), "lora_parameters": lora}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterError(f"adapter at {path}: {CONFIG} cannot be read: {error}") from error


def _tensors(path: Path) -> dict[str, mx.array]:
    try:
        tensors = mx.load(str(path / WEIGHTS))
        mx.eval(tensors)
    except Exception as error:
        raise AdapterError(f"adapter at {path}: {WEIGHTS} cannot be read: {error}") from error
    assert isinstance(tensors, dict)
    return dict(sorted(tensors.items()))


def _tensor_digest(array: mx.array) -> str:
    content = np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
    return hashlib.sha256(content.tobytes()).hexdigest()[:16]
