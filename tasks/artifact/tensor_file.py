"""The header of a safetensors file, checked before any reader of tensors sees the file."""

import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

HEADER = 16 << 20
"""Bytes of the largest header that is read: 100,000 tensors. The format's own library reads up to 100 MB."""


class TensorInfo(NamedTuple):
    """The header's entry of a tensor: its dtype in the format's words (`F32`, `BF16`, `I32`) and its shape."""

    dtype: str
    shape: tuple[int, ...]


def read_tensor_info(path: Path) -> dict[str, TensorInfo]:
    """The tensors that a safetensors file contains, by name, sorted; no tensor is read.

    The header's length, its JSON, and that the tensors fill the rest of the file without gap or overlap are checked by
    the format's own library. MLX's reader takes the header's word for it.

    Raises:
        ValueError: it is not a safetensors file; the reason is one line.
    """
    if not path.is_file():
        raise ValueError("it is no regular file")
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start == b"version " and file.read(40).startswith(b"https://git-lfs"):
                raise ValueError("it is a git-lfs pointer, not the file itself; `git lfs pull` fetches it")
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(HEADER, path.stat().st_size - 8):
                raise ValueError("its header is longer than the file, or than the 16 MiB that are read")
            names = [
                name for name, _ in json.loads(file.read(length), object_pairs_hook=list) if name != "__metadata__"
            ]
        if len(set(names)) < len(names):
            raise ValueError("its header names a tensor twice")
        with safe_open(path, framework="numpy") as tensors:
            slices = {name: tensors.get_slice(name) for name in sorted(tensors.keys())}
            return {name: TensorInfo(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except (OSError, SafetensorError, TypeError, RecursionError) as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
