import pytest

from tasks.errors import ConfigError
from tasks.graph.queue import QUEUES, queue_of


def test_the_environment_changes_a_gpu_s_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_MAX_OPS_PER_BUFFER", "7")
    monkeypatch.setenv("MLX_MAX_MB_PER_BUFFER", "3")
    assert queue_of("cuda")[:2] == (7, 3 << 20)
    assert queue_of("cpu") == QUEUES["cpu"]


def test_the_backends_are_those_of_mlx() -> None:
    assert set(QUEUES) == {"cpu", "cuda", "metal"}


def test_a_group_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_MAX_OPS_PER_BUFFER", "many")
    with pytest.raises(ConfigError, match=r"MLX_MAX_OPS_PER_BUFFER is 'many'; give a whole number, such as 100"):
        queue_of("cuda")
