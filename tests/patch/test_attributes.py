"""One way to change somebody's code for a while: in any order, nested, after errors, from one thread."""

import itertools
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import mlx.nn as nn
import pytest

from tasks.errors import GraftlineError
from tasks.patch import evaluating, original, other_class, replaced, uncompiled, wrapped


def _twice(stock: Any) -> Any:
    return lambda: 2 * stock()


def _inc(stock: Any) -> Any:
    return lambda: 1 + stock()


class Base:
    def call(self) -> int:
        return 1


class Inherits(Base):
    pass


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_patches_lie_on_each_other_and_are_left_in_any_order(order: tuple[int, ...]) -> None:
    module = ModuleType("somebody")
    module.f = stock = lambda: 10  # type: ignore[attr-defined]
    makes = [_twice, _inc, lambda _: lambda: 7]
    patches = [wrapped(module, "f", make) for make in makes]
    for patch in patches:
        patch.__enter__()
    inside = [0, 1, 2]
    for n in order:
        assert original(module, "f") is stock
        patches[n].__exit__(None, None, None)
        inside.remove(n)
        expected = stock
        for left in inside:
            expected = makes[left](expected)
        assert module.f() == expected()
    assert module.f is stock


def test_the_same_patch_is_counted_and_not_made_twice() -> None:
    thing = SimpleNamespace(f=lambda: 10)
    first, second = wrapped(thing, "f", _twice), wrapped(thing, "f", _twice)
    with first:
        second.__enter__()
        assert thing.f() == 20
    assert thing.f() == 20
    second.__exit__(None, None, None)
    assert thing.f() == 10


def test_what_was_inherited_is_so_again() -> None:
    layer = nn.Linear(2, 2)
    with replaced(Inherits, "call", lambda _: 2), replaced(layer, "to_quantized", None):
        assert (Inherits().call(), Base().call(), layer.to_quantized) == (2, 1, None)
    assert "call" not in vars(Inherits)
    assert Inherits().call() == 1
    assert "to_quantized" not in vars(layer)


def test_places_of_every_kind_are_put_back() -> None:
    model, dense = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2)
    before, weight = list(model.layers), model.layers[0].weight
    with replaced(model.layers, 1, dense), replaced(model.layers[0], "weight", dense.weight):
        assert model.layers[1] is dense
        assert model.layers[0].weight is dense.weight
    assert [id(layer) for layer in model.layers] == [id(layer) for layer in before]
    assert model.layers[0]["weight"] is weight
    with pytest.raises(AttributeError), replaced(model, "nothing", 1):
        pass


def test_an_error_inside_and_one_of_a_patch_itself_undo_it() -> None:
    thing = SimpleNamespace(f=1)
    with pytest.raises(ZeroDivisionError), replaced(thing, "f", 2):
        _ = 1 / 0
    assert thing.f == 1
    with replaced(thing, "f", 2):
        with pytest.raises(ZeroDivisionError), wrapped(thing, "f", lambda below: below / 0):
            pass
        assert thing.f == 2
    assert thing.f == 1


def _from_another_thread(patch: Any) -> str:
    """What a second thread meets that enters this patch."""
    met: list[str] = []

    def run() -> None:
        try:
            with patch:
                met.append("entered")
        except GraftlineError as error:
            met.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return met[0]


def test_a_second_thread_is_refused_in_words_until_the_first_has_left() -> None:
    layer = nn.Linear(2, 2)
    patches = [replaced(layer, "bias", None), other_class([layer], _same_class), evaluating(layer), uncompiled()]
    with replaced(SimpleNamespace(f=1), "f", 2):
        for patch in patches:
            refused = "two trainings in one process: start the second as a process of its own"
            assert _from_another_thread(patch) == refused
    assert _from_another_thread(replaced(layer, "bias", None)) == "entered"
    assert layer.bias is not None


def _same_class(cls: Any) -> Any:
    return cls
