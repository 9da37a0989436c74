import pytest

from tasks.score.exact_match import exact_match


def test_it_looks_past_outer_white_space_alone() -> None:
    assert exact_match([" a\n", "A", "a b"], ["a", "a", "a  b"]) == pytest.approx(1 / 3)
    assert exact_match([], []) is None
