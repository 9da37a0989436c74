import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.lora import RULES, LoRA


@given(rank=st.integers(1, 1024), alpha=st.floats(1e-3, 1e3))
def test_the_strength_is_alpha_over_rank(rank, alpha):
    assert LoRA(rank=rank, alpha=alpha).scale == pytest.approx(alpha / rank)


def test_it_is_in_the_table_under_its_kind():
    assert RULES[LoRA().kind] is LoRA
