"""The held-out loss is the mean over supervised tokens, whatever the batches."""

import mlx.core as mx
import numpy as np
import pytest

from tasks.score.held_out import First
from tasks.score.held_out_loss import held_out_loss
from tests.tiny import tiny_model


def test_it_is_the_float64_mean_over_supervised_tokens(token_cache) -> None:
    rows, model = First(token_cache.split("valid"), 3), tiny_model("qwen3")
    total = count = 0.0
    for i in range(len(rows)):
        logits = np.array(model(mx.array(rows.ids(i))[None])[0], np.float64)[:-1]
        targets, weights = rows.ids(i)[1:].astype(int), rows.weights(i)[1:]
        nll = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(targets)), targets]
        total, count = total + (weights * nll).sum(), count + weights.sum()
    assert held_out_loss(model, rows) == pytest.approx(total / count, rel=1e-5)
