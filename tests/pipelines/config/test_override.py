"""What is written as an override is what Hydra reads; what is typed in any alphabet is read too."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.config import compose_plain, parse_override
from pipelines.config.override import override, readable

values = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_characters="\n\r$", categories=("L", "N", "P", "Zs")), max_size=12)


@given(st.lists(values | texts, max_size=4) | values | texts)
@example("C:\\models\\jörg's")
@example("a\\'b")
@example("a\\\\")
def test_hydra_reads_back_what_was_written(value: object) -> None:
    assert compose_plain([override("data.template_kwargs.x", value)])["data"]["template_kwargs"]["x"] == value


@pytest.mark.parametrize("path", ["/home/jörg/qwen", "данные/a b.jsonl", "it's ü.jsonl"])
def test_a_typed_path_may_have_any_letters(path: str) -> None:
    assert compose_plain([f"data.train={path}"])["data"]["train"] == path
    assert parse_override(f"data.train={path}").value() == path


@pytest.mark.parametrize("typed", ["data.train=a.jsonl", "data.train='ü.jsonl'", "lora.targets=[ü]", "name=ü,b", "ü"])
def test_what_has_quotes_brackets_or_several_values_is_left_alone(typed: str) -> None:
    assert readable(typed) == typed
