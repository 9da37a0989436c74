import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

from tasks.budget.peak import peak_bytes
from tasks.memory import begin_peak
from tests.tiny import arrays, attach_random, tiny_model


def test_the_model_is_as_it_was() -> None:
    model = tiny_model("qwen3")
    model.layers[0].train()
    before = arrays(model.parameters())
    peak_bytes(model, lambda ids: [model(ids)], mx.zeros((1, 16), mx.int32))
    assert all(array is before[name] for name, array in arrays(model.parameters()).items())
    assert model.layers[0].training
    assert not model.layers[1].training


def test_a_weight_that_is_cast_for_both_directions_is_not_kept_between_them() -> None:
    model = tiny_model("qwen3", hidden_size=256, intermediate_size=512, num_hidden_layers=8)
    model.update(tree_map(lambda x: x.astype(mx.bfloat16), model.parameters()))
    attach_random(model)
    x = mx.zeros((16, 256))

    def gradient(x: mx.array) -> list[mx.array]:
        return [mx.grad(lambda x: through(x).sum())(x)]

    def through(x: mx.array) -> mx.array:
        for layer in model.layers:
            x = x + layer.mlp(x)
        return x

    predicted = peak_bytes(model, gradient, x)
    others = begin_peak([*arrays(model.parameters()).values(), x])
    mx.eval(gradient(x))
    real = mx.get_peak_memory() - others
    assert real <= predicted <= 1.15 * real


def test_shared_weights_are_held_once() -> None:
    layer = nn.Linear(64, 64, bias=False)
    both = nn.Sequential(layer, layer)
    assert peak_bytes(both, lambda x: [both(x)], mx.zeros((1, 64))) < 1.2 * layer.weight.nbytes
