from typing import cast

import mlx.core as mx
import pytest

from tasks.errors import RunError
from tasks.optim import AdamW, load_state, state_arrays
from tests.loss.golden import named_arrays


def parameters():
    return {"layers": [{}, {"w": mx.ones((2, 3))}, {"w": mx.full((2,), 2.0)}], "b": mx.zeros(1)}


def train(optimizer, params, steps):
    for step in steps:
        optimizer.learning_rate = 0.1 / (step + 1)
        grads = {"layers": [{}, *({"w": p["w"] * 0.1 + step} for p in params["layers"][1:])], "b": params["b"] + 1}
        params = optimizer.apply_gradients(grads, params)
    mx.eval(params, optimizer.state)
    return params


def test_a_resumed_run_is_the_same_bit_for_bit(tmp_path):
    straight = train(AdamW().build(), parameters(), range(6))
    first = AdamW().build()
    half = train(first, parameters(), range(3))
    mx.save_safetensors(str(tmp_path / "state.safetensors"), state_arrays(first))

    second = AdamW().build()
    load_state(second, cast(dict[str, mx.array], mx.load(str(tmp_path / "state.safetensors"))), half)
    resumed = train(second, half, range(3, 6))
    final = named_arrays(resumed)
    for name, array in named_arrays(straight).items():
        assert mx.array_equal(array, final[name]), name
    assert second.step.item() == 6


def test_names_are_sorted():
    optimizer = AdamW().build()
    optimizer.init(parameters())
    names = list(state_arrays(optimizer))
    assert names == sorted(names)
    assert "layers.1.w.m" in names


def test_a_state_that_does_not_fit_is_named():
    optimizer = AdamW().build()
    optimizer.init(parameters())
    arrays = state_arrays(optimizer)
    arrays["b.v"] = mx.zeros((2,))
    arrays["c.m"] = arrays.pop("b.m")
    with pytest.raises(RunError, match=r"no b\.m; an unknown c\.m; b\.v is float32\[2\], not float32\[1\]"):
        load_state(AdamW().build(), arrays, parameters())


def test_a_compiled_step_goes_on_from_a_loaded_state():
    saved = AdamW().build()
    params = train(saved, parameters(), range(2))
    arrays = state_arrays(saved)
    expected = train(saved, params, [2])

    optimizer = AdamW().build()
    load_state(optimizer, arrays, params)
    optimizer.learning_rate = 0.1 / 3
    state = [optimizer.state]

    def step(params):
        grads = {"layers": [{}, *({"w": p["w"] * 0.1 + 2} for p in params["layers"][1:])], "b": params["b"] + 1}
        return optimizer.apply_gradients(grads, params)

    compiled = mx.compile(step, inputs=state, outputs=state)
    final = named_arrays(compiled(params))
    for name, array in named_arrays(expected).items():
        assert mx.allclose(array, final[name], rtol=1e-6), name
