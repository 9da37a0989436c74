"""Adapter directories that somebody made to do harm, by name: what is done to a good one, every digest made to fit."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from tasks.artifact import file_digest

WEIGHTS, PROBE, CONFIG, BASE, MANIFEST = (
    *("adapters.safetensors", "probe.safetensors", "adapter_config.json", "base.json"),
    "manifest.json",
)
Harm = Callable[[Path], Any]


def reseal(adapter: Path) -> None:
    """Makes every digest of the manifest fit, where it can still be read."""
    path = adapter / MANIFEST
    if not path.is_file() or path.stat().st_size > 1 << 20:  # a pipe would be waited for
        return
    try:
        manifest = json.loads((adapter / MANIFEST).read_text())
        files = [path for path in adapter.iterdir() if path.name != MANIFEST and path.is_file()]
        manifest["files"] = {path.name: file_digest(path) for path in files}
        manifest.pop("tensors", None)
        (adapter / MANIFEST).write_text(json.dumps(manifest))
    except (ValueError, OSError, TypeError, AttributeError, RecursionError):
        return


def _text(name: str, content: str | bytes) -> Harm:
    return lambda a: (a / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def _json(name: str, change: Callable[[dict[str, Any]], Any]) -> Harm:
    def harm(adapter: Path) -> None:
        value = json.loads((adapter / name).read_text())
        change(value)
        (adapter / name).write_text(json.dumps(value))

    return harm


def _header(name: str, change: Callable[[dict[str, Any]], Any], length: int | None = None) -> Harm:
    def harm(adapter: Path) -> None:
        content = (adapter / name).read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        change(header)
        text = json.dumps(header).encode()
        size = len(text) if length is None else length
        (adapter / name).write_bytes(size.to_bytes(8, "little") + text + content[end:])

    return harm


def _first(change: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda header: next(v for k, v in header.items() if k != "__metadata__").update(change)


def _tensors(name: str, change: Callable[[dict[str, np.ndarray]], Any]) -> Harm:
    def harm(adapter: Path) -> None:
        tensors = load_file(adapter / name)
        change(tensors)
        save_file(tensors, adapter / name)

    return harm


def _probe(**arrays: np.ndarray) -> Harm:
    return _tensors(PROBE, lambda t: t.update(arrays))


def _tokens(value: int) -> Harm:
    return _tensors(PROBE, lambda t: t.update(tokens=np.full_like(t["tokens"], value)))


def _long_probe(length: int) -> Harm:
    def change(tensors: dict[str, np.ndarray]) -> None:
        columns = tensors["logits"].shape[1]
        tensors["tokens"] = np.zeros(length, np.int32)
        tensors["logits"] = np.zeros((length, columns), np.float32)
        tensors["logsumexp"] = np.zeros(length, np.float32)

    return _tensors(PROBE, change)


def _model(**values: Any) -> Harm:
    return _json(MANIFEST, lambda m: m["model"].update(values))


def _lora(**values: Any) -> Harm:
    return _json(CONFIG, lambda c: c["lora_parameters"].update(values))


def _set(name: str, **values: Any) -> Harm:
    return _json(name, lambda value: value.update(values))


def _all(value: float, dtype: type = np.float32) -> Harm:
    return _tensors(WEIGHTS, lambda t: t.update({k: np.full(v.shape, value, dtype) for k, v in t.items()}))


def _pipe(name: str) -> Harm:
    def harm(adapter: Path) -> None:
        (adapter / name).unlink()
        os.mkfifo(adapter / name)

    return harm


def _link(name: str, to: str) -> Harm:
    def harm(adapter: Path) -> None:
        (adapter / name).unlink()
        (adapter / name).symlink_to(to)

    return harm


def _sparse(name: str, size: int) -> Harm:
    return lambda a: os.truncate(a / name, size)


def _files(*names: str) -> Harm:
    return _json(MANIFEST, lambda m: m["files"].update(dict.fromkeys(names, "0" * 64)))


DEEP = "[" * 100_000
HOSTILE: dict[str, Harm] = {
    # headers
    "a header of 2 GB": _header(WEIGHTS, lambda h: None, 2**31),
    "a header of 2**63": _header(WEIGHTS, lambda h: None, 2**63),
    "a probe's header of 2**63": _header(PROBE, lambda h: None, 2**63),
    "an offset beyond the file": _header(WEIGHTS, _first({"data_offsets": [0, 2**40]})),
    "an offset before another": _header(WEIGHTS, _first({"data_offsets": [8, 4]})),
    "a negative offset": _header(WEIGHTS, _first({"data_offsets": [-8, 4]})),
    "a negative shape": _header(WEIGHTS, _first({"shape": [-1, 4]})),
    "a shape of 2**62": _header(WEIGHTS, _first({"shape": [2**62, 4]})),
    "a shape of no numbers": _header(WEIGHTS, _first({"shape": ["a"]})),
    "a shape that is text": _header(WEIGHTS, _first({"shape": "4"})),
    "an unknown dtype": _header(WEIGHTS, _first({"dtype": "Q8"})),
    "a dtype that is a number": _header(WEIGHTS, _first({"dtype": 8})),
    "metadata of lists": _header(WEIGHTS, lambda h: h.update(__metadata__={"format": []})),
    "a tensor that is a list": _header(WEIGHTS, lambda h: h.update(a=[])),
    "a probe's negative shape": _header(PROBE, _first({"shape": [-48, 1]})),
    "pickle for weights": _text(WEIGHTS, b"\x80\x04\x95\x10cposix\nsystem\n(S'true'\ntR."),
    "a zip for weights": _text(WEIGHTS, b"PK\x03\x04" + bytes(100)),
    "no weights": _text(WEIGHTS, b""),
    "deep weights": _text(WEIGHTS, len(DEEP).to_bytes(8, "little") + DEEP.encode()),
    "a git-lfs pointer": _text(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "64 MB of a hole": _sparse(WEIGHTS, 64 << 20),
    "a config of 64 MB of a hole": _sparse(CONFIG, 64 << 20),
    "a manifest of 64 MB of a hole": _sparse(MANIFEST, 64 << 20),
    # numbers
    "weights of NaN": _all(np.nan),
    "weights of inf": _all(np.inf),
    "weights in 64 bits": _all(0.1, np.float64),
    "weights of integers": _all(1, np.int32),
    "weights of booleans": _all(1, np.bool_),
    "weights without numbers": _tensors(WEIGHTS, lambda t: t.update({k: v[:0] for k, v in t.items()})),
    "weights of one dimension": _tensors(WEIGHTS, lambda t: t.update({k: v.reshape(-1) for k, v in t.items()})),
    "no tensors": _tensors(WEIGHTS, lambda t: t.clear()),
    # the probe
    "probe ids of 2**31 - 1": _tokens(2**31 - 1),
    "probe ids of -10**6": _tokens(-(10**6)),
    "probe ids beyond the vocabulary": _tokens(5000),
    "probe ids in 64 bits": _probe(tokens=np.zeros(48, np.int64)),
    "probe ids in floating point": _probe(tokens=np.zeros(48, np.float32)),
    "a probe of two dimensions": _probe(tokens=np.zeros((6, 8), np.int32)),
    "a probe of none": _probe(tokens=np.zeros((), np.int32)),
    "an empty probe": _long_probe(0),
    "a probe of 100,000 tokens": _long_probe(100_000),
    "a probe longer than the model": _long_probe(600),
    "a probe of other logits": _probe(logits=np.zeros((3, 3), np.float32)),
    "a probe of no columns": _probe(logits=np.zeros((48, 0), np.float32)),
    "a probe of other columns": _probe(logits=np.zeros((48, 3), np.float32)),
    "a probe of NaN": _tensors(PROBE, lambda t: t["logits"].fill(np.nan)),
    "a probe without logits": _tensors(PROBE, lambda t: t.pop("logits")),
    "garbage for a probe": _text(PROBE, b"probe"),
    # adapter_config.json
    "rank -1": _lora(rank=-1),
    "rank 0": _lora(rank=0),
    "rank 2**40": _lora(rank=2**40),
    "rank of text": _lora(rank="x"),
    "a scale of 1e400": _text(CONFIG, '{"num_layers": 3, "lora_parameters": {"rank": 4, "scale": 1e400}}'),
    "a scale of 'nan'": _lora(scale="nan"),
    "keys of numbers": _lora(keys=[1]),
    "keys of another model": _lora(keys=["[/red]\x1b[2J" * 500]),
    "no layers": _set(CONFIG, num_layers=None),
    "2**80 layers": _set(CONFIG, num_layers=2**80),
    "a deep config": _text(CONFIG, DEEP),
    "a config of bytes": _text(CONFIG, b"\xff\xfe{}"),
    # manifest.json and base.json
    "a model that is text": _set(MANIFEST, model="x"),
    "a model that is a list": _set(MANIFEST, model=["x"]),
    "a model of other keys": _model(trust_remote_code=True),
    "a path that is resolved": _model(path="attacker/${oc.env:HOME}"),
    "a path of the hub": _model(path="attacker/model"),
    "a path with an escape": _model(path="/\x1b]0;gone\x07\n[/red]"),
    "a path with NUL": _model(path="/a\x00b"),
    "a path of 100,000 letters": _model(path="/" + "a" * 100_000),
    "a revision elsewhere": _model(path="attacker/model", revision="../../x"),
    "bits that do not exist": _model(quantize=1),
    "a step that is text": _set(MANIFEST, step="y"),
    "a step of 2**70": _set(MANIFEST, step=2**70),
    "tensors that are a list": _set(MANIFEST, tensors=[]),
    "files that are a list": _set(MANIFEST, files=[]),
    "files elsewhere": _files("../../etc/passwd", "/etc/passwd", "a\x00b", "n" * 5000),
    "a deep manifest": _text(MANIFEST, DEEP),
    "a manifest in pieces": _text(MANIFEST, '{"files": {'),
    "a deep base.json": _text(BASE, DEEP),
    "a base.json of numbers": _text(BASE, '{"a": 1}'),
    "a base.json of a list": _text(BASE, "[1]"),
    # files that are none
    "a pipe for weights": _pipe(WEIGHTS),
    "a pipe for a config": _pipe(CONFIG),
    "a pipe for a manifest": _pipe(MANIFEST),
    "a pipe for a probe": _pipe(PROBE),
    "/dev/zero for weights": _link(WEIGHTS, "/dev/zero"),
    "/dev/zero for a base": _link(BASE, "/dev/zero"),
    "a link in a circle": _link(PROBE, PROBE),
}
RESEALED = {name for name in HOSTILE if not name.startswith(("files", "a step", "tensors"))}
"""Those whose digests are made to fit afterwards, so that what they say is all that gives them away."""
