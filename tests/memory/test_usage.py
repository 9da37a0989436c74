import mlx.core as mx

from tasks.memory import usage


def test_a_live_array_is_counted():
    mx.clear_cache()
    before = usage()["active_bytes"]
    array = mx.zeros((1024, 1024))
    mx.eval(array)
    now = usage()
    assert now["active_bytes"] - before >= array.nbytes
    assert now["peak_bytes"] >= now["active_bytes"]
