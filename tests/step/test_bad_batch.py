import json

from tasks.step.bad_batch import BAD_BATCH, KEPT, write_bad_batch
from tests.batch.rows import MemoryRows

NAN = float("nan")


def write(out, step, examples=(2, 0), rows=None, restores=0):
    rows = rows or MemoryRows([9, 30, 17])
    measured = {"loss": NAN, "grad_norm": float("inf")}
    write_bad_batch(out, rows, list(examples), why="not finite", step=step, restores=restores, **measured)
    return json.loads((out / BAD_BATCH).read_text())["steps"]


def test_the_examples_and_what_was_computed_are_written_down(tmp_path):
    assert write(tmp_path, 7) == [
        {
            "step": 7,
            "why": "not finite",
            "restores": 0,
            "loss": "nan",
            "grad_norm": "inf",
            "examples": [{"example": 2, "tokens": 17}, {"example": 0, "tokens": 9}],
        }
    ]


def test_rows_of_a_token_cache_say_where_they_came_from(token_cache, tmp_path):
    (found,) = write(tmp_path, 1, [5, 0], token_cache.split("train"))
    assert [(e["example"], e["source"], e["line"]) for e in found["examples"]] == [(5, 0, 6), (0, 0, 1)]


def test_a_resumed_run_says_each_step_once(tmp_path):
    steps = [write(tmp_path, step) for step in (3, 5, 6, 5)]
    assert [bad["step"] for bad in steps[-1]] == [3, 5]


def test_a_step_that_was_gone_back_from_stays_beside_the_later_one_of_its_number(tmp_path):
    steps = [write(tmp_path, step, restores=restores) for step, restores in ((3, 0), (7, 0), (5, 1), (7, 1), (7, 1))]
    assert [(bad["restores"], bad["step"]) for bad in steps[-1]] == [(0, 3), (0, 7), (1, 5), (1, 7)]


def test_the_newest_stay_and_a_torn_file_is_begun_anew(tmp_path):
    steps = [write(tmp_path, step) for step in range(1, KEPT + 4)]
    assert [bad["step"] for bad in steps[-1]] == list(range(4, KEPT + 4))
    (tmp_path / BAD_BATCH).write_text('{"steps": [')
    assert [bad["step"] for bad in write(tmp_path, 60)] == [60]
