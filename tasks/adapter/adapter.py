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
from safetensors.numpy import save

from tasks.adapter.names import adapter_parameters, base_checksums
from tasks.adapter.probe import PROBE_FILE, Probe
from tasks.artifact import Record, atomic_directory, file_digest, read_manifest, write_json
from tasks.errors import AdapterError
from tasks.lora import Rule
from tasks.lora.attach import adapted_layers
from tasks.model import Model
from tasks.model.family import blocks, model_type

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
        "tensors": {name: tensor_digest(array) for name, array in parameters.items()},
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
    # Not `save_file`, whose files only their owner may read, whatever the umask.
    path.write_bytes(save({name: np.array(array) for name, array in parameters.items()}, metadata={"format": "mlx"}))


def read_adapter(path: Path) -> Adapter:
    """What an adapter directory says of itself, its weights not loaded.

    Raises:
        AdapterError: no such directory, or one without the two files of mlx-lm's layout.
    """
    config = read_config(path)
    tensors = read_tensors(path)
    return Adapter(
        path=str(path),
        sha256=file_digest(path / WEIGHTS),
        step=(read_manifest(path) or {}).get("step", 0),
        parameters=sum(array.size for array in tensors.values()),
        modules=len({name.rpartition(".")[0] for name in tensors}),
        rank=config["lora_parameters"]["rank"],
        scale=config["lora_parameters"]["scale"],
    )


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


def base_fingerprint(path: Path) -> str:
    """What identifies the base that an adapter of ours was trained on: every parameter's name, shape and content."""
    return file_digest(path / BASE)[:16]


def read_config(path: Path) -> dict[str, Any]:
    """adapter_config.json, its strength and its blocks as numbers.

    Raises:
        AdapterError: no such directory, or one without such a file.
    """
    if not path.is_dir():
        raise AdapterError(f"adapter at {path}: there is no such directory")
    if missing := [name for name in (CONFIG, WEIGHTS) if not (path / name).is_file()]:
        raise AdapterError(f"adapter at {path}: it holds no {' and no '.join(missing)}; is it an adapter's directory?")
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


def read_tensors(path: Path) -> dict[str, mx.array]:
    """The parameters by name, sorted.

    Raises:
        AdapterError: no such file, or one that cannot be read.
    """
    try:
        tensors = mx.load(str(path / WEIGHTS))
        mx.eval(tensors)
    except Exception as error:
        raise AdapterError(f"adapter at {path}: {WEIGHTS} cannot be read: {error}") from error
    assert isinstance(tensors, dict)
    return dict(sorted(tensors.items()))


def tensor_digest(array: mx.array) -> str:
    """The beginning of the SHA-256 of an array's numbers."""
    content = np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
    return hashlib.sha256(content.tobytes()).hexdigest()[:16]
