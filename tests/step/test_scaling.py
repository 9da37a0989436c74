"""Loss scaling: small gradients survive float16, an overflow costs a step and nothing else."""

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import Packed, batches
from tasks.errors import RunError
from tasks.loss import MaskedCrossEntropy
from tasks.model.head import find_head
from tasks.step import scaling
from tasks.step.forward import Forward
from tasks.step.update import Update, named
from tests.step.test_law import OPTIM, ROWS, in_dtype, model_of


class Half:
    """Steps of a tiny model in float16."""

    def __init__(self) -> None:
        self.model = model_of("qwen3")
        forward = Forward(self.model, MaskedCrossEntropy(), find_head(self.model), chunk=48, split=True)
        self.update, self.masters = Update(forward, OPTIM), self.model.trainable_parameters()
        self.window = [forward.arrays(batch) for batch in batches(ROWS, Packed(tokens=256), seed=0)]

    def step(self, state: Any) -> Any:
        done = self.update(self.masters, state, self.window, mx.random.key(0), 1e-3)
        self.model.update(self.masters)
        return done


@pytest.fixture
def half() -> Any:
    with in_dtype(model_of("qwen3"), mx.float16):
        yield Half()


def gradient(done: Any) -> np.ndarray:
    return np.array(done.state["adapter"]["m"])


def test_the_gradient_is_that_of_float32_whatever_the_scale(half: Half) -> None:
    with in_dtype(half.model, mx.float32):
        single = Half()
        exact = single.step(single.update.start(single.masters))
    assert scaling.NAME not in exact.state
    for factor in (2.0**-4, scaling.START):
        again = Half()  # an optimizer keeps its moments
        state = again.update.start(again.masters)
        state[scaling.NAME]["factor"] = mx.array(factor)
        done = again.step(state)
        assert float(done.loss.mean) == pytest.approx(float(exact.loss.mean), rel=2e-3)
        gap = np.linalg.norm(gradient(done) - gradient(exact)) / np.linalg.norm(gradient(exact))
        assert gap < 1e-2


def test_an_overflow_updates_nothing_halves_the_scale_and_is_no_bad_step(half: Half) -> None:
    state = half.update.start(half.masters)
    state[scaling.NAME]["factor"] = mx.array(2.0**40)
    done = half.step(state)
    assert np.isfinite(float(done.loss.mean))
    assert float(done.norm) == 0
    assert done.state[scaling.NAME]["factor"].item() == 2.0**39
    for name, array in named(half.masters).items():
        assert mx.array_equal(named(done.masters)[name], array), name
    assert done.state["step"].item() == state["step"].item()


def test_it_grows_after_steps_in_a_row_and_stays_in_its_bounds() -> None:
    now = {"factor": mx.array(scaling.MOST / 2), "sound": mx.array(0)}
    for _ in range(2 * scaling.GROW_AFTER):
        now = scaling.after(now, mx.array(True))
    assert now["factor"].item() == scaling.MOST
    for _ in range(40):
        now = scaling.after(now, mx.array(False))
    assert now["factor"].item() == scaling.LEAST
    assert not scaling.overflowed(now, mx.array(1.0), mx.array(float("inf"))).item()


def test_a_checkpoint_holds_it(half: Half) -> None:
    done = half.step(half.update.start(half.masters))
    arrays = named(done.state)
    again = half.update.restore(half.masters, arrays)
    assert {name: array.tolist() for name, array in named(again).items()} == {n: a.tolist() for n, a in arrays.items()}
    with in_dtype(half.model, mx.float32), pytest.raises(RunError, match=r"an unknown loss_scale\.factor"):
        Half().update.restore(half.masters, arrays)
