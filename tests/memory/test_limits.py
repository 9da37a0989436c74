import mlx.core as mx
import pytest
from pydantic import ValidationError

from tasks.memory import GB, Memory, limits


def current() -> tuple[int, int]:
    memory, cache = mx.set_memory_limit(GB), mx.set_cache_limit(GB)
    mx.set_memory_limit(memory)
    mx.set_cache_limit(cache)
    return memory, cache


def test_limits_hold_inside_and_are_put_back():
    before = current()
    with limits(Memory(limit_gb=2.5, cache_gb=0.0)):
        assert current() == (2_500_000_000, 0)
        with limits(Memory(cache_gb=0.25)):
            assert current() == (2_500_000_000, 250_000_000)
        assert current() == (2_500_000_000, 0)
    assert current() == before


def test_an_exception_puts_them_back_too():
    before = current()
    with pytest.raises(KeyError), limits(Memory(limit_gb=1.0, cache_gb=1.0)):
        raise KeyError
    assert current() == before


def test_none_leaves_everything_alone():
    before = current()
    with limits(Memory()):
        assert current() == before


@pytest.mark.skipif(mx.metal.is_available(), reason="a Mac wires memory")
def test_wired_is_ignored_without_metal():
    with limits(Memory(wired_gb=10_000.0)):
        pass


@pytest.mark.metal
def test_wired_is_put_back_on_a_mac():
    before = mx.set_wired_limit(0)
    mx.set_wired_limit(before)
    with limits(Memory(wired_gb=0.5)):
        assert mx.set_wired_limit(GB // 2) == GB // 2
    assert mx.set_wired_limit(before) == before


@pytest.mark.parametrize(
    "bad",
    [
        {"limit_gb": 0},
        {"cache_gb": -1.0},
        {"checkpoint": "some"},
        {"checkpoint": 1},
        {"checkpoint": True},
        {"limit": 3},
    ],
)
def test_bad_values_are_refused(bad):
    with pytest.raises(ValidationError):
        Memory.model_validate(bad)


@pytest.mark.parametrize("checkpoint", ["none", "attention", "mlp", "all", 2, 7])
def test_granularities_survive_a_round_trip(checkpoint):
    memory = Memory(checkpoint=checkpoint)
    assert Memory.model_validate_json(memory.model_dump_json()).checkpoint == checkpoint
