import math

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tasks.adapter import Probe, read_probe, record_probe
from tasks.adapter.probe import COLUMNS
from tasks.errors import AdapterError
from tests.tiny import same, tiny_model

TOKENS = [5, 9, 200, 7]


def probe_of(logits_TV: mx.array) -> Probe:
    class Fixed(nn.Module):
        def __call__(self, ids):
            return logits_TV[None]

    return record_probe(Fixed(), list(range(len(logits_TV))))


def test_it_holds_the_model_s_own_logits():
    model = tiny_model("qwen3")
    probe, logits = record_probe(model, TOKENS), model(mx.array([TOKENS]))[0]
    assert same(probe.logits_TC, logits[:, :COLUMNS])
    assert mx.allclose(probe.logsumexp_T, mx.logsumexp(logits, axis=-1))
    assert probe.tokens_T.tolist() == TOKENS


def test_it_is_recorded_in_evaluation_mode_and_the_mode_put_back():
    model = tiny_model("qwen3")
    model.train()
    record_probe(model, TOKENS)
    assert model.training


@pytest.mark.parametrize("vocabulary", [3, COLUMNS, 2 * COLUMNS, 1000])
def test_columns_are_spread_over_the_vocabulary(vocabulary):
    logits = mx.broadcast_to(mx.arange(vocabulary).astype(mx.float32), (2, vocabulary))
    columns = np.array(probe_of(logits).logits_TC[0])
    assert len(columns) == min(COLUMNS, vocabulary)
    assert len(np.unique(np.diff(columns))) == 1
    assert columns[-1] >= 0.75 * (vocabulary - 1)


def test_a_change_in_any_column_shows():
    logits = mx.random.normal((2, 1000), key=mx.random.key(0))
    changed = mx.array(logits)
    changed[1, 2] += 5  # between the columns that are kept, every third
    one, other = probe_of(logits), probe_of(changed)
    assert same(one.logits_TC, other.logits_TC)
    assert one.distance(other) > 0.01
    assert one.distance(one) == 0


@pytest.mark.parametrize(
    ("wrong", "column"), [(math.nan, 0), (math.nan, 2), (math.inf, 0), (math.inf, 2), (-math.inf, 0)]
)
def test_what_is_not_finite_is_infinitely_far(wrong, column):
    logits = mx.zeros((2, 1000))
    changed = mx.array(logits)
    changed[1, column] = wrong
    assert probe_of(logits).distance(probe_of(changed)) == math.inf
    assert probe_of(changed).distance(probe_of(logits)) == math.inf


def test_it_survives_the_disk(tmp_path):
    probe = record_probe(tiny_model("qwen3"), TOKENS)
    mx.save_safetensors(str(tmp_path / "probe.safetensors"), probe.arrays())
    again = read_probe(tmp_path)
    assert again is not None
    assert probe.distance(again) == 0


def test_there_may_be_none(tmp_path):
    assert read_probe(tmp_path) is None


def test_a_torn_one_is_said_to_be_so(tmp_path):
    (tmp_path / "probe.safetensors").write_bytes(b"torn")
    with pytest.raises(AdapterError, match=r"probe\.safetensors cannot be read"):
        read_probe(tmp_path)
