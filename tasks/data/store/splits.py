"""The splits of a cache: rows held out, mixed, left out or in two of them; their indexes and their counts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.data.config import SPLITS, Data
from tasks.data.store.build import Built
from tasks.data.store.columns import DIGEST, LINE, SOURCE
from tasks.data.store.held_out_share import duplicates, held_out
from tasks.data.store.mix import Index, mixed, shares, source_stats
from tasks.data.store.shard import PARTS
from tasks.data.store.stats import SplitStats, split_stats
from tasks.data.store.tally import Tally
from tasks.data.store.token_split import PoolPart
from tasks.errors import DataError

_LINES = 1 << 40


def write_splits(folder: Path, data: Data, built: Built) -> dict[str, SplitStats]:
    """Writes `<split>.index.npy` of each split, and gives the counts.

    Args:
        folder: of the cache that is being built.
        data: the settings.
        built: the shards; with `data.dedup`, repetitions are taken out of its indexes.

    Raises:
        DataError: nothing can be trained on, or, where `data.strict`, a row of valid or test stands in train too.
    """
    if data.dedup == "exact":
        _leave_out_repeats(data, built)
    available = dict(built.indexes)
    for split, indexes in available.items():
        for source, index, tally in zip(data.sources(split), indexes, built.tallies[split], strict=True):
            if not len(index):
                reasons = "; ".join(f"{remark.count} x {reason}" for reason, remark in list(tally.dropped.items())[:3])
                raise DataError(f"no row of {tally.rows} can be trained on: {reasons}", path=source.path)
    if "valid" not in available:
        train = np.concatenate(available["train"])
        out = held_out(train[:, DIGEST], data.valid_share, data.valid_rows)
        if out.any():
            away = np.unique(train[out, DIGEST])
            available["valid"] = [train[out]]
            available["train"] = [index[~np.isin(index[:, DIGEST], away)] for index in available["train"]]
    in_train = np.concatenate(available["train"])
    splits = {}
    for split in SPLITS:
        if split not in available:
            continue
        taken = available[split]
        if split == "train":
            taken = mixed(taken, _weights(data), data.mix, data.repeat)
        index = np.concatenate(taken)
        np.save(folder / f"{split}.index.npy", index)
        shared = np.isin(index[:, DIGEST], in_train[:, DIGEST]) if split != "train" else np.zeros(0, bool)
        if data.strict and shared.any():
            raise _overlap(data, split, index, shared, in_train)
        splits[split] = _stats(folder, data, split, built, available[split], taken, shared)
    return splits


def _leave_out_repeats(data: Data, built: Built) -> None:
    """Takes out every row that repeats an earlier one of its split, and counts it as dropped."""
    for split, indexes in built.indexes.items():
        whole = np.concatenate(indexes)
        rows = whole[:, SOURCE] * _LINES + whole[:, LINE]
        again = np.isin(rows, duplicates(rows, whole[:, DIGEST]))
        for n, tally in enumerate(built.tallies[split]):
            for line in np.unique(whole[again & (whole[:, SOURCE] == n), LINE]).tolist():
                tally.drop("a repetition of an earlier row (data.dedup=exact)", line)
        built.indexes[split] = [whole[~again & (whole[:, SOURCE] == n)] for n in range(len(indexes))]


def _weights(data: Data) -> list[float] | None:
    """The weight of each source of train; None where none has one, and so all of all is meant."""
    weights = [source.weight for source in data.sources("train")]
    return None if all(w is None for w in weights) else [1.0 if w is None else w for w in weights]


def _overlap(data: Data, split: str, index: Index, shared: np.ndarray, in_train: Index) -> DataError:
    row = index[shared.argmax()]
    twin = in_train[(in_train[:, DIGEST] == row[DIGEST]).argmax()]
    return DataError(
        f"the row stands in train too ({int(shared.sum())} of {len(index)} {split} rows do), this one at "
        f"{data.sources('train')[twin[SOURCE]].path}:{twin[LINE]}; take them out of there, or set data.strict=false "
        "to go on",
        path=data.sources(split)[row[SOURCE]].path,
        line=int(row[LINE]),
    )


def _stats(
    folder: Path,
    data: Data,
    split: str,
    built: Built,
    available: Sequence[Index],
    taken: Sequence[Index],
    shared: np.ndarray,
) -> SplitStats:
    own = split in built.indexes
    sources = data.sources(split) if own else ()
    tallies = built.tallies[split] if own else []
    pool = tuple(PoolPart(folder, split if own else "train", part) for part in range(len(PARTS)))
    whole = np.concatenate(taken)
    stats = split_stats(whole, pool, _together(tallies, [source.path for source in sources]), shared)  # type: ignore[arg-type]
    weights = (_weights(data) if split == "train" else None) or [None] * len(sources)
    figures = zip(sources, weights, tallies, available, taken, shares(taken, data.mix), strict=True) if own else ()
    changes: dict[str, object] = {
        "sources": tuple(source_stats(s.path, w, t.rows, a, i, share) for s, w, t, a, i, share in figures)
    }
    if len(sources) > 1:  # the same line of two sources is two rows
        again = duplicates(whole[:, SOURCE] * _LINES + whole[:, LINE], whole[:, DIGEST])
        changes |= {"duplicates": len(again), "duplicate_lines": tuple(int(n) % _LINES for n in again[:5])}
    return stats.model_copy(update=changes)


def _together(tallies: Sequence[Tally], paths: Sequence[str]) -> Tally:
    """What was said of the rows of all sources; where there are several, each reason begins with its source."""
    whole = Tally()
    for tally, path in zip(tallies, paths, strict=True):
        named = {
            name: {
                f"{path}: {text}" if len(paths) > 1 else text: remark for text, remark in getattr(tally, name).items()
            }
            for name in ("dropped", "lost", "notes", "specials", "unread")
        }
        whole.add(Tally(rows=tally.rows, formats=tally.formats, ends=tally.ends, **named))
    return whole
