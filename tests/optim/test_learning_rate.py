import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ConfigError
from tasks.optim import rate, warmup_steps


@given(
    total=st.integers(1, 300),
    share=st.floats(0, 0.99),
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
    min_lr=st.floats(0, 1),
)
def test_every_update_has_a_rate_above_zero_and_none_above_lr(total, share, schedule, min_lr):
    rates = [rate(s, total, lr=0.5, schedule=schedule, warmup=share, min_lr=min_lr) for s in range(total)]
    assert all(0 < r <= 0.5 for r in rates)
    warm = warmup_steps(share, total)
    assert rates[:warm] == sorted(rates[:warm])
    if schedule != "constant":
        assert rates[warm:] == sorted(rates[warm:], reverse=True)
        assert all(r >= 0.5 * min_lr * (1 - 1e-9) for r in rates[warm:])


def test_warm_up_then_full_rate_then_the_floor():
    rates = [rate(s, 10, lr=1.0, schedule="cosine", warmup=4, min_lr=0.1) for s in range(12)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[10] == rates[11] == pytest.approx(0.1)
    assert rates[7] == pytest.approx(0.55)


def test_constant_stays():
    assert [rate(s, 3, lr=2.0) for s in range(4)] == [2.0] * 4


def test_a_share_is_rounded_up_and_not_by_float_noise():
    assert warmup_steps(0.07, 100) == 7
    assert warmup_steps(0.01, 3) == 1
    assert warmup_steps(5.0, 10) == 5


def test_a_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(ConfigError, match=r"optim\.warmup is 100 steps, the run has 20"):
        rate(0, 20, lr=1.0, warmup=100)
