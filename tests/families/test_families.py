"""Every family of mlx-lm that can be built tiny goes the whole way; a handful of them in the gate."""

import re
from pathlib import Path

import pytest

from tasks.data import TokenCache
from tasks.model.family import UNTRAINABLE
from tests.families.configs import names
from tests.families.course import run_course

GATE = {
    "gemma2": ("packed", "one by one"),  # whose masks of a batch are wrong in mlx-lm
    "lfm2": ("bucketed", "batch"),  # a convolution between attention layers
}

REFUSED = {*UNTRAINABLE, "afm7"}


@pytest.mark.parametrize("family", GATE)
def test_what_a_family_needs_is_found_by_itself(family: str, token_cache: TokenCache, tmp_path: Path) -> None:
    done = run_course(family, token_cache, tmp_path)
    assert (done.layout, done.answers, done.verified, done.problems) == (*GATE[family], "7 of 7", ())


@pytest.mark.families
@pytest.mark.parametrize("family", [name for name in names() if name not in GATE])
def test_a_family_goes_the_whole_way(family: str, token_cache: TokenCache, tmp_path: Path) -> None:
    done = run_course(family, token_cache, tmp_path)
    if any(problem.startswith("cannot be built") for problem in done.problems):
        pytest.skip(done.problems[0])
    if family in REFUSED:
        assert (done.layout, len(done.problems)) == ("", 1), done.row
        assert re.search("cannot be (trained|adapted)", done.problems[0])
        return
    assert not done.problems, done.row
