import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.lora import RULES, LoRA, RsLoRA


@given(rank=st.integers(1, 1024), alpha=st.floats(1e-3, 1e3))
def test_the_strength_is_that_of_lora_times_the_root_of_the_rank(rank, alpha):
    assert RsLoRA(rank=rank, alpha=alpha).scale == pytest.approx(LoRA(rank=rank, alpha=alpha).scale * rank**0.5)


def test_it_is_in_the_table_under_its_kind():
    assert RULES[RsLoRA().kind] is RsLoRA
