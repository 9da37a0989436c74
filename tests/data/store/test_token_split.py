"""Examples on disk come back as they were written, over however many shards; what does not is noticed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.render.tokens import Tokens
from tasks.data.store.columns import START, STOP
from tasks.data.store.shard import PARTS, read_index, shard_file, write_shard
from tasks.data.store.tally import Tally
from tasks.data.store.token_split import PoolPart, TokenSplit, digest_memory
from tasks.errors import DataError

EXAMPLE = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)), min_size=1, max_size=9
)
SHARDS = st.lists(st.lists(EXAMPLE, max_size=4), min_size=1, max_size=4).filter(any)


def write(folder: Path, shards: list[list[Tokens]]) -> list[Tokens]:
    indexes, starts, line = [], [0], 0
    for n, rows in enumerate(shards):
        numbered = [(line + k + 1, k, row) for k, row in enumerate(rows)]
        line += len(rows)
        shard = write_shard(folder, "train", n, 0, numbered, Tally())
        part = read_index(folder, "train", n)
        part[:, [START, STOP]] += starts[-1]
        indexes.append(part)
        starts.append(starts[-1] + shard.tokens)
    np.save(folder / "train.index.npy", np.concatenate(indexes))
    np.save(folder / "train.shards.npy", np.array(starts))
    return [row for rows in shards for row in rows]


@given(SHARDS, st.data())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, shards: list, data: st.DataObject):
    folder: Path = tmp_path_factory.mktemp("pool")
    made = [
        [Tokens([i for i, _, _ in t], [w for _, w, _ in t], n, speakers=bytes(s for _, _, s in t)) for t in rows]
        for n, rows in enumerate(shards)
    ]
    rows = write(folder, made)
    split = TokenSplit(folder, "train", "train")
    assert len(split) == len(rows)
    assert split.lines.tolist() == list(range(1, len(rows) + 1))
    assert set(split.sources.tolist()) == {0}
    for n, row in enumerate(rows):
        assert split.ids(n).tolist() == row.ids
        assert split.weights(n).tolist() == row.weights
        assert split.speakers(n).tobytes() == row.speakers
        assert split.lengths[n] == len(row.ids)
        assert split.prompt_length(n) == row.prompt_length
    total = sum(len(row.ids) for row in rows)
    first = data.draw(st.integers(0, total))
    last = data.draw(st.integers(first, total))
    whole = [[t for row in rows for t in part(row)] for part in (lambda r: r.ids, lambda r: r.weights)]
    for part, expected in enumerate(whole):
        assert PoolPart(folder, "train", part)[first:last].tolist() == expected[first:last]


@pytest.mark.parametrize("part", range(len(PARTS)))
def test_a_flipped_bit_is_noticed_when_the_example_is_read(tmp_path: Path, part: int):
    folder = tmp_path / "cache"
    folder.mkdir()
    write(folder, [[Tokens([1, 2], [0.0, 1.0]), Tokens([3, 4], [0.0, 1.0])]])
    file = shard_file(folder, "train", 0)
    content = bytearray(file.read_bytes())
    content[-1 - (0, 4 + 16, 4)[part]] ^= 1  # of the second example
    file.write_bytes(content)
    digest_memory(folder).write_text("{}")
    split = TokenSplit(folder, "train", "train")
    assert split.ids(0).tolist() == [1, 2]
    with pytest.raises(DataError, match=r"train\.00000\.tokens: example 1 of train is not what was written"):
        split.ids(1)
    assert not digest_memory(folder).exists(), "the next start reads every byte"
