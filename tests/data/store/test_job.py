"""A block made into a shard."""

import pickle
from collections.abc import Callable
from pathlib import Path

from tasks.data import Data
from tasks.data.source.blocks import Block
from tasks.data.store.columns import LINE, SOURCE
from tasks.data.store.job import Job, Maker
from tasks.data.store.shard import read_index


def test_made_once_and_found_the_second_time(tmp_path: Path, tokenizer_of: Callable):
    data = Data.model_validate_json('{"train": ["a.jsonl", {"path": "b.jsonl", "columns": {"text": "page"}}]}')
    make = Maker(tmp_path, data, tokenizer_of(None), None)
    job = Job("train", 3, 1, Block("b.jsonl", 20, 9, b'{"page": "a"}\n'))
    shard, found = make(job)
    assert not found
    assert (shard.tokens, shard.counted().rows) == (2, 1)
    assert read_index(tmp_path, "train", 3)[0, [LINE, SOURCE]].tolist() == [9, 1]
    again = pickle.loads(pickle.dumps(make))
    assert again(job) == (shard, True), "by another process too"
