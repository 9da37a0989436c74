"""Every backend gets the way that it computes best."""

import mlx.core as mx
import pytest

from tasks.attention import choose_way
from tasks.attention.method import trains_stock


@pytest.mark.parametrize(
    ("length", "backend", "way"),
    [
        (128, "cuda", "mask"),
        (16_384, "cuda", "mask"),
        (32_768, "cuda", "blockwise"),
        (2000, "cuda", "blockwise"),
        (512, "metal", "blockwise"),
        (16_384, "metal", "blockwise"),
        (512, "cpu", "blockwise"),
    ],
)
def test_table(length: int, backend: str, way: str) -> None:
    assert choose_way(length, backend) == way


def test_rows_share_the_bytes_of_the_mask() -> None:
    assert choose_way(16_384, "cuda", rows=4) == "blockwise"


def test_known_boundaries_are_used() -> None:
    assert {choose_way(2048, name, boundaries=True) for name in ("metal", "cuda", "cpu")} == {"split"}


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="metal, cuda, cpu"):
        choose_way(1, "tpu")


HALF, SINGLE = mx.bfloat16, mx.float32


@pytest.mark.parametrize(
    ("backend", "length", "size", "dtype", "window", "sinks", "stock"),
    [
        ("cpu", 127, 64, SINGLE, None, False, True),
        ("cpu", 127, 64, SINGLE, None, True, True),
        ("cpu", 128, 64, SINGLE, None, False, False),
        ("cpu", 64, 64, SINGLE, 32, False, False),  # "causal" would see beyond the window
        ("cpu", 64, 64, SINGLE, 64, False, True),
        ("metal", 8192, 128, HALF, None, False, True),
        ("metal", 8192, 112, HALF, None, False, False),  # a head size without a fused backward
        ("metal", 64, 64, HALF, None, True, False),
        ("cuda", 8192, 128, HALF, None, False, True),
        ("cuda", 8200, 128, HALF, None, False, False),
        ("cuda", 8192, 128, SINGLE, None, False, False),
        ("cuda", 8192, 256, HALF, None, False, False),
        ("cuda", 300, 256, HALF, None, False, True),  # too short to matter
        ("cuda", 128, 64, HALF, None, True, False),
    ],
)
def test_where_the_stock_attention_is_the_one_to_train_with(backend, length, size, dtype, window, sinks, stock) -> None:
    assert trains_stock(backend, length, (size, size), dtype, window=window, sinks=sinks) is stock
