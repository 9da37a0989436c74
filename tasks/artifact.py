"""What flows between stages is a directory on disk: complete or absent, with a manifest and a fingerprint.

A directory is written aside, synced, and renamed into place. Its `manifest.json` is written last and names the
digest of every other file, so that a torn or edited directory is noticed. A process that dies in the middle leaves
hidden entries beside it, which `sweep` undoes at the next start:

.NAME.PID.tmp     half written: removed
.NAME.PID.old     what the new one was to replace: put back where NAME is missing, or else removed
.NAME.PID.gone    half removed: removed
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
_ASIDE = re.compile(r"\.(?P<name>.+)\.\d+\.(?P<kind>tmp|old|gone)")
_FULL = {errno.ENOSPC, errno.EDQUOT}


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
    aside = _beside(path, "tmp")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            _flush(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def atomic_directory(path: Path, manifest: dict[str, Any]) -> Iterator[Path]:
    """Yields an empty directory to fill; on leaving, seals it with a manifest and renames it to `path`.

    `manifest` is written with a `files` entry added, {name: sha256}; fill the dict inside the block where its
    content is known only then. What stood at `path` before is replaced. On an exception nothing is left behind, and
    `path` is what it was; a process that dies leaves what `sweep` undoes.
    """
    aside, old = _beside(path, "tmp"), _beside(path, "old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        yield aside
        inside = sorted(aside.rglob("*"))
        for entry in inside:
            _sync(entry)
        files = [entry for entry in inside if entry.is_file()]
        digests = {file.relative_to(aside).as_posix(): file_digest(file) for file in files}
        write_json(aside / MANIFEST, {**manifest, "files": digests})
        if path.exists():
            os.replace(path, old)
        os.replace(aside, path)
        _sync(path.parent)
    except BaseException:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        raise
    if old.exists():
        _remove(old)


def remove_directory(path: Path) -> None:
    """Removes a directory so that it is there whole or not at all; what cannot be removed is left to `sweep`."""
    gone = _beside(path, "gone")
    os.replace(path, gone)
    _remove(gone)


def sweep(folder: Path) -> list[str]:
    """Undoes what a killed process left half done in a folder; gives the names of what it had been at work on.

    Only who alone writes there may call it: of a process that is still at work, it would undo the work.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".adapter.123.old").mkdir()
        >>> sweep(folder), [path.name for path in folder.iterdir()]
        (['adapter'], ['adapter'])
    """
    swept = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not (match := _ASIDE.fullmatch(path.name)):
            continue
        if match["kind"] == "old" and not (folder / match["name"]).exists():
            os.replace(path, folder / match["name"])
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        swept.append(match["name"])
    return swept


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that no more fits on the disk.

    The writers of safetensors have errors of their own, with the reason in their text alone.
    """
    full = isinstance(error, OSError) and error.errno in _FULL
    cause = error.__cause__ or error.__context__
    return full or "No space left" in str(error) or (cause is not None and is_disk_full(cause))


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


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{kind}")


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        log.warning("%s could not be removed at once: %s", path, error)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        _flush(handle)
    finally:
        os.close(handle)


def _flush(handle: int) -> None:
    """Waits until the disk has it. On a Mac only F_FULLFSYNC does that; not every file system there knows it."""
    if (full := getattr(fcntl, "F_FULLFSYNC", None)) is not None:
        with suppress(OSError):
            fcntl.fcntl(handle, full)
            return
    os.fsync(handle)
