import pytest

from tasks.memory.queue import QUEUES, queue_of


def test_the_environment_changes_a_gpu_s_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_MAX_OPS_PER_BUFFER", "7")
    monkeypatch.setenv("MLX_MAX_MB_PER_BUFFER", "3")
    assert queue_of("cuda")[:2] == (7, 3 << 20)
    assert queue_of("cpu") == QUEUES["cpu"]


def test_the_backends_are_those_of_mlx() -> None:
    assert set(QUEUES) == {"cpu", "cuda", "metal"}
