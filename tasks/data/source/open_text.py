"""A file of text opened as UTF-8 bytes with line ends of one sort: compression, byte order marks, named encodings."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from tasks.errors import DataError

_HEAD = 1 << 16
_CHUNK = 1 << 20
# UTF-32's little-endian mark begins with UTF-16's.
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8"))
_MARKS += ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_OTHERS = (
    (b"PAR1", "a Parquet file; name it .parquet"),
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"version https://git-lfs", "a pointer of git-lfs, not the file itself; run 'git lfs pull'"),
    (b"<!DOCTYPE", "a web page, not the file itself; download the raw file"),
    (b"<html", "a web page, not the file itself; download the raw file"),
)


def _open_xz(path: Path) -> IO[bytes]:
    return cast(IO[bytes], lzma.LZMAFile(path))


def _open_zstd(path: Path) -> IO[bytes]:
    import pyarrow

    return cast(IO[bytes], io.BufferedReader(pyarrow.input_stream(str(path), compression="zstd"), _CHUNK))


_PACKED: dict[bytes, tuple[str, Callable[[Path], IO[bytes]]]] = {
    b"\x1f\x8b": ("gzip", lambda path: cast(IO[bytes], gzip.GzipFile(path))),
    b"BZh": ("bzip2", lambda path: cast(IO[bytes], bz2.BZ2File(path))),
    b"\xfd7zXZ": ("xz", _open_xz),
    b"\x28\xb5\x2f\xfd": ("zstd", _open_zstd),
}
"""How files are compressed, by their first bytes."""


@contextmanager
def open_text(path: Path, encoding: str | None = None, *, json: bool = True) -> Iterator[IO[bytes]]:
    """Opens a file of text as UTF-8 bytes without a byte order mark.

    Args:
        path: the file; gzip, bzip2, xz and zstd are known by its bytes, not its name.
        encoding: the one that the user named; None for UTF-8, or what a byte order mark proves.
        json: whether it contains JSON, in which a carriage return cannot stand inside a string.

    Raises:
        DataError: the file is no text, or, while it is read, cut off, damaged or in another encoding.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> _ = path.write_bytes('{"text": "é"}'.encode("utf-16"))
        >>> with open_text(path) as file:
        ...     file.read().decode("utf-8")
        '{"text": "é"}'
    """
    with path.open("rb") as raw:
        magic = raw.read(6)
    plain = "", lambda path: path.open("rb")
    kind, unpack = next((found for start, found in _PACKED.items() if magic.startswith(start)), plain)
    try:
        with unpack(path) as file:
            head = file.read(_HEAD)
        if found := next((what for magic, what in _OTHERS if head.startswith(magic)), None):
            raise DataError(f"this is {found}", path=path)
        mark, name = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", "utf-8"))
        if encoding is not None and not mark:
            name = encoding
        elif encoding is not None and codecs.lookup(encoding).name.split("-")[0:2] != name.split("-"):
            raise DataError(f"the file begins with the mark of {name}; data.encoding is {encoding}", path=path)
        with unpack(path) as file:
            file.read(len(mark) if name == "utf-8" else 0)
            if name != "utf-8":
                yield cast(IO[bytes], io.BufferedReader(_Recoded(file, name, path), _CHUNK))
            elif json and b"\r" in head and b"\n" not in head:  # then carriage returns end the lines
                yield cast(IO[bytes], io.BufferedReader(_Returns(file), _CHUNK))
            else:
                yield file
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if not kind:
            raise
        raise DataError(f"the {kind} file is cut off or damaged: {error}", path=path) from error


class _Recoded(io.RawIOBase):
    """Bytes of another encoding as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str, path: Path):
        self._file, self._encoding, self._path = file, encoding, path
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready, self._line = b"", 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._file.read(_CHUNK)
            try:
                text = self._decoder.decode(data, final=not data)
                self._ready = text.encode("utf-8")
            except UnicodeError as error:
                reason = f"not {self._encoding} near this line: {getattr(error, 'reason', error)}"
                raise DataError(reason, path=self._path, line=self._line) from None
            if not data and not self._ready:
                return 0
            self._line += text.count("\n")
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


class _Returns(io.RawIOBase):
    """Bytes whose lines end with a carriage return alone, as lines that end with a line feed."""

    def __init__(self, file: IO[bytes]):
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data.replace(b"\r", b"\n")
        return len(data)
