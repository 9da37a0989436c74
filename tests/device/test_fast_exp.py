import mlx.core as mx
import numpy as np

from tasks.device.fast_exp import exp, power, unit


def test_it_is_as_good_as_mlx_s_own() -> None:
    x = np.linspace(-87, 88, 10_001).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    ours, theirs = (np.abs(np.array(f(mx.array(x))) / exact - 1).max() for f in (exp, mx.exp))
    assert ours <= 1.1 * theirs < 5e-6


def test_what_is_masked_is_as_good_as_nothing() -> None:
    assert 0 <= float(np.array(exp(mx.array(-1e30)))) < 1e-37


def test_powers_are_those_of_e_in_their_unit_on_either_device(monkeypatch) -> None:
    x = np.linspace(-60, 60, 1001).astype(np.float32)
    for kind in ("cpu", "gpu"):
        monkeypatch.setattr("tasks.device.fast_exp.kind", lambda kind=kind: kind)
        assert np.abs(np.array(power(unit() * mx.array(x))) / np.exp(x.astype(np.float64)) - 1).max() < 1e-5
        assert (unit() == 1.0) == (kind == "gpu")
