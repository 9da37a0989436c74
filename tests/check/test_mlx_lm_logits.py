import pytest

from tasks.check import Subject
from tasks.check.mlx_lm_logits import check
from tests.tiny import any_model


@pytest.mark.parametrize("options", [{}, {"quantize": 4}, {"dtype": "bfloat16"}], ids=str)
def test_mlx_lm_agrees(options, trained):
    assert check(Subject(*trained("qwen3", **options))).passed


def test_another_strength_is_noticed(trained):
    subject = Subject(*trained())
    any_model(subject).layers[0].self_attn.q_proj.scale *= 1.01
    assert not check(subject).passed


def test_a_refusal_is_told_in_mlx_lm_s_words(trained, monkeypatch):
    def refuse(*_):
        raise ValueError("not an adapter of mine")

    monkeypatch.setattr("mlx_lm.tuner.utils.load_adapters", refuse)
    assert check(Subject(*trained())) == (False, "mlx-lm refuses it: not an adapter of mine")
