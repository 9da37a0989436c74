"""A shard is there whole, or not at all."""

from pathlib import Path

import pytest

from tasks.data.render.tokens import Tokens
from tasks.data.store.columns import CHECK, LINE, PROMPT, SOURCE, STOP
from tasks.data.store.shard import (
    check_sum,
    finished_shard,
    index_file,
    map_shard,
    read_index,
    shard_file,
    write_shard,
)
from tasks.data.store.tally import Tally
from tasks.errors import DataError

ROWS = [(3, 11, Tokens([7, 8], [0.0, 1.0], 1, speakers=b"\x01\x02")), (5, 12, Tokens([9], [0.5]))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shard(tmp_path, "train", 4, 2, ROWS, Tally(rows=3))
    return tmp_path


def test_what_was_written_is_found(folder: Path):
    shard = finished_shard(folder, "train", 4)
    assert shard is not None
    assert (shard.tokens, shard.counted()) == (3, Tally(rows=3))
    assert finished_shard(folder, "train", 3) is None
    ids, weights, speakers = map_shard(shard_file(folder, "train", 4), 3)
    assert (ids.tolist(), weights.tolist(), speakers.tolist()) == ([7, 8, 9], [0.0, 1.0, 0.5], [1, 2, 0])
    index = read_index(folder, "train", 4)
    assert index[:, [STOP, PROMPT, LINE, SOURCE]].tolist() == [[2, 1, 3, 2], [3, 0, 5, 2]]
    assert index[1, CHECK] == check_sum((ids[2:], weights[2:], speakers[2:]), 5, 0)


@pytest.mark.parametrize("file", ["train.00004.tokens", "train.00004.index.npy", "train.00004.done.json"])
def test_a_shard_that_is_damaged_is_not_there(folder: Path, file: str):
    content = (folder / file).read_bytes()
    for damage in (content[:-1], bytes([content[0] ^ 1]) + content[1:], b""):
        (folder / file).write_bytes(damage)
        assert finished_shard(folder, "train", 4) is None
    (folder / file).unlink()
    assert finished_shard(folder, "train", 4) is None


def test_an_empty_shard(tmp_path: Path):
    write_shard(tmp_path, "train", 0, 0, [], Tally(rows=1))
    assert finished_shard(tmp_path, "train", 0) is not None
    assert len(read_index(tmp_path, "train", 0)) == 0
    assert index_file(tmp_path, "train", 0).is_file()


def test_a_shard_of_another_length_is_not_mapped(folder: Path):
    with pytest.raises(DataError, match="missing or cut off"):
        map_shard(shard_file(folder, "train", 4), 4)
    with pytest.raises(DataError, match="missing or cut off"):
        map_shard(shard_file(folder, "train", 9), 4)
