"""One law: whatever the layout and the way, the loss and its gradients are those of full logits on padded rows."""

from itertools import product

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import Batch, Bucketed, Packed, Padded, batches, make_batch
from tasks.loss import LOSSES, CrossEntropy, MaskedCrossEntropy
from tasks.model.head import find_head
from tasks.optim import AdamW
from tasks.step import Forward, Update
from tasks.step.forward import _filled, compute_dtype
from tests.batch.rows import MemoryRows
from tests.tiny import attach_random, tiny_model

LENGTHS = [9, 30, 17, 12, 25, 40, 11]


def _batches(layout) -> list[Batch]:
    return list(batches(MemoryRows(LENGTHS), layout, seed=0))


@pytest.mark.parametrize(("kind", "packed"), list(product(LOSSES, [True, False])))
def test_the_head_where_it_counts_gives_the_loss_of_all_logits(kind, packed):
    model = tiny_model("qwen3")
    attach_random(model)
    loss = LOSSES[kind]()
    plain, fast = Forward(model, loss), Forward(model, loss, find_head(model), chunk=16)
    assert fast.head is not None
    layout = Packed(tokens=64, size=2) if packed else Bucketed(tokens=128)
    assert fast.mean(_batches(layout)) == pytest.approx(plain.mean(_batches(Padded(size=3))), rel=1e-5)


def test_gathered_arrays_hold_each_target_that_counts_once():
    forward = Forward(tiny_model("qwen3"), MaskedCrossEntropy(), find_head(tiny_model("qwen3")))
    (batch,) = _batches(Padded(size=7))
    arrays = {name: np.array(array) for name, array in forward.arrays(batch).items()}
    counted = arrays["weights"] > 0
    assert counted.sum() == batch.supervised_tokens
    at = arrays["index"][counted]
    assert len(set(at.tolist())) == len(at)
    np.testing.assert_array_equal(arrays["targets"][counted], batch.targets_BT.reshape(-1)[at])
    assert len(arrays["index"]) == _filled(batch.supervised_tokens, batch.weights_BT.size)
    assert "segments" not in arrays


def test_every_real_token_counts_where_the_loss_says_so():
    model = tiny_model("qwen3")
    (batch,) = _batches(Padded(size=7))
    fast = Forward(model, CrossEntropy(), find_head(model)).arrays(batch)
    assert float(fast["weights"].sum()) == batch.real_BT.sum()


def test_counts_are_filled_to_few_numbers():
    assert {_filled(n, 1024) for n in range(1025)} == set(range(128, 1025, 128))
    assert _filled(0, 3) == 1


def test_a_model_computes_in_the_dtype_of_its_base():
    model = tiny_model("qwen3")
    model.set_dtype(mx.bfloat16)
    attach_random(model)
    assert compute_dtype(model) == mx.bfloat16


SMALL = {"qwen3": {"num_hidden_layers": 1}, "gemma3_text": {"num_hidden_layers": 2, "sliding_window_pattern": 2}}


@pytest.mark.parametrize("family", sorted(SMALL))
@pytest.mark.parametrize("trained", [True, False])
def test_memory_grows_with_a_row_of_one_example_not_with_its_square(family, trained):
    model = tiny_model(family, num_attention_heads=2, num_key_value_heads=1, **SMALL[family])
    attach_random(model)
    forward, masters = Forward(model, MaskedCrossEntropy(), find_head(model)), model.trainable_parameters()
    update = Update(forward, AdamW())

    def peak(length):
        row = np.arange(length + 1) % 300, (np.arange(length + 1) % 8 == 0).astype(np.float32)
        batch = make_batch([[row]], [0])
        state = update.start(masters)
        mx.eval(state, masters)
        mx.synchronize()
        mx.reset_peak_memory()
        if trained:
            mx.eval(update(masters, state, [forward.arrays(batch)], mx.random.key(0), 1e-3))
        else:
            forward.mean([batch])
        return mx.get_peak_memory()

    assert peak(8192) < 5 * peak(2048)
