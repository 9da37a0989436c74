"""The marks of a custom function's call."""

import mlx.core as mx

from tasks.graph.custom_functions import FIRST, Marks


def test_no_number_is_given_twice_and_float32_holds_each() -> None:
    marks = Marks(compiled=False)
    numbers = [marks.number() for _ in range(1000)]
    assert len({number for number, _ in numbers}) == 1000
    assert all(number > FIRST and mark.item() == number for number, mark in numbers)


def test_a_call_tells_the_forward_and_the_gradients() -> None:
    """Of x and an index, which has no gradient: what is told beside the outputs is the real forward and backward."""
    marks = Marks(compiled=True)
    x, index = mx.array([2.0, 3.0]), mx.array([1, 0])
    marks.call(lambda x, i: x[i] * 5, lambda primals, cotangent, output: [output + 1, primals[1]], (x, index))
    (call,) = marks.calls
    assert [marks.extra[at].tolist() for _, at in call.forward] == [[15.0, 10.0]]
    assert [marks.extra[at].tolist() for _, at in call.gradients] == [[16.0, 11.0]]
    assert [marks.extra[at].tolist() for at in call.constants] == [[1, 0]]
