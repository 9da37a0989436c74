"""The prediction against the peak of scoring rows for real."""

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import batches
from tasks.budget.anatomy import Anatomy
from tasks.budget.scoring import scoring
from tasks.loss import MaskedCrossEntropy
from tasks.memory import begin_peak
from tasks.model.head import find_head
from tasks.score.held_out_loss import CHUNK, SCORED
from tasks.step.forward import Forward
from tasks.step.update import named
from tests.bench.rows import BenchRows
from tests.tiny import tiny_model


@pytest.mark.parametrize("family", ["qwen3", "llama", "gemma3_text"])
def test_it_is_never_under_and_little_over(family: str) -> None:
    sizes = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 4, "head_dim": 32}
    model = tiny_model(family, **sizes)
    rows = BenchRows(np.array([500, 400, 300, 480, 90, 30]), 256)
    told = scoring(Anatomy(model).forward(MaskedCrossEntropy(), chunk=CHUNK), rows, SCORED)
    others = begin_peak(named(model.parameters()).values())
    forward = Forward(model, MaskedCrossEntropy(), find_head(model))
    mx.reset_peak_memory()
    forward.mean(batches(rows, SCORED, seed=0))
    real = mx.get_peak_memory() - others
    assert real <= told <= 1.25 * real


def test_the_longest_row_decides() -> None:
    model = tiny_model("qwen3")
    forward = Anatomy(model).forward(MaskedCrossEntropy(), chunk=CHUNK)
    short, long = (BenchRows(np.array(lengths), 256) for lengths in ([30, 31], [30, 500]))
    assert scoring(forward, long, SCORED) > scoring(forward, short, SCORED)
