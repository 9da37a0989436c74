import pickle
from pathlib import Path

import pytest

from tasks import errors
from tasks.errors import ConfigError, DataError, GraftlineError, Interrupted, suggest

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GraftlineError)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_of_the_family_and_says_what_it_is_for(kind):
    assert issubclass(kind, GraftlineError)
    assert kind.__doc__


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "no turn"),
        ({"path": "a.jsonl"}, "a.jsonl: no turn"),
        ({"path": Path("a.jsonl"), "line": 17}, "a.jsonl:17: no turn"),
        ({"line": 17}, "no turn"),
    ],
    ids=str,
)
def test_a_data_error_says_where(where, text):
    error = DataError("no turn", **where)
    assert str(error) == text
    assert (error.reason, error.line) == ("no turn", where.get("line"))


def test_a_config_error_keeps_its_problems_apart():
    error = ConfigError("a=1: no", "b=2: no\nat all")
    assert error.problems == ("a=1: no", "b=2: no\nat all")
    assert str(error) == "2 problems in the configuration:\n  a=1: no\n  b=2: no\nat all"
    assert str(ConfigError("a=1: no")) == "a=1: no"


def test_no_secret_is_in_a_gathered_error():
    assert "pa55word" not in str(ConfigError("one", "postgresql://me:pa55word@host/db"))


ERRORS = [
    ConfigError("a", "b"),
    *(kind("what") for kind in KINDS if kind is not Interrupted),
    Interrupted("what", 15),
    Interrupted("what", 15, "to resume, repeat the command"),
    DataError("r", path="p", line=2),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_it_survives_being_pickled(error):
    """Prefect carries what a task raises to the flow that way."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_what_is_near_is_suggested_and_what_there_is_listed_where_nothing_is():
    assert suggest("q_prj", iter(["k_proj", "q_proj"])) == "did you mean q_proj?"
    assert suggest("zzz", iter(["a", "b"])) == "choose from a, b"
    assert suggest("zzz", ["a"], "see conf/") == "see conf/"
    assert suggest("abcd", ["abxy"]) != suggest("abcd", ["abxy"], cutoff=0.4)
