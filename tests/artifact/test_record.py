import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from tasks.artifact import Record, fingerprint, kinds

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Point(Record):
    x: int
    y: float = 0.0


@given(plain)
def test_a_fingerprint_survives_json_and_the_order_of_keys(value):
    def backwards(v):
        if isinstance(v, dict):
            return {k: backwards(v[k]) for k in reversed(v)}
        return tuple(map(backwards, v)) if isinstance(v, list) else v

    assert fingerprint(value) == fingerprint(json.loads(json.dumps(value))) == fingerprint(backwards(value))


@given(plain, plain)
def test_two_values_of_one_fingerprint_are_one_json(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint(one, 64) == fingerprint(other, 64)) is same


def test_a_record_has_the_fingerprint_of_its_fields():
    assert fingerprint(Point(x=1)) == fingerprint({"x": 1, "y": 0.0}) != fingerprint(Point(x=2))
    assert len(fingerprint(Point(x=1))) == 16


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, [b"bytes"], Path("p"), {"a": {1, 2}}, print])
def test_what_has_no_content_to_write_down_has_no_fingerprint(value):
    with pytest.raises(TypeError, match="fingerprint"):
        fingerprint(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nor_has_a_number_that_is_none(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint([value])


@pytest.mark.parametrize("wrong", [{"x": 1.0}, {"x": "1"}, {"x": True}, {"x": 1, "z": 0}, {"x": 1, "y": float("nan")}])
def test_a_record_is_strict(wrong):
    with pytest.raises(ValueError, match="validation error"):
        Point.model_validate(wrong)


def test_the_kinds_of_a_union_are_its_records_by_kind_in_order():
    class A(Record):
        kind: Literal["a"] = "a"

    class B(Record):
        kind: Literal["b"] = "b"

    assert list(kinds(Annotated[B | A, Field(discriminator="kind")]).items()) == [("b", B), ("a", A)]
    assert kinds(A | B) == {"a": A, "b": B}
    assert kinds(A) == {"a": A}  # a union of one
