from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn

from tasks.grad.tree import Slot, is_array, join, named_leaves, split


class Pair(NamedTuple):
    a: object
    b: object


def test_split_and_join_are_inverse():
    x, ids, linear = mx.array(1.5), mx.array([1]), nn.Linear(2, 2)
    tree = {"p": Pair(x, [ids, None]), "t": (linear, x, "s")}
    arrays, skeleton = split(tree)
    assert len(arrays) == 2
    assert isinstance(skeleton["p"], Pair)
    assert skeleton["p"].a == Slot(0)
    back = join(skeleton, arrays)
    assert back["p"].a is x
    assert back["p"].b[0] is ids
    assert back["t"][0] is linear


def test_a_module_is_a_leaf_though_it_is_a_dict():
    linear = nn.Linear(2, 2)
    assert split(linear, is_array) == ([], linear)
    assert split(linear, is_array)[1] is linear


def test_keys_bools_and_integers_are_not_differentiable():
    arrays, _ = split([mx.random.key(0), mx.array([True]), mx.array([1]), mx.array([1.0], mx.bfloat16)])
    assert [a.dtype for a in arrays] == [mx.bfloat16]


def test_leaves_have_paths():
    assert named_leaves({"w": [1, 2]}, "argument 0")[1] == ("argument 0['w'][1]", 2)
