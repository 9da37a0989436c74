import mlx.core as mx
import pytest

from tasks.adapter import adapter_parameters, record_probe
from tasks.check import CHECKS, Subject
from tasks.check.subject import agreement, trainable
from tasks.errors import AdapterError
from tasks.lora.attach import adapted_layers
from tasks.model import Model
from tasks.model.base import load_base
from tests.tiny import attach_random


def test_the_table_names_each_check_by_its_file():
    assert {name: check.__module__ for name, check in CHECKS.items()} == {
        name: f"tasks.check.{name}" for name in CHECKS
    }


def test_it_loads_base_and_adapter_once_and_afresh(trained):
    subject, other = Subject(*trained()), Subject(*trained())
    assert subject.model is subject.model is not other.model
    assert set(trainable(subject.model)) == set(adapter_parameters(subject.model))
    assert not subject.model.training


def test_its_tokens_are_the_probe_s(trained):
    subject = Subject(*trained(), tokens=[1, 2, 3])
    assert subject.probe is not None
    assert subject.tokens == subject.probe.tokens_T.tolist()
    assert len(subject.tokens) == 48


def test_without_a_probe_they_are_those_given(damaged, trained):
    (damaged / "probe.safetensors").unlink()
    assert Subject(damaged, trained()[1], tokens=[1, 2, 3]).tokens == [1, 2, 3]
    assert len(Subject(damaged, trained()[1]).tokens) == 64


@pytest.mark.parametrize(
    ("options", "unit"), [({}, 2**-23), ({"quantize": 4}, 2**-23), ({"dtype": "bfloat16"}, 2**-7)], ids=str
)
def test_the_rounding_unit_is_the_base_s_though_the_adapter_is_float32(options, unit, trained):
    subject = Subject(*trained("qwen3", **options))
    assert subject.eps == unit
    assert {array.dtype for array in trainable(subject.model).values()} == {mx.float32}


def test_what_cannot_be_loaded_says_so(trained, tmp_path):
    with pytest.raises(AdapterError, match="no such directory"):
        _ = Subject(tmp_path / "absent", Model(path=trained()[1].path)).model


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_of_another_strength_does_not_agree(dtype, model_folder):
    model = load_base(Model(path=str(model_folder(dtype=dtype)))).model
    attach_random(model)
    first, again = (record_probe(model, list(range(1, 40))) for _ in range(2))
    for layer in adapted_layers(model).values():
        layer.scale *= 2
    twice = record_probe(model, list(range(1, 40)))
    eps = {"float32": 2.0**-23, "bfloat16": 2.0**-7}[dtype]
    assert agreement(first, again, eps).passed
    assert not agreement(first, twice, eps).passed
