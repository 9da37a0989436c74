import json
import logging

import numpy as np
import pytest

from tasks.batch import make_batch
from tasks.errors import RunError
from tasks.settings import Train
from tasks.sink import Counters
from tasks.step.bad_batch import BAD_BATCH
from tasks.step.watch import RESTORES, SKIPPED_IN_A_ROW, Watch
from tests.batch.rows import MemoryRows

NAN, CALM = float("nan"), [1.0, 1.1, 0.9, 1.05] * 5
WINDOW = [make_batch([[(np.arange(5), np.ones(5, np.float32))]], [2])]


@pytest.fixture(autouse=True)
def _heard(caplog):
    caplog.set_level(logging.WARNING, "tasks")  # a command that ran before may have turned it down


def judge(folder, loss, norm=1.0, counters=None, **train):
    watch = Watch(folder, MemoryRows([9, 30, 17]), Train.model_validate(train))
    return watch.step(21, loss, norm, WINDOW, counters or Counters(recent=CALM))


def named(folder):
    path = folder / BAD_BATCH
    return [(bad["step"], bad["why"]) for bad in json.loads(path.read_text())["steps"]] if path.exists() else []


def test_what_is_usual_is_sound_and_nothing_is_written(tmp_path, caplog):
    assert judge(tmp_path, 1.2) == judge(tmp_path, 0.1) == judge(tmp_path, 9.0, counters=Counters()) == "sound"
    assert not named(tmp_path)
    assert not caplog.records


def test_a_spike_is_said_with_what_it_was_made_of(tmp_path, caplog):
    assert judge(tmp_path, 9.0) == "spike"
    assert named(tmp_path) == [(21, "spike")]
    assert "step 21: the loss is 9.0, the gradient norm 1.0, on training examples [2]: a spike, beyond" in caplog.text
    assert judge(tmp_path, 9.0, spike=None) == "sound"
    assert judge(tmp_path, 9.0, spike=1000.0) == "sound"


@pytest.mark.parametrize(("loss", "norm"), [(NAN, 1.0), (float("inf"), 1.0), (1.0, NAN)])
def test_what_is_not_finite_follows_the_policy(loss, norm, tmp_path, caplog):
    with pytest.raises(RunError, match=r"step 21: the loss is .* nothing was updated.*on_bad=skip or restore"):
        judge(tmp_path, loss, norm)
    assert judge(tmp_path, loss, norm, on_bad="skip") == "skip"
    assert judge(tmp_path, loss, norm, on_bad="restore") == "restore"
    assert named(tmp_path) == [(21, "not finite")]
    assert "skipped, nothing was updated" in caplog.text
    assert "going back" in caplog.text


def test_neither_policy_goes_on_for_ever(tmp_path):
    skipped = Counters(skipped_in_a_row=SKIPPED_IN_A_ROW - 1)
    with pytest.raises(RunError, match=r"as on the 9 steps before; lower optim\.lr"):
        judge(tmp_path, NAN, counters=skipped, on_bad="skip")
    with pytest.raises(RunError, match="the run has gone back 5 times"):
        judge(tmp_path, NAN, counters=Counters(restores=RESTORES), on_bad="restore")


def test_a_validation_is_never_skipped(tmp_path):
    def validation(loss, **train):
        watch = Watch(tmp_path, MemoryRows([9]), Train.model_validate(train))
        return watch.validation(4, loss, Counters())

    assert validation(2.0) == "sound"
    assert validation(NAN, on_bad="restore") == "restore"
    for policy in ("stop", "skip"):
        with pytest.raises(RunError, match=r"step 4: the validation loss is nan after this step's update; lower"):
            validation(NAN, on_bad=policy)
