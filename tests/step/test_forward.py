"""One law: whatever the layout and the way, the loss and its gradients are those of full logits on padded rows."""

from collections import Counter
from itertools import product
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.models import activations, qwen3

from tasks.batch import Batch, Bucketed, Packed, Padded, batches, make_batch
from tasks.loss import LOSSES, CrossEntropy, MaskedCrossEntropy
from tasks.model.head import find_head
from tasks.optim import AdamW
from tasks.step.forward import Forward, _filled, compute_dtype, training_kernels, usual_share
from tasks.step.update import Update
from tests.attention.families import OTHERS, tiny
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
    assert len(arrays["index"]) == batch.supervised_tokens
    assert "segments" not in arrays


def test_every_real_token_counts_where_the_loss_says_so():
    model = tiny_model("qwen3")
    (batch,) = _batches(Padded(size=7))
    fast = Forward(model, CrossEntropy(), find_head(model)).arrays(batch)
    assert float(fast["weights"].sum()) == batch.real_BT.sum()


def test_counts_are_filled_to_two_numbers():
    assert {_filled(n, 1024, 0.25) for n in range(257)} == {256}
    assert {_filled(n, 1024, 0.25) for n in range(257, 1025)} == {1024}
    assert (_filled(0, 3, None), _filled(2, 3, None), _filled(0, 3, 0.1)) == (1, 2, 1)


@pytest.mark.parametrize("longest", [2048, 8192])
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("share", [None, 0.1, 0.5])
def test_a_default_run_has_at_most_four_shapes(longest, size, share):
    """Chat-like lengths, and where `longest` is beyond a row a tail of them; each row supervised to another extent."""
    draw = np.random.default_rng(0)
    lengths = np.clip(draw.lognormal(np.log(190), 0.8, 1500), 16, 2048).astype(int).tolist()
    lengths += [] if longest == 2048 else [2500, 3000, 3001, 4100, 5000, 7000, 8192]
    shares = np.clip(draw.beta(1, 1 / (share or 0.5) - 1, len(lengths)), 0.02, 1)

    class Some(MemoryRows):
        def ids(self, index):
            return super().ids(index) % 300

        def weights(self, index):
            return (np.arange(lengths[index]) >= (1 - shares[index]) * lengths[index]).astype(np.float32)

    model, rows = tiny_model("qwen3", num_hidden_layers=1), Some(lengths)
    loss = CrossEntropy() if share is None else MaskedCrossEntropy()
    forward = Forward(model, loss, find_head(model), usual=usual_share(rows, loss))
    seen = Counter()
    for batch in batches(rows, Packed(tokens=2048, size=size), seed=0):
        arrays = forward.arrays(batch)
        seen[(arrays["inputs"].shape, arrays["targets"].shape, "segments" in arrays)] += 1
    assert len(seen) <= 4, seen
    assert seen.most_common(1)[0][1] > 0.5 * seen.total()


def test_a_model_computes_in_the_dtype_of_its_base():
    model = tiny_model("qwen3")
    model.set_dtype(mx.bfloat16)
    attach_random(model)
    assert compute_dtype(model) == mx.bfloat16


SMALL: dict[str, dict[str, Any]] = {
    "qwen3": {"num_hidden_layers": 1},
    "gemma3_text": {"num_hidden_layers": 2, "sliding_window_pattern": 2},
    "deepseek_v32": {"index_topk": 64, "index_n_heads": 2},
    "llama4": {
        "text_config": {**OTHERS["llama4"]["text_config"], "num_attention_heads": 2, "attention_chunk_size": 512}
    },
}


@pytest.mark.parametrize("family", sorted(SMALL))
@pytest.mark.parametrize("trained", [True, False])
def test_memory_grows_with_a_row_of_one_example_not_with_its_square(family, trained):
    model = tiny(family, num_attention_heads=2, num_key_value_heads=1, **SMALL[family])
    model.freeze()
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


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_two_trainings_leave_the_stock_functions_whichever_ends_first(order, device, monkeypatch):
    monkeypatch.setattr("tasks.model.activations.kind", lambda: device)
    places: Any = [(qwen3, "swiglu"), (qwen3, "scaled_dot_product_attention"), (activations, "swiglu"), (nn, "silu")]
    stock = [getattr(*place) for place in places]
    both = [training_kernels(tiny_model("qwen3")) for _ in range(2)]
    for one in both:
        one.__enter__()
    both[order[0]].__exit__(None, None, None)
    assert not any(getattr(*place) is before for place, before in zip(places[:2], stock, strict=False))
    both[order[1]].__exit__(None, None, None)
    assert [getattr(*place) for place in places] == stock
