import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.step.spike import FEWEST, spike_limit

losses = st.floats(0.01, 20)


def test_the_limit_is_that_of_a_normal_distribution():
    usual = [n / 100 for n in range(1, 200)]  # median 1, median distance from it 0.5
    assert spike_limit(usual, 3.0) == pytest.approx(1.0 + 3 * 1.4826 * 0.5, abs=0.02)


@given(st.lists(losses, max_size=FEWEST - 1))
def test_few_losses_say_nothing(few):
    assert spike_limit(few, 3.0) == float("inf")


@given(st.lists(losses, min_size=FEWEST, max_size=80))
def test_none_notices_nothing_and_the_median_is_no_spike(recent):
    assert spike_limit(recent, None) == float("inf")
    assert spike_limit(recent, 3.0) > sorted(recent)[len(recent) // 2 - 1]


@given(st.lists(st.floats(1, 2), min_size=20, max_size=60), st.integers(1, 4))
def test_a_few_spikes_hide_no_further_one(recent, spikes):
    assert spike_limit([*recent, *[1e6] * spikes], 5.0) < 2 + 5 * 1.4826 * 1.01


def test_a_loss_that_stands_still_makes_no_spike_of_its_rounding():
    assert spike_limit([2.0] * 40, 10.0) == pytest.approx(2.2)
