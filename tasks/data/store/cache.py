"""The token cache: a directory named by the fingerprint of all that it was made from, and reused while that is so."""

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.artifact import MANIFEST, Record, file_digest, fingerprint, kept_at, read_manifest, write_json
from tasks.data.config import SPLITS, Data
from tasks.data.store.abandoned import remove_abandoned
from tasks.data.store.build import build_shards
from tasks.data.store.digests import Digests, source_digest
from tasks.data.store.job import Maker
from tasks.data.store.lock import only_builder
from tasks.data.store.splits import write_splits
from tasks.data.store.stats import SplitStats
from tasks.data.store.token_split import TokenSplit, digest_memory
from tasks.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

# Raise it with every change to what this room makes of a row: caches of another version are not used.
VERSION = 7


class TokenCache(Record):
    """A tokenized dataset on disk.

    Args:
        path: its directory.
        fingerprint: of the sources' bytes, the tokenizer, the template and the settings; the directory's name.
        reused: whether it was there already.
        splits: the counts of each split there is: train, and valid and test where there are such rows.
        template: the text of the chat template that it was rendered by; None for the tokenizer's own.
        template_kwargs: the variables of the template.
    """

    path: Path
    fingerprint: str
    reused: bool
    splits: dict[str, SplitStats]
    template: str | None = None
    template_kwargs: dict[str, Any] = Field(default_factory=dict)

    def split(self, name: str) -> TokenSplit:
        """Opens the examples of a split, memory-mapped.

        Args:
            name: `train`, `valid` or `test`.

        Raises:
            DataError: there is no such split.
        """
        if name not in self.splits:
            raise DataError(f"no split {name!r}; there is {', '.join(self.splits)}", path=self.path)
        own = (self.path / f"{name}.shards.npy").exists()
        return TokenSplit(self.path, name, name if own else "train")


def build_cache(
    data: Data, tokenizer: "PreTrainedTokenizerBase", *, tokenizer_fingerprint: str, root: Path
) -> TokenCache:
    """Makes the token cache of a dataset under `root`, or finds it there.

    One that is there costs a look at the state of its files and sources (size, inode, times); their bytes are read
    where that changed (see `Digests`), and a cache with a damaged file is built anew. One that is not there is built
    aside, shard by shard; where that is interrupted, the same call later goes on behind the shards that are complete.

    Args:
        data: the sources and the settings.
        tokenizer: a fast `transformers` tokenizer.
        tokenizer_fingerprint: what identifies its files; another tokenizer must have another.
        root: the folder of caches.

    Raises:
        DataError: a source or a row cannot be used; with file, line, reason and fix.
        RunError: the disk of the caches is full or failing.
    """
    template = _template_text(data.template)
    with kept_at(root, "the token cache"):
        cache = _found_or_built(data, tokenizer, tokenizer_fingerprint, template, root)
    return cache.model_copy(update={"template": template, "template_kwargs": data.template_kwargs})


def _found_or_built(
    data: Data, tokenizer: "PreTrainedTokenizerBase", tokenizer_fingerprint: str, template: str | None, root: Path
) -> TokenCache:
    digests = Digests(root / ".sources.digests.json")
    identity = {
        "version": VERSION,
        "sources": _sources(data, digests),
        "tokenizer": tokenizer_fingerprint,
        "template": template or repr(getattr(tokenizer, "chat_template", None)),
        "settings": data.model_dump(mode="json", exclude={*SPLITS, "template", "workers"}),
    }
    digests.save()
    key = fingerprint(identity)
    path = root / key
    if (found := _complete(path, key)) is not None:
        return found
    with only_builder(path):
        if (found := _complete(path, key)) is not None:  # another process built it while this one waited
            return found
        partial = root / f".{key}.partial"
        partial.mkdir(parents=True, exist_ok=True)
        try:
            splits, files = _build(Maker(partial, data, tokenizer, template))
            if _sources(data, Digests(root / ".sources.digests.json")) != identity["sources"]:
                raise DataError("a source changed while it was tokenized; wait until it is complete")
        except DataError:  # the same call would end here again
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _seal(partial, path, {"kind": "token_cache", "version": VERSION, "fingerprint": key}, splits, files)
        remove_abandoned(root)
    return TokenCache(path=path, fingerprint=key, reused=False, splits=splits)


def _sources(data: Data, digests: Digests) -> dict[str, list[Any]]:
    """What identifies the sources of each split. Where there are several, the counts name them: so do their paths."""
    found = {}
    for split in SPLITS:
        sources = data.sources(split)
        found[split] = [
            {
                **source.model_dump(mode="json", exclude={"path"} if len(sources) == 1 else set()),
                "digest": source_digest(source, digests),
            }
            for source in sources
        ]
    return found


def _build(maker: Maker) -> tuple[dict[str, SplitStats], dict[str, str]]:
    """The counts of the splits, and the digest of each file."""
    built = build_shards(maker)
    if built.found:
        log.info("%d shards had been tokenized before", built.found)
    splits = write_splits(maker.folder, maker.data, built)
    files = dict(built.digests)
    for file in maker.folder.iterdir():
        if file.name.endswith((".shards.npy", ".index.npy")) and file.name.count(".") == 2:
            files[file.name] = file_digest(file)
    return splits, files


def _seal(partial: Path, path: Path, manifest: dict[str, Any], splits: dict[str, SplitStats], files: dict[str, str]):
    """Takes away what is no part of the cache, writes the manifest last, and puts the directory into its place."""
    for file in partial.iterdir():
        if file.name not in files:
            file.unlink()
    body = {**manifest, "splits": {name: stats.model_dump(mode="json") for name, stats in splits.items()}}
    body["files"] = dict(sorted(files.items()))
    write_json(partial / MANIFEST, {**body, "seal": fingerprint(body)})
    if path.exists():
        shutil.rmtree(path)
    os.replace(partial, path)
    digests = Digests(digest_memory(path))
    for name in files:
        if name.endswith(".tokens"):
            digests.believe(path / name, files[name])
    digests.save()


def _complete(path: Path, key: str) -> TokenCache | None:
    manifest = read_manifest(path)
    if manifest is None or manifest.get("fingerprint") != key:
        return None
    seal = manifest.pop("seal", None)
    digests = Digests(digest_memory(path))
    files = manifest["files"].items()
    whole = seal == fingerprint(manifest) and all(_is(path / name, digest, digests) for name, digest in files)
    digests.save()
    if not whole:
        log.warning("the token cache %s is damaged and is built anew", path)
        return None
    splits = {name: SplitStats.model_validate(stats, strict=False) for name, stats in manifest["splits"].items()}
    return TokenCache(path=path, fingerprint=key, reused=True, splits=splits)


def _is(path: Path, digest: str, digests: Digests) -> bool:
    try:
        return digests.digest(path) == digest
    except (OSError, DataError):
        return False


def _template_text(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"data.template cannot be read: {error.strerror}", path=path) from error
