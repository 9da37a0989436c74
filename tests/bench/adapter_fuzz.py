"""Adapter directories at random, each looked at as `verify` does: nothing but one line may come of it.

python -m tests.bench.adapter_fuzz --cases 20000 --seed 7
"""

import argparse
import copy
import json
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tasks.adapter import read_adapter, read_adapter_manifest, record_probe, save_adapter
from tasks.adapter.base_record import read_base_record
from tasks.check import CHECKS, Subject
from tasks.errors import GraftlineError
from tasks.lora import LoRA
from tasks.model import Model
from tasks.model.base import load_base
from tests.adapter.hostile import BASE, CONFIG, MANIFEST, PROBE, WEIGHTS, reseal
from tests.tiny import attach_random, write_model

ROOM = 2 << 30
"""Bytes of address space that all the cases together may add."""

TEXT = st.sampled_from(["", "x", "[/red]", "\x1b[2J\n", "${oc.env:HOME}", "a/b", "../..", "\0", "x" * 3000, "nan"])
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.sampled_from([0, 1, -1, 2**31, 2**63, 10**4000]), st.floats(), st.booleans()
)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
BYTES = st.binary(max_size=40)


@st.composite
def json_change(draw: st.DrawFn, good: Any) -> Any:
    """A value of JSON with something at a random place replaced, removed or added."""
    value = json.loads(json.dumps(good))
    node, depth = value, draw(st.integers(0, 3))
    for _ in range(depth):
        if not isinstance(node, dict | list) or not node:
            break
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        child = node[key]
        if not isinstance(child, dict | list) or draw(st.booleans()):
            if draw(st.integers(0, 3)) == 0:
                del node[key]
            else:
                node[key] = draw(VALUES)
            return value
        node = child
    if isinstance(node, dict):
        node[draw(TEXT)] = draw(VALUES)
        return value
    return draw(VALUES)


def _harm(data: st.DataObject, good: Path, folder: Path) -> None:
    name = data.draw(st.sampled_from([WEIGHTS, PROBE, CONFIG, MANIFEST, BASE]))
    path = folder / name
    kind = data.draw(st.sampled_from(["inside", "inside", "inside", "bytes", "cut", "flip"]))
    content = (good / name).read_bytes()
    if kind == "bytes":
        path.write_bytes(data.draw(BYTES))
    elif kind == "cut":
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    elif kind == "flip":
        flipped = bytearray(content)
        for at in data.draw(st.lists(st.integers(0, min(len(content), 4000) - 1), min_size=1, max_size=4)):
            flipped[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(bytes(flipped))
    elif name in (CONFIG, MANIFEST, BASE):
        path.write_text(json.dumps(data.draw(json_change(json.loads(content)))))
    elif name == PROBE and data.draw(st.booleans()):
        _probe(data, path)
    else:
        end = 8 + int.from_bytes(content[:8], "little")
        text = json.dumps(data.draw(json_change(json.loads(content[8:end])))).encode()
        length = data.draw(st.one_of(st.just(len(text)), st.integers(0, 2**64 - 1)))
        path.write_bytes(length.to_bytes(8, "little") + text + content[end:])


def _probe(data: st.DataObject, path: Path) -> None:
    length = data.draw(st.one_of(st.integers(0, 80), st.sampled_from([513, 5000])))
    dtype = data.draw(st.sampled_from([np.int32, np.int32, np.int32, np.int64, np.uint32, np.float32]))
    bounds = np.iinfo(np.int32)
    ids = data.draw(st.lists(st.one_of(st.integers(0, 400), st.integers(bounds.min, bounds.max)), max_size=4))
    tokens = np.resize(np.array(ids or [1], np.int64), length).astype(dtype)
    columns = data.draw(st.sampled_from([256, 256, 0, 3, 300]))
    rows = length if data.draw(st.booleans()) else 3
    logits, total = np.zeros((rows, columns), np.float32), np.zeros(length, np.float32)
    save_file({"tokens": tokens, "logits": logits, "logsumexp": total}, path)


def look(folder: Path, base: Model) -> None:
    """What `verify` and `evaluate` do with a directory, as far as its files go."""
    for read in (read_adapter_manifest, read_adapter, read_base_record):
        _in_a_line(lambda read=read: read(folder))
    subject = Subject(folder, base)
    _in_a_line(lambda: CHECKS["files"](subject).detail)
    _in_a_line(lambda: CHECKS["reload_logits"](subject).detail)


def _in_a_line(what: Any) -> None:
    try:
        said = what()
    except GraftlineError as error:
        said = str(error)
    if isinstance(said, str):
        assert said.isprintable(), repr(said)
        assert len(said) < 4000, len(said)


def main() -> None:
    """The cases, in this process: who looks for a crash starts it as a child."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as monkey:
        base = Model(path=str(write_model(Path(root) / "model", "llama")))
        good, folder = Path(root) / "good", Path(root) / "case"
        model = load_base(base).model
        attach_random(model, rank=2)
        probe = record_probe(model, list(range(20)))
        save_adapter(good, model, rule=LoRA(rank=2, alpha=4.0), source=base, step=1, seed=0, probe=probe)
        loaded = load_base(base)
        monkey.setattr("tasks.check.subject.load_base", lambda _: copy.deepcopy(loaded))  # ten times as quick
        look(good, base)
        if sys.platform == "linux":
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))

        @seed(asked.seed)
        @settings(
            max_examples=asked.cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        )
        @given(st.data())
        def one(data: st.DataObject) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(good, folder)
            for _ in range(data.draw(st.integers(1, 2))):
                _harm(data, good, folder)
            if data.draw(st.integers(0, 3)):
                reseal(folder)
            look(folder, base)

        one()
    print(f"{asked.cases} adapter directories, seed {asked.seed}: each ended in a line")


if __name__ == "__main__":
    main()
