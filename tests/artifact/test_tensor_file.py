"""A safetensors header is believed where the format's own library believes it."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tasks.artifact import TensorInfo, read_tensor_info

ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def written(path: Path, header: Any, body: bytes = b"1234", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + body)
    return path


def test_what_a_header_says(tmp_path: Path) -> None:
    save_file({"b": np.zeros((2, 3), np.float32), "a": np.zeros(0, np.int32)}, tmp_path / "a")
    assert read_tensor_info(tmp_path / "a") == {"a": TensorInfo("I32", (0,)), "b": TensorInfo("F32", (2, 3))}


TWICE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
HOSTILE: dict[str, tuple[Any, bytes, int | None]] = {
    "a length of 2 GB": ({}, b"", 2**31),
    "a length of 2**63": ({}, b"", 2**63),
    "a list": ([], b"", None),
    "a number": (b"5", b"", None),
    "deep": (b"[" * 90_000, b"", None),
    "a negative shape": ({"a": {**ONE, "shape": [-1]}}, b"1234", None),
    "a shape beyond all numbers": ({"a": {**ONE, "shape": [2**62, 2**62]}}, b"1234", None),
    "another shape": ({"a": {**ONE, "shape": [2]}}, b"1234", None),
    "an offset beyond the end": ({"a": {**ONE, "data_offsets": [0, 400]}}, b"1234", None),
    "an offset that goes back": ({"a": {**ONE, "data_offsets": [4, 0]}}, b"1234", None),
    "two in one place": ({"a": ONE, "b": ONE}, b"1234", None),
    "a gap": ({"a": {**ONE, "data_offsets": [4, 8]}}, b"12345678", None),
    "bytes left over": ({"a": ONE}, b"12345", None),
    "an unknown dtype": ({"a": {**ONE, "dtype": "X"}}, b"1234", None),
    "a name twice": (TWICE, b"1234", None),
    "no dtype": ({"a": {"shape": [1], "data_offsets": [0, 4]}}, b"1234", None),
    "metadata of numbers": ({"a": ONE, "__metadata__": {"a": 1}}, b"1234", None),
    "nothing": (b"", b"", 0),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_header_that_does_not_hold_is_one_line(case: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        read_tensor_info(written(tmp_path / "a", *HOSTILE[case]))
    assert "\n" not in str(caught.value)


def test_a_pointer_of_git_lfs_says_what_fetches_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n")
    with pytest.raises(ValueError, match="a git-lfs pointer, not the file itself; `git lfs pull` fetches it"):
        read_tensor_info(tmp_path / "a")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(ValueError, match="no regular file"):
        read_tensor_info(tmp_path / "a")
