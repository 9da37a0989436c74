"""What a graph is made of."""

from tasks.graph.graph import Array, Op, needed


def test_bytes_of_an_array() -> None:
    assert Array((3, 4), 2).nbytes == 24
    assert Array((), 4).nbytes == 4


def test_only_what_is_needed_and_each_after_what_it_reads() -> None:
    last, unused, first = Op("Exp", (), (1,), (2,)), Op("Abs", (), (0,), (3,)), Op("Sin", (), (0,), (1,))
    assert needed([last, unused, first], [2]) == [first, last]
    assert needed([last, unused, first], [3, 2]) == [unused, first, last]
