"""The token cache: a directory named by the fingerprint of all that it was made from, and reused while that is so."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.artifact import Record, atomic_directory, damaged_files, fingerprint, read_manifest
from tasks.data.config import Data
from tasks.data.lock import only_builder
from tasks.data.pool import DIGEST, LINE, START, STOP, PoolWriter, TokenSplit
from tasks.data.read import source_digest
from tasks.data.split import duplicates, held_out
from tasks.data.stats import SplitStats, Tally
from tasks.data.template import Template
from tasks.data.tokenize_source import tokenize_source
from tasks.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Raise it with every change to what this room makes of a row: caches of another version are not used.
VERSION = 2
HUB_SPLITS = {"train": "train", "valid": "validation", "test": "test"}


class TokenCache(Record):
    """A tokenized dataset on disk.

    Args:
        path: its directory.
        fingerprint: of the sources' bytes, the tokenizer, the template and the settings; the directory's name.
        reused: whether it was there already.
        splits: the counts of each split there is: train, and valid and test where there are such rows.
    """

    path: Path
    fingerprint: str
    reused: bool
    splits: dict[str, SplitStats]

    def split(self, name: str) -> TokenSplit:
        """The examples of a split, memory-mapped.

        Raises:
            DataError: there is no such split.
        """
        if name not in self.splits:
            raise DataError(f"no split {name!r}; there is {', '.join(self.splits)}", path=self.path)
        own = (self.path / f"{name}.ids.u32").exists()
        return TokenSplit(self.path, name, name if own else "train")


def build_cache(
    data: Data, tokenizer: "PreTrainedTokenizerBase", *, tokenizer_fingerprint: str, root: Path
) -> TokenCache:
    """The token cache of a dataset, made or found under `root`.

    Args:
        data: the sources and the settings.
        tokenizer: a fast `transformers` tokenizer.
        tokenizer_fingerprint: what identifies its files; another tokenizer must have another.
        root: the folder of caches.

    Raises:
        DataError: a source or a row cannot be used; with file, line, reason and fix.
    """
    template = Template(tokenizer, _template_text(data.template), dict(data.template_kwargs))
    sources = {name: source for name in HUB_SPLITS if (source := getattr(data, name)) is not None}
    key = fingerprint(
        {
            "version": VERSION,
            "sources": {name: source_digest(source, HUB_SPLITS[name]) for name, source in sources.items()},
            "tokenizer": tokenizer_fingerprint,
            "template": template.override or repr(getattr(tokenizer, "chat_template", None)),
            "settings": data.model_dump(mode="json", exclude={"train", "valid", "test", "template"}),
        }
    )
    path = root / key
    if (found := _complete(path, key)) is not None:
        return found
    manifest: dict[str, Any] = {"kind": "token_cache", "version": VERSION, "fingerprint": key}
    with only_builder(path):
        if (found := _complete(path, key)) is not None:  # another process built it while this one waited
            return found
        splits = _build(path, manifest, sources, data, tokenizer, template)
    return TokenCache(path=path, fingerprint=key, reused=False, splits=splits)


def _build(
    path: Path,
    manifest: dict[str, Any],
    sources: dict[str, str],
    data: Data,
    tokenizer: "PreTrainedTokenizerBase",
    template: Template,
) -> dict[str, SplitStats]:
    with atomic_directory(path, manifest) as folder:
        splits = _write(folder, sources, data, tokenizer, template)
        manifest["splits"] = {name: stats.model_dump(mode="json") for name, stats in splits.items()}
    return splits


def _complete(path: Path, key: str) -> TokenCache | None:
    manifest = read_manifest(path)
    if manifest is None or manifest.get("fingerprint") != key or damaged_files(path):
        return None
    splits = {name: SplitStats.model_validate(stats, strict=False) for name, stats in manifest["splits"].items()}
    return TokenCache(path=path, fingerprint=key, reused=True, splits=splits)


def _template_text(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"data.template cannot be read: {error.strerror}", path=path) from error


def _write(
    folder: Path, sources: dict[str, str], data: Data, tokenizer: "PreTrainedTokenizerBase", template: Template
) -> dict[str, SplitStats]:
    indexes: dict[str, np.ndarray] = {}
    tallies: dict[str, Tally] = {}
    for name, source in sources.items():
        tally = tallies[name] = Tally()
        with PoolWriter(folder, name) as pool:
            for line, digest, tokens in tokenize_source(source, HUB_SPLITS[name], data, tokenizer, template, tally):
                pool.append(tokens, line, digest)
            indexes[name] = pool.index()
        if not len(indexes[name]):
            reasons = "; ".join(f"{remark.count} x {reason}" for reason, remark in list(tally.dropped.items())[:3])
            raise DataError(f"no row of {tally.rows} can be trained on: {reasons}", path=source)
    if "valid" not in indexes:
        out = held_out(indexes["train"][:, DIGEST], data.valid_share, data.valid_rows)
        if out.any():
            indexes["valid"], indexes["train"] = indexes["train"][out], indexes["train"][~out]
    splits = {}
    for name, index in sorted(indexes.items(), key=lambda item: list(HUB_SPLITS).index(item[0])):
        np.save(folder / f"{name}.index.npy", index)
        shared = np.isin(index[:, DIGEST], indexes["train"][:, DIGEST]) if name != "train" else np.zeros(0, bool)
        if data.strict and shared.any():
            line = int(index[shared.argmax(), LINE])
            raise DataError(
                f"the row stands in train too ({int(shared.sum())} of {len(index)} {name} rows do); take them out of "
                f"{sources['train']}, or set data.strict=false to go on",
                path=sources[name],
                line=line,
            )
        splits[name] = _stats(folder, name if name in sources else "train", index, tallies.get(name, Tally()), shared)
    return splits


def _stats(folder: Path, pool: str, index: np.ndarray, tally: Tally, shared: np.ndarray) -> SplitStats:
    weights = np.memmap(folder / f"{pool}.weights.f32", "<f4", "r")
    lengths = index[:, STOP] - index[:, START]
    return SplitStats(
        rows=tally.rows,
        examples=len(index),
        tokens=int(lengths.sum()),
        supervised_tokens=sum(int(np.count_nonzero(weights[row[START] : row[STOP]])) for row in index),
        longest=int(lengths.max()),
        duplicates=duplicates(index[:, LINE], index[:, DIGEST]),
        overlap=int(shared.sum()),
        formats=tally.formats,
        dropped=tally.dropped,
        lost=tally.lost,
        notes=tally.notes,
    )
