"""The backend is that of MLX's default device."""

import mlx.core as mx

from tasks.device.backend import backend


def test_the_default_device_decides() -> None:
    expected = "cpu" if mx.default_device() == mx.cpu else "metal" if mx.metal.is_available() else "cuda"
    assert backend() == expected
    with mx.stream(mx.cpu):
        assert backend() == expected, "a stream is no device"
