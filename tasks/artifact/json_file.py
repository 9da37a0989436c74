"""Reads a JSON file that somebody else may have written: bounded in size and depth, refused in a few words."""

import json
from pathlib import Path
from typing import Any

MOST = 16 << 20
"""Bytes. A manifest or a config is kilobytes; parsed, JSON takes some twenty times its size."""


def read_json(path: Path, most: int = MOST) -> Any:
    """The value that a JSON file in UTF-8 contains.

    Args:
        path: the file.
        most: bytes that are read; a larger file is refused.

    Raises:
        ValueError: it is no regular file, too large, nested too deep, or no JSON; the reason is one line.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "deep.json"
        >>> path.write_text("[" * 100_000)
        100000
        >>> read_json(path)
        Traceback (most recent call last):
        ValueError: it is nested too deep
    """
    if not path.is_file():
        raise ValueError("it is no regular file")
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    if len(content) > most:
        raise ValueError(f"it has more than the {most >> 20} MiB that are read")
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
