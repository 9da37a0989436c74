"""Evaluation mode, and no compiler, for a while."""

import mlx.core as mx
import mlx.nn as nn

from tasks.patch import evaluating, uncompiled


def _modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_every_module_gets_its_own_mode_back_in_any_order() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    model.layers[1].eval()
    before = _modes(model)
    first, second = evaluating(model), evaluating(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not any(_modes(model))
    second.__exit__(None, None, None)
    assert _modes(model) == before
    assert True in before
    assert False in before


def test_what_trains_inside_does_not_keep_it() -> None:
    model = nn.Sequential(nn.Dropout(0.5)).eval()
    with evaluating(model):
        model.train()
    assert not any(_modes(model))


def test_functions_run_as_they_are_written() -> None:
    calls = []

    def f(x: mx.array) -> mx.array:
        calls.append(1)
        return x + 1

    compiled = mx.compile(f)
    with uncompiled():
        with uncompiled():
            compiled(mx.array(1.0))
        for _ in range(2):
            compiled(mx.array(1.0))
    assert len(calls) == 3
    for _ in range(2):
        compiled(mx.array(1.0))
    assert len(calls) == 4
