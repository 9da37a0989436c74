"""Every file operation of a piece of code made to fail in turn, as SQLite's harness does: by an error, or by death.

An error is that of a full disk, once; what follows works. After death nothing that the code does reaches the disk any
more, its clearing up least of all. An operation that fails leaves its half: half of the bytes, half of the files.
"""

import builtins
import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest import mock

How = Literal["error", "death", "exit"]


class Death(BaseException):
    """What the code sees of its sudden end; whatever it does then fails alike."""


class Faults:
    """Counts file operations and fails the `at`-th, counted from 1; 0 fails none.

    Args:
        at: which.
        how: `error` once, `death` from then on, or `exit` of the process itself.

    Attributes:
        seen: the operations so far, by name.
    """

    def __init__(self, at: int = 0, how: How = "error"):
        self._at, self._how, self._dead = at, how, False
        self.seen: list[str] = []

    def check(self, name: str, half: Callable[[], Any] = lambda: None) -> None:
        """Counts one operation, and fails it after its half if it is the one."""
        if self._dead:
            raise Death
        self.seen.append(name)
        if len(self.seen) != self._at:
            return
        half()
        if self._how == "exit":
            os._exit(77)
        if self._how == "death":
            self._dead = True
            raise Death
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def watch(self) -> Iterator["Faults"]:
        """Stands between the code of a block and the disk."""
        replace, rename, mkdir, fsync, unlink = os.replace, os.rename, os.mkdir, os.fsync, os.unlink
        rmtree, opened, io_open = shutil.rmtree, builtins.open, io.open

        def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                self.check(name)
                return real(*args, **kwargs)

            return call

        def remove(path: Any, ignore_errors: bool = False, **kwargs: Any) -> None:
            if not os.path.lexists(path) and ignore_errors and not self._dead:
                return

            def half() -> None:
                for file in sorted(Path(path).rglob("*"))[:1]:
                    unlink(file)

            try:
                self.check("rmtree", half)
            except OSError:
                if not ignore_errors:
                    raise
                return
            rmtree(path, ignore_errors)

        def write_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not set(mode) & set("wax+"):
                return io_open(file, mode, *args, **kwargs)
            self.check("open")
            return _Written(io_open(file, mode, *args, **kwargs), self)

        with (
            mock.patch("os.replace", counted("replace", replace)),
            mock.patch("os.rename", counted("rename", rename)),
            mock.patch("os.mkdir", counted("mkdir", mkdir)),
            mock.patch("os.fsync", counted("fsync", fsync)),
            mock.patch("os.unlink", counted("unlink", unlink)),
            mock.patch("shutil.rmtree", remove),
            mock.patch("builtins.open", write_open),
            mock.patch("io.open", write_open),
        ):
            del opened
            yield self


class _Written:
    """A file whose writes count."""

    def __init__(self, file: Any, faults: Faults):
        self._file, self._faults = file, faults

    def write(self, content: Any) -> int:
        def half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        self._faults.check("write", half)
        return self._file.write(content)

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
