"""Reads the tensors of an adapter directory: their dtypes and shapes from the header, and then themselves."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx
import numpy as np

from tasks.adapter.adapter_config import WEIGHTS
from tasks.artifact import TensorInfo, read_tensor_info
from tasks.errors import AdapterError

DTYPES = {"F32": mx.float32, "F16": mx.float16, "BF16": mx.bfloat16}
"""The dtypes that an adapter's tensors may have, in the words of the file and of MLX."""


def tensor_info(path: Path) -> dict[str, TensorInfo]:
    """The dtype and shape of each tensor by name, sorted; none is read.

    Raises:
        AdapterError: no such file, or one whose header is not valid.
    """
    try:
        return read_tensor_info(path / WEIGHTS)
    except ValueError as error:
        raise AdapterError(f"adapter at {path}: {WEIGHTS} cannot be read: {error}") from error


def read_tensors(path: Path, wanted: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, mx.array]:
    """The tensors by name, sorted: those of `wanted` that have its shape and a floating-point dtype; None is all.

    Raises:
        AdapterError: no such file, or one that cannot be read.
    """
    fitting = [
        name
        for name, info in tensor_info(path).items()
        if info.dtype in DTYPES and (wanted is None or wanted.get(name) == info.shape)
    ]
    try:
        arrays = mx.load(str(path / WEIGHTS), format="safetensors")
        assert isinstance(arrays, dict)
        tensors = {name: arrays[name] for name in fitting}
        mx.eval(tensors)
    except Exception as error:
        raise AdapterError(f"adapter at {path}: {WEIGHTS} cannot be read: {error}") from error
    return tensors


def tensor_digest(array: mx.array) -> str:
    """The beginning of the SHA-256 of an array's numbers."""
    content = np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
    return hashlib.sha256(content.tobytes()).hexdigest()[:16]


def changed_tensors(path: Path, digests: Mapping[str, str]) -> list[str]:
    """The tensors of a damaged file whose numbers are not those of their digests; empty where it cannot be read."""
    try:
        tensors = read_tensors(path)
    except AdapterError:
        return []
    return [name for name, array in tensors.items() if digests.get(name) not in (None, tensor_digest(array))]
