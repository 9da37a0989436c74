"""What flows between stages is a directory on disk: complete or absent, with a manifest and a fingerprint.

A directory is written aside, synced, and renamed into place. Its `manifest.json` is written last and names the
digest of every other file, so that a torn or edited directory is noticed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

MANIFEST = "manifest.json"


class Record(BaseModel):
    """A frozen, strict record: an unknown key, a wrong type or a non-finite number is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


def fingerprint(value: Any, length: int = 16) -> str:
    """The SHA-256 of a value's canonical JSON, as `length` hexadecimal digits.

    Records, dicts with string keys, lists, tuples, strings, numbers, booleans and None have one; anything else
    raises TypeError rather than being hashed by its `repr`.

    Example:
        >>> fingerprint({"b": 1, "a": [2, 3]}) == fingerprint({"a": (2, 3), "b": 1})
        True
    """
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:length]


def _canonical(value: Any) -> str:
    def plain(v: Any) -> Any:
        if isinstance(v, BaseModel):
            return plain(v.model_dump(mode="json"))
        if isinstance(v, dict):
            if not all(isinstance(k, str) for k in v):
                raise TypeError("only dicts with string keys have a fingerprint")
            return {k: plain(x) for k, x in v.items()}
        if isinstance(v, list | tuple):
            return [plain(x) for x in v]
        if v is None or isinstance(v, str | int | float | bool):
            return v
        raise TypeError(f"a {type(v).__name__} has no fingerprint; give its content instead")

    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Writes JSON aside, syncs and renames: a reader sees the old file or the new one."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Writes a text file aside, syncs and renames it into place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def atomic_directory(path: Path, manifest: dict[str, Any]) -> Iterator[Path]:
    """Yields an empty directory to fill; on leaving, seals it with a manifest and renames it to `path`.

    `manifest` is written with a `files` entry added, {name: sha256}; fill the dict inside the block where its
    content is known only then. What stood at `path` before is replaced. On an exception nothing is left behind.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        files = sorted(p for p in aside.rglob("*") if p.is_file())
        for file in files:
            _sync(file)
        digests = {file.relative_to(aside).as_posix(): file_digest(file) for file in files}
        write_json(aside / MANIFEST, {**manifest, "files": digests})
        _replace_directory(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync(path.parent)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a directory, or None where there is none or it names no files: it is not complete then."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("files"), dict) else None


def damaged_files(path: Path) -> list[str]:
    """The files of a complete directory whose bytes are missing or differ from its manifest."""
    manifest = read_manifest(path) or {"files": {}}
    return [
        name
        for name, digest in manifest["files"].items()
        if not (path / name).is_file() or file_digest(path / name) != digest
    ]


def _replace_directory(aside: Path, path: Path) -> None:
    if not path.exists():
        os.replace(aside, path)
        return
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    os.replace(path, old)
    os.replace(aside, path)
    shutil.rmtree(old)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
