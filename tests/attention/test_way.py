"""Every backend gets the way that it computes best."""

import pytest

from tasks.attention import choose_way


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
