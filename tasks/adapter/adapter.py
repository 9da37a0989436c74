"""The adapter directory: mlx-lm's two files, plus a manifest that lets a reload be proven.

adapters.safetensors    the parameters, float32, in the order of their names
adapter_config.json     mlx-lm's: what the rule writes (rank, scale, dropout), keys, number of blocks
base.json               a checksum of each base parameter, so that another base is noticed
chat_template.jinja     the chat template, where it was trained with another one than the tokenizer's (data.template)
probe.safetensors       fixed tokens and their logits at the end of training (tasks/adapter/probe.py)
manifest.json           the rule, the step, a digest of each tensor and file; written last
"""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from safetensors.numpy import save

from tasks.adapter.adapter_config import CONFIG, WEIGHTS, read_config
from tasks.adapter.adapter_manifest import TEMPLATE, read_adapter_manifest
from tasks.adapter.adapter_tensors import tensor_digest, tensor_info
from tasks.adapter.base_record import BASE
from tasks.adapter.checksums import base_checksums
from tasks.adapter.probe import PROBE_FILE, Probe
from tasks.artifact import Record, atomic_directory, file_digest, write_json
from tasks.lora import Rule
from tasks.lora.attach import adapted_layers, adapter_parameters
from tasks.model import Model
from tasks.model.family import blocks, model_type


class Adapter(Record):
    """An adapter directory that is complete.

    Attributes:
        path: the directory.
        sha256: the digest of its weights file.
        step: optimizer steps it was trained for.
        parameters: how many numbers it contains.
        modules: how many projections it adapts.
        rank: inner size of the update; 0 for a rule that has none.
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
    path: Path,
    model: nn.Module,
    *,
    rule: Rule,
    source: Model,
    step: int,
    seed: int,
    probe: Probe | None = None,
    ends: Sequence[str] = (),
    template: str | None = None,
    template_kwargs: dict[str, Any] | None = None,
) -> Adapter:
    """Writes the adapter attached to `model` as a directory, complete or not at all.

    Args:
        path: the directory to write; an existing one is replaced.
        model: a model with LoRA attached.
        rule: the rule it was attached by.
        source: where the base came from.
        step: optimizer steps so far.
        seed: the seed that A was drawn from.
        probe: recorded logits to keep beside it.
        ends: the token at which an answer ends, as it was trained, the most frequent first: a server must stop there.
        template: the text of the chat template, where it was another one than the tokenizer's own.
        template_kwargs: its variables.
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
        **({"answer_ends": list(ends)} if ends else {}),
        **({"template_kwargs": template_kwargs} if template_kwargs else {}),
        "tensors": {name: tensor_digest(array) for name, array in parameters.items()},
    }
    with atomic_directory(path, manifest) as folder:
        write_weights(folder / WEIGHTS, parameters)
        write_json(folder / CONFIG, _mlx_lm_config(model, rule, source))
        write_json(folder / BASE, base_checksums(model))
        if template is not None:
            (folder / TEMPLATE).write_text(template, encoding="utf-8")
        if probe is not None:
            with (folder / PROBE_FILE).open("wb") as file:  # one of Python's says why it cannot be written
                mx.save_safetensors(file, probe.arrays(), metadata={"format": "mlx"})
    return read_adapter(path)


def write_weights(path: Path, parameters: dict[str, mx.array]) -> None:
    """Writes tensors in the order of their names: the same ones are the same bytes on every machine.

    `mx.save_safetensors` writes them in the order of a hash table, which differs from platform to platform.
    """
    # Not `save_file`, whose files only their owner may read, whatever the umask.
    path.write_bytes(save({name: np.array(array) for name, array in parameters.items()}, metadata={"format": "mlx"}))


def read_adapter(path: Path) -> Adapter:
    """Reads what an adapter directory says about itself; its weights are not loaded.

    Raises:
        AdapterError: no such directory, one without the two files of mlx-lm's layout, or one with a file whose content
            is not of its kind.
    """
    config, tensors, manifest = read_config(path), tensor_info(path), read_adapter_manifest(path)
    return Adapter(
        path=str(path),
        sha256=file_digest(path / WEIGHTS),
        step=0 if manifest is None else manifest.step,
        parameters=sum(prod(info.shape) for info in tensors.values()),
        modules=len({name.rpartition(".")[0] for name in tensors}),
        rank=int(config.parameters.get("rank", 0)),
        scale=float(config.parameters.get("scale", 1)),
    )


def _mlx_lm_config(model: nn.Module, rule: Rule, source: Model) -> dict[str, Any]:
    prefix, all_blocks = blocks(model)
    inside = {name.removeprefix(f"{prefix}.").partition(".")[2] for name in adapted_layers(model)}
    return {
        "model": source.path,
        "fine_tune_type": rule.fine_tune_type,
        "num_layers": rule.last_blocks or len(all_blocks),
        "lora_parameters": {**rule.parameters, "keys": sorted(inside)},
    }


def base_fingerprint(path: Path) -> str:
    """The fingerprint of the base that an adapter of ours was trained on: its parameters' names, shapes and content."""
    return file_digest(path / BASE)[:16]
