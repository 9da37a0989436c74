"""SHA-256 digests of files, remembered with what the system says of each file, so that a start need not read it again.

A digest is believed while the file's size, inode, and times of change of content and of status are those that it had
when it was read, to the nanosecond. Every write through the system changes the status time, also one whose content
time is set back afterwards. A file that was changed within two seconds before it was read is not remembered: a second
change might then leave no trace in the times. What is not noticed is damage below the file system, a failing disk's:
TokenSplit sees that, example by example.
"""

import json
import os
import time
from pathlib import Path

from tasks.artifact import file_digest, fingerprint, write_json
from tasks.data.source.read import existing, is_hub
from tasks.data.source.table import hub_digest
from tasks.data.sources import Source
from tasks.errors import DataError

_SETTLED = 2_000_000_000  # nanoseconds; the coarsest clock of a common file system has two seconds
_MOST = 10_000


class Digests:
    """SHA-256 digests of files, remembered in one file.

    Args:
        memory: the file; it may be missing, damaged or read-only, at the cost of reading the files again.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_bytes(b"a")
        >>> Digests(folder / "memory.json").digest(folder / "a")[:8]
        'ca978112'
    """

    def __init__(self, memory: Path):
        self._memory = memory
        try:
            known = json.loads(memory.read_text(encoding="utf-8"))
            self._known: dict[str, list] = known if isinstance(known, dict) else {}
        except (OSError, ValueError):
            self._known = {}
        self._changed = False

    def digest(self, path: Path) -> str:
        """Computes the SHA-256 of a file's bytes, or remembers it.

        Raises:
            DataError: the file changed while it was read.
        """
        name, before = str(path.resolve()), _state(path)
        known = self._known.get(name)
        if isinstance(known, list) and len(known) == 2 and known[0] == before and isinstance(known[1], str):
            return known[1]
        started = time.time_ns()
        digest = file_digest(path)
        if _state(path) != before:
            raise DataError("the file changed while it was read; wait until it is complete", path=path)
        self._remember(name, before, digest, started)
        return digest

    def believe(self, path: Path, digest: str) -> None:
        """Remembers the digest of a file that this process has just written.

        Args:
            path: the file.
            digest: SHA-256 of its bytes.
        """
        self._remember(str(path.resolve()), _state(path), digest, time.time_ns())

    def _remember(self, name: str, state: list[int], digest: str, when: int) -> None:
        self._known.pop(name, None)
        if max(state[2:]) < when - _SETTLED:
            self._known[name] = [state, digest]
        self._changed = True

    def save(self) -> None:
        """Writes the digests into the memory, where that is possible."""
        if not self._changed:
            return
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._memory, dict(list(self._known.items())[-_MOST:]))
        except OSError:
            pass


def source_digest(source: Source, digests: Digests) -> str:
    """Identifies the content of a source by the digest of its bytes; for a hub dataset, by its fingerprint.

    Args:
        source: one file, a folder saved by `datasets`, or a hub dataset.
        digests: those that are known.

    Raises:
        DataError: the source does not exist, or changes while it is read.
    """
    if is_hub(source.path):
        return fingerprint(hub_digest(source.path, source.split or "train"))
    path = existing(source.path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return fingerprint([(str(file.relative_to(path)), digests.digest(file)) for file in files])
    return digests.digest(path)


def _state(path: Path) -> list[int]:
    """Size, inode, and the times of change of content and of status."""
    found = os.stat(path)
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]
