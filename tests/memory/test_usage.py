import mlx.core as mx

from tasks.memory import begin_peak, usage


def test_a_live_array_is_counted():
    mx.clear_cache()
    before = usage()["active_bytes"]
    array = mx.zeros((1024, 1024))
    mx.eval(array)
    now = usage()
    assert now["active_bytes"] - before >= array.nbytes
    assert now["peak_bytes"] >= now["active_bytes"]


def test_a_peak_counts_its_own_arrays_and_nothing_else_that_is_there():
    elsewhere, shared, lazy = mx.zeros((4096, 1024)), mx.zeros((512, 1024)), mx.ones((512, 1024))
    mx.eval(elsewhere, shared)
    others = begin_peak([shared, lazy, shared])
    mx.eval(shared + lazy)
    held = mx.get_peak_memory() - others
    assert 3 * shared.nbytes <= held < 3 * shared.nbytes + 10**5 < elsewhere.nbytes
