"""Atomic directories: complete or absent on disk, with a manifest of the digest of each file.

A directory is written aside, synced, and renamed into place. Its `manifest.json` is written last, so that a torn or
edited directory is noticed. A process that dies in the middle leaves hidden entries beside it, which `clear_leftovers`
undoes at the next start:

.NAME.PID.tmp     half written: removed
.NAME.PID.old     what the new one was to replace: put back where NAME is missing, or else removed
.NAME.PID.gone    half removed: removed
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.artifact.file import beside, file_digest, sync, write_json
from tasks.artifact.json_file import read_json

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
_ASIDE = re.compile(r"\.(?P<name>.+)\.\d+\.(?P<kind>tmp|old|gone)")


@contextmanager
def atomic_directory(path: Path, manifest: dict[str, Any]) -> Iterator[Path]:
    """Yields an empty directory to fill; on leaving, seals it with a manifest and renames it to `path`.

    `manifest` is written with a `files` entry added, {name: sha256}; fill the dict inside the block where its
    content is known only then. What stood at `path` before is replaced. On an exception nothing is left behind, and
    `path` is what it was; a process that dies leaves what `clear_leftovers` undoes.
    """
    aside, old = beside(path, "tmp"), beside(path, "old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        yield aside
        inside = sorted(aside.rglob("*"))
        for entry in inside:
            sync(entry)
        files = [entry for entry in inside if entry.is_file()]
        digests = {file.relative_to(aside).as_posix(): file_digest(file) for file in files}
        write_json(aside / MANIFEST, {**manifest, "files": digests})
        if path.exists():
            os.replace(path, old)
        os.replace(aside, path)
        sync(path.parent)
    except BaseException:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        raise
    if old.exists():
        _remove(old)


def remove_directory(path: Path) -> None:
    """Removes a directory, which is there whole or not at all; files that resist are left to `clear_leftovers`."""
    gone = beside(path, "gone")
    os.replace(path, gone)
    _remove(gone)


def clear_leftovers(folder: Path) -> list[str]:
    """Undoes what a killed process left half done in a folder; returns the names of the entries that it worked on.

    Call it only while no other process writes there: it would undo that process's work.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".adapter.123.old").mkdir()
        >>> clear_leftovers(folder), [path.name for path in folder.iterdir()]
        (['adapter'], ['adapter'])
    """
    cleared = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not (match := _ASIDE.fullmatch(path.name)):
            continue
        if match["kind"] == "old" and not (folder / match["name"]).exists():
            os.replace(path, folder / match["name"])
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        cleared.append(match["name"])
    return cleared


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a directory, or None where there is none or it names no files: it is not complete then."""
    try:
        manifest = read_json(path / MANIFEST)
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("files"), dict) else None


def damaged_files(path: Path) -> list[str]:
    """The files of a complete directory whose bytes are missing or differ from its manifest."""
    manifest = read_manifest(path) or {"files": {}}
    return [
        name
        for name, digest in manifest["files"].items()
        if not _inside(name) or not (path / name).is_file() or file_digest(path / name) != digest
    ]


def _inside(name: str) -> bool:
    """Whether a name that a manifest gives can only be that of a file in its directory."""
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and not name.startswith("/") and len(name) < 256 and name.isprintable()


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        log.warning("%s could not be removed at once: %s", path, error)
