"""One update: its gradient clipped and applied once, dropout by its key, and nothing done where it is not sound."""

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from tasks.batch import Packed, Padded, batches
from tasks.errors import RunError
from tasks.loss import MaskedCrossEntropy
from tasks.model.head import find_head
from tasks.optim import AdamW
from tasks.step.forward import Forward
from tasks.step.update import Update, Updated, named
from tests.batch.rows import MemoryRows
from tests.tiny import attach_random, tiny_model

LENGTHS = [9, 30, 17, 12, 25, 40, 11]
OPTIM = AdamW(lr=1e-2, eps=1e-2, warmup=0, clip_norm=0.1)  # a large eps, or Adam turns rounding into direction


def _updated(
    family: str, layout, *, head: bool, dropout: float = 0.0, split: bool = False, **options
) -> tuple[Updated, dict[str, mx.array]]:
    model = tiny_model(family)
    attach_random(model, dropout=dropout) if dropout else attach_random(model)
    forward = Forward(model, MaskedCrossEntropy(), find_head(model) if head else None, chunk=16, split=split)
    update = Update(forward, OPTIM, **options)
    masters = model.trainable_parameters()
    window = [forward.arrays(batch) for batch in batches(MemoryRows(LENGTHS), layout, seed=0)]
    done = update(masters, update.start(masters), window, mx.random.key(7), 1e-2)
    mx.eval(done)
    return done, named(done.masters)


def test_a_packed_window_makes_the_update_of_a_padded_one():
    plain, expected = _updated("qwen3", Padded(size=3), head=False)
    done, masters = _updated("qwen3", Packed(tokens=64), head=True)
    assert float(done.loss.count) == float(plain.loss.count)
    assert float(done.norm) == pytest.approx(float(plain.norm), rel=1e-5)
    for name, array in masters.items():
        assert mx.allclose(array, expected[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("checkpoint", ["attention", "mlp", "all", 2])
def test_dropout_is_the_key_s_and_safe_under_checkpointing(checkpoint):
    _, plain = _updated("qwen3", Padded(size=3), head=True, dropout=0.3)
    _, again = _updated("qwen3", Padded(size=3), head=True, dropout=0.3)
    _, recomputed = _updated("qwen3", Padded(size=3), head=True, dropout=0.3, checkpoint=checkpoint)
    _, without = _updated("qwen3", Padded(size=3), head=True)
    assert all(mx.array_equal(plain[name], again[name]) for name in plain)
    assert all(mx.allclose(plain[name], recomputed[name], rtol=1e-5, atol=1e-6) for name in plain)
    assert not all(mx.allclose(plain[name], without[name], rtol=1e-5, atol=1e-6) for name in plain)


def test_a_step_that_is_not_finite_leaves_everything_as_it_was():
    model = tiny_model("qwen3")
    attach_random(model)
    forward = Forward(model, MaskedCrossEntropy(), find_head(model))
    update = Update(forward, OPTIM)
    masters = model.trainable_parameters()
    state = update.start(masters)
    before = {name: mx.array(array) for name, array in named(masters).items()}
    (batch,) = batches(MemoryRows([20]), Padded(), seed=0)
    arrays = forward.arrays(batch)
    arrays["weights"] = arrays["weights"] * float("inf")
    done = update(masters, state, [arrays], mx.random.key(0), 1e-2)
    mx.eval(done)
    assert not bool(mx.isfinite(done.loss.total))
    assert all(mx.array_equal(array, before[name]) for name, array in named(done.masters).items())
    assert all(bool(mx.all(mx.isfinite(array))) for array in named(done.state).values())


def test_the_model_is_left_with_the_masters_that_it_had():
    model = tiny_model("qwen3")
    attach_random(model)
    forward = Forward(model, MaskedCrossEntropy())
    update, masters = Update(forward, OPTIM), model.trainable_parameters()
    (batch,) = batches(MemoryRows([20]), Padded(), seed=0)
    update(masters, update.start(masters), [forward.arrays(batch)], mx.random.key(0), 1e-2)
    held = dict(tree_flatten(model.trainable_parameters()))
    assert all(mx.array_equal(array, held[name]) for name, array in named(masters).items())
    assert not model.training


def test_a_state_of_other_parameters_is_refused():
    model = tiny_model("qwen3")
    attach_random(model)
    update, masters = Update(Forward(model, MaskedCrossEntropy()), OPTIM), model.trainable_parameters()
    arrays = named(update.start(masters))
    restored = update.restore(masters, arrays)
    assert set(named(restored)) == set(arrays)
    with pytest.raises(RunError, match="no "):
        update.restore(masters, dict(list(arrays.items())[3:]))
