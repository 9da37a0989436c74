import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.settings import Check, Evaluate, Train, Verify

CASES = [
    ({}, 10, 10),  # one epoch
    ({"steps": 7}, 10, 7),
    ({"epochs": 2.0}, 10, 20),
    ({"epochs": 3}, 10, 30),
    ({"epochs": 0.5}, 10, 5),
    ({"epochs": 1e-6}, 10, 1),
    ({"accumulate": 3}, 10, 4),
    ({"accumulate": 20}, 10, 1),
]


@pytest.mark.parametrize(("settings", "batches", "steps"), CASES)
def test_steps_of_a_run(settings, batches, steps):
    assert Train(**settings).total_steps(lambda epoch: batches) == steps


@given(st.lists(st.integers(1, 50), min_size=6, max_size=6), st.integers(1, 9), st.floats(0.01, 5))
def test_whole_epochs_are_covered_by_their_steps_and_no_step_more(batches, accumulate, epochs):
    steps = Train(epochs=epochs, accumulate=accumulate).total_steps(batches.__getitem__)
    ends = [-(-count // accumulate) for count in batches]
    whole = int(epochs)
    assert sum(ends[:whole]) <= steps <= max(1, sum(ends[: whole + 1]))
    if epochs == whole:
        assert steps == sum(ends[:whole])


def test_steps_and_epochs_are_two_answers_to_one_question():
    with pytest.raises(ValidationError, match=r"give steps or epochs, not both; got steps=3, epochs=1\.0"):
        Train(steps=3, epochs=1.0)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *(
            (Train, {name: 0})
            for name in ("steps", "epochs", "accumulate", "eval_every", "save_every", "keep", "keep_every", "patience")
        ),
        (Train, {"on_bad": "hope"}),
        (Train, {"final": "first", "eval_every": 1}),
        *((Train, {"backoff": wrong}) for wrong in (0.0, 1.0, 2.0)),
        (Train, {"spike": 0.0}),
        *(
            (Evaluate, wrong)
            for wrong in ({"generate": -1}, {"examples": -1}, {"max_new_tokens": 0}, {"metric": "bleu"})
        ),
        *((Verify, wrong) for wrong in ({"checks": ()}, {"checks": ("bytes",)}, {"probe_tokens": 1})),
    ],
)
def test_what_makes_no_sense_is_refused(kind, wrong):
    with pytest.raises(ValidationError):
        kind.model_validate({"checks": ("files",), **wrong} if kind is Verify else wrong)


@pytest.mark.parametrize(
    ("settings", "said"), [({"patience": 3}, "patience=3"), ({"final": "best"}, "final=best")], ids=str
)
def test_what_goes_by_validation_says_how_often(settings, said):
    with pytest.raises(ValidationError, match=f"{said} goes by the validation loss; give eval_every"):
        Train.model_validate(settings)
    assert Train.model_validate({**settings, "eval_every": 5}).by_validation == said
    assert not Train(eval_every=5).by_validation


def test_the_best_stays_where_it_is_the_result():
    assert not Train(eval_every=1).keeps_best
    assert Train(eval_every=1, keep_best=True).keeps_best
    assert Train(eval_every=1, final="best").keeps_best


def test_each_check_that_has_a_file_is_named():
    files = {path.stem for path in (Path(__file__).parents[1] / "tasks/check").glob("*.py")}
    assert files - {"__init__", "subject"} == set(get_args(Check))


def test_checks_decode_from_a_list_as_yaml_has_it():
    verify = Verify.model_validate_json(json.dumps({"checks": ["files", "adjoint"]}))
    assert verify.checks == ("files", "adjoint")
