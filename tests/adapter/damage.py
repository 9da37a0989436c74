"""Ways to damage an adapter directory, by name: what is done to it, and what the loader must then say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx

Q = "model.layers.0.self_attn.q_proj"


def read(adapter: Path) -> dict[str, mx.array]:
    """The tensors of an adapter, in memory."""
    tensors = mx.load(str(adapter / "adapters.safetensors"))
    assert isinstance(tensors, dict)
    mx.eval(tensors)
    return tensors


def rewrite(adapter: Path, **changes: Callable[[dict[str, mx.array]], Any]) -> None:
    """Writes the tensors again after `change` has worked on them."""
    tensors = read(adapter)
    for change in changes.values():
        change(tensors)
    mx.save_safetensors(
        str(adapter / "adapters.safetensors"), dict(sorted(tensors.items())), metadata={"format": "mlx"}
    )


def flip_last_byte(path: Path) -> None:
    """Flips one bit of a file's last byte."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def _truncate(adapter: Path) -> None:
    path = adapter / "adapters.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _config(adapter: Path, **changes: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a flipped bit": (
        lambda a: flip_last_byte(a / "adapters.safetensors"),
        "1 of 42 tensors do not fit: model.layers.2.self_attn.v_proj.lora_b has other bytes than when it was saved",
    ),
    "a missing tensor": (
        lambda a: rewrite(a, change=lambda t: t.pop(f"{Q}.lora_a")),
        f"{Q}.lora_a is missing, the model wants (64, 4)",
    ),
    "an unknown tensor": (
        lambda a: rewrite(a, change=lambda t: t.update({"model.layers.9.mlp.up_proj.lora_a": mx.zeros((64, 4))})),
        "model.layers.9.mlp.up_proj.lora_a (64, 4) is no adapter parameter of the model",
    ),
    "a wrong shape": (
        lambda a: rewrite(a, change=lambda t: t.update({f"{Q}.lora_a": mx.zeros((64, 8))})),
        f"{Q}.lora_a is (64, 8), the model wants (64, 4)",
    ),
    "a transposed tensor": (
        lambda a: rewrite(a, change=lambda t: t.update({f"{Q}.lora_a": mx.zeros((4, 64))})),
        f"{Q}.lora_a is (4, 64), the model wants (64, 4)",
    ),
    "integers": (
        lambda a: rewrite(a, change=lambda t: t.update({f"{Q}.lora_a": mx.zeros((64, 4), mx.int32)})),
        f"{Q}.lora_a is I32, the model wants numbers in floating point",
    ),
    "a smuggled base weight": (
        lambda a: rewrite(a, change=lambda t: t.update({f"{Q}.linear.weight": mx.zeros((64, 64))})),
        f"{Q}.linear.weight (64, 64) is no adapter parameter of the model",
    ),
    "a truncated file": (_truncate, "adapters.safetensors cannot be read: "),
    "no file at all": (lambda a: (a / "adapters.safetensors").unlink(), "it has no adapters.safetensors; "),
    "garbage for weights": (
        lambda a: (a / "adapters.safetensors").write_bytes(b"garbage"),
        "adapters.safetensors cannot be read: ",
    ),
    "no config": (lambda a: (a / "adapter_config.json").unlink(), "it has no adapter_config.json; "),
    "a garbage config": (
        lambda a: (a / "adapter_config.json").write_text("{"),
        "adapter_config.json cannot be read: ",
    ),
    "a list for a config": (
        lambda a: (a / "adapter_config.json").write_text("[]"),
        "adapter_config.json cannot be read: ",
    ),
    "a config without rank": (
        lambda a: _config(a, lora_parameters={"scale": 2.0}),
        "adapter_config.json cannot be read: 'rank'",
    ),
    "dora": (lambda a: _config(a, fine_tune_type="dora"), "fine_tune_type is 'dora'; only 'lora' is read"),
    "garbage for base.json": (lambda a: (a / "base.json").write_text("{"), "base.json cannot be read: "),
}
"""Each is done to an adapter of the tiny qwen3, rank 4, every projection."""
