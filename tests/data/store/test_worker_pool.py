"""Worker processes: in order, few blocks at a time, and one that dies is said."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.data import Data
from tasks.data.source.blocks import Block
from tasks.data.store.job import Job, Maker
from tasks.data.store.worker_pool import made_by_workers
from tasks.errors import DataError, RunError


@pytest.fixture
def maker(tmp_path: Path, tokenizer_of: Callable) -> Maker:
    return Maker(tmp_path, Data(train="a.jsonl"), tokenizer_of(None), None)


def job(n: int, text: str = "x") -> Job:
    return Job("train", n, 0, Block("a.jsonl", 20, n + 1, f'{{"text": "{text * (n + 1)}"}}\n'.encode()))


def test_in_order_and_a_few_at_a_time(maker: Maker):
    asked: list[int] = []

    def jobs() -> Iterator[Job]:
        for n in range(12):
            asked.append(n)
            yield job(n)

    for count, (done, (shard, _)) in enumerate(made_by_workers(maker, jobs(), 2)):
        assert done.n == count
        assert shard.tokens == count + 2
        assert len(asked) <= count + 4
    assert len(asked) == 12


def test_the_first_error_ends_it(maker: Maker):
    bad = Job("train", 2, 0, Block("a.jsonl", 20, 3, b"{]\n"))
    with pytest.raises(DataError, match=r"a\.jsonl:3: not JSON"):
        list(made_by_workers(maker, [job(0), job(1), bad, job(3)], 2))


class Fatal(Maker):
    """Ends the process that uses it."""

    def __call__(self, job: Job):
        os._exit(3)


def test_a_worker_that_dies_is_said(maker: Maker):
    dying = Fatal(maker.folder, maker.data, maker.tokenizer, None)
    with pytest.raises(RunError, match=r"ended by itself \(exit code 3\).*data\.workers=1"):
        list(made_by_workers(dying, [job(0)], 1))
