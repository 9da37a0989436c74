"""Another class for a while."""

import mlx.nn as nn
import pytest

from tasks.patch.classes import other_class


class Mine(nn.Linear):
    """A class of our own."""


def test_it_is_undone_after_an_error_too() -> None:
    first, second, seen = nn.Linear(2, 2), nn.Linear(2, 2), list[type]()

    def fail() -> None:
        with other_class([first, second], {nn.Linear: Mine}.__getitem__):
            seen.extend((type(first), type(second)))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert seen == [Mine, Mine]
    assert (type(first), type(second)) == (nn.Linear, nn.Linear)


def test_half_of_it_is_undone_where_a_layer_has_none() -> None:
    first, other = nn.Linear(2, 2), nn.RMSNorm(2)
    with pytest.raises(KeyError, match="RMSNorm"), other_class([first, other], {nn.Linear: Mine}.__getitem__):
        pass
    assert (type(first), type(other)) == (nn.Linear, nn.RMSNorm)
