import mlx.core as mx
import mlx.nn as nn
import pytest

from tasks.lora import RULES, LoRA
from tasks.lora.adapted import Adapted


@pytest.mark.parametrize("kind", RULES)
def test_a_layer_says_what_it_trains_and_what_its_strength_multiplies(kind):
    layer = RULES[kind]().wrap(nn.Linear(4, 3), mx.random.key(0))
    assert isinstance(layer, Adapted)
    assert set(layer) - {"linear"} == set(layer.trained) >= set(layer.scaled)


def test_a_key_is_no_parameter():
    layer = LoRA().wrap(nn.Linear(4, 3), mx.random.key(0))
    before = set(layer.parameters())
    layer._key = mx.random.key(1)
    assert set(layer.parameters()) == before
