"""The shards of all sources, made by this process or by several, and found again where they were made before."""

import os
import pickle
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from tasks.data.config import SPLITS, Data
from tasks.data.source.read import existing, is_hub, source_blocks
from tasks.data.store.columns import SOURCE, START, STOP
from tasks.data.store.job import Job, Maker
from tasks.data.store.mix import Index
from tasks.data.store.progress import Tokenizing
from tasks.data.store.shard import Shard, index_file, read_index
from tasks.data.store.tally import Tally
from tasks.data.store.unread_columns import bare, refuse_unread
from tasks.data.store.worker_pool import Made, made_by_workers
from tasks.errors import DataError

# Fewer blocks than this are done before a worker would have started.
_FEW = 4
_MOST_WORKERS = 8


class Built:
    """Shards that have been made, and the counts of their rows.

    Attributes:
        tallies: the counts of each source's rows, by split.
        indexes: the index of each source, by split.
        digests: the SHA-256 of each shard file, by name.
        found: how many shards had been made before.
    """

    def __init__(self, splits: Iterable[str], data: Data):
        self.tallies = {split: [Tally() for _ in data.sources(split)] for split in splits}
        self.indexes: dict[str, list[Index]] = {}
        self.digests: dict[str, str] = {}
        self.found = 0
        self._tokens: dict[str, list[int]] = {split: [] for split in self.tallies}

    def add(self, job: Job, shard: Shard) -> int:
        """Counts a shard, and gives the number of rows read for it.

        Args:
            job: what it was made of; jobs come in order.
            shard: the shard.
        """
        tally = shard.counted()
        self.tallies[job.pool][job.source].add(tally)
        self._tokens[job.pool].append(shard.tokens)
        self.digests |= shard.digests
        return tally.rows

    def finish(self, folder: Path) -> None:
        """Joins the indexes of the shards, and removes from the folder what only the building needed."""
        for pool, tokens in self._tokens.items():
            starts = np.concatenate([[0], np.cumsum(tokens)]).astype(np.int64)
            parts = []
            for n, start in enumerate(starts[:-1]):
                part = read_index(folder, pool, n)
                part[:, [START, STOP]] += start
                parts.append(part)
            whole = np.concatenate(parts) if parts else np.zeros((0, 7), np.int64)
            self.indexes[pool] = [whole[whole[:, SOURCE] == n] for n in range(len(self.tallies[pool]))]
            np.save(folder / f"{pool}.shards.npy", starts)
            for n in range(len(tokens)):
                self.digests.pop(index_file(folder, pool, n).name)


def build_shards(maker: Maker) -> Built:
    """Makes every shard that is not there yet.

    Args:
        maker: makes one shard; the folder and the settings are its own.

    Raises:
        DataError: a source or a row that cannot be used; the first one, by order.
    """
    data = maker.data
    built = Built([split for split in SPLITS if data.sources(split)], data)
    sources = {split: data.sources(split) for split in built.tallies}
    with Tokenizing(_size(data)) as progress:
        for job, (shard, found) in _made(maker, _jobs(data)):
            built.found += found
            progress.advance(rows=built.add(job, shard), size=job.block.size)
            if data.strict:
                refuse_unread(built.tallies[job.pool][job.source], sources[job.pool][job.source].path, data.ignore)
    _check_ignored(data, built)
    for split, tallies in built.tallies.items():
        for source, tally in zip(data.sources(split), tallies, strict=True):
            if tally.rows == 0:
                raise DataError("the source has no rows", path=source.path)
    built.finish(maker.folder)
    return built


def _check_ignored(data: Data, built: Built) -> None:
    """Refuses a name to be ignored that stands nowhere, which is a slip of the pen."""
    unread = {bare(name) for tallies in built.tallies.values() for tally in tallies for name in tally.unread}
    if missing := [name for name in data.ignore if name not in unread]:
        there = f"; there is {', '.join(sorted(unread))}" if unread else ""
        raise DataError(f"data.ignore: no row has a value in {', '.join(map(repr, missing))}{there}")


def _jobs(data: Data) -> Iterator[Job]:
    for split in SPLITS:
        blocks = (
            (number, block)
            for number, source in enumerate(data.sources(split))
            for block in source_blocks(
                source.path, source.split or SPLITS[split], source.encoding, source.text_rows or "file"
            )
        )
        for n, (number, block) in enumerate(blocks):
            yield Job(split, n, number, block)


def _made(maker: Maker, jobs: Iterator[Job]) -> Iterator[tuple[Job, Made]]:
    few = list(islice(jobs, _FEW))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores, _MOST_WORKERS) if maker.data.workers is None else maker.data.workers
    if len(few) == _FEW and workers > 0 and _can_be_sent(maker):
        yield from made_by_workers(maker, chain(few, jobs), workers)
    else:
        yield from ((job, maker(job)) for job in chain(few, jobs))


def _can_be_sent(maker: Maker) -> bool:
    try:
        pickle.dumps(maker)
    except Exception:  # a tokenizer of a class that was made at run time
        return False
    return True


def _size(data: Data) -> int | None:
    """The bytes to be read; None where a source is not what its size on disk says."""
    sources = [source for split in SPLITS for source in data.sources(split)]
    if any(is_hub(source.path) or not source.path.endswith((".jsonl", ".json", ".csv")) for source in sources):
        return None
    return sum(existing(source.path).stat().st_size for source in sources)
