"""Rows of tables: CSV, Parquet, and datasets of the hub. Their readers are imported only where one is used."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tasks.errors import DataError

# Columns whose cells hold structure; CSV has none, so it stands there as JSON.
_NESTED = ("messages", "conversations", "chosen", "rejected", "prompt", "completion", "history")


def read_csv(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a CSV file with a header, each with the line it ends on.

    Args:
        file: its bytes, UTF-8.
        path: the file, for errors.

    Example:
        >>> list(read_csv(io.BytesIO(b'prompt,completion\\n"1 + 1","2"\\n'), Path("a.csv")))
        [(2, {'prompt': '1 + 1', 'completion': '2'})]
    """
    csv.field_size_limit(1 << 30)
    number = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        reader = csv.reader(text, strict=True)
        header = next(reader, [])
        number = 1
        if len(set(header)) != len(header):
            raise DataError(f"the header {header} names a column twice", path=path, line=1)
        for cells in reader:
            number = reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                reason = f"the row has {len(cells)} cells, the header {len(header)}"
                yield number, DataError(reason, path=path, line=number)
                continue
            yield number, {name: _cell(name, cell) for name, cell in zip(header, cells, strict=True)}
    except (csv.Error, UnicodeDecodeError) as error:
        hint = "; say data.encoding if it is another encoding" if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"not CSV in UTF-8: {error}{hint}", path=path, line=number + 1) from error
    finally:
        text.detach()  # who opened the file closes it


def read_parquet(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a Parquet file, batch by batch, numbered from 1; columns that are null in a row are left out."""
    import pyarrow
    import pyarrow.parquet

    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, _without_nulls(row)
    except pyarrow.ArrowException as error:
        raise DataError(f"not a Parquet file: {error}", path=path) from error


def read_hub(source: str, split: str) -> Iterator[tuple[int, Any]]:
    """The rows of a hub dataset's split, `owner/name` or `owner/name:config`, numbered from 1."""
    for number, row in enumerate(_load_hub(source, split), start=1):
        yield number, _without_nulls(dict(row))


def hub_digest(source: str, split: str) -> str:
    """What identifies the content of a hub dataset's split: the fingerprint that `datasets` keeps of it."""
    return str(_load_hub(source, split)._fingerprint)


def _load_hub(source: str, split: str) -> Any:
    import datasets

    name, _, config = source.partition(":")
    try:
        return datasets.load_dataset(name, config or None, split=split)
    except Exception as error:  # the hub client raises many kinds: no network, no such id, no such split
        reason = next(iter(str(error).splitlines()), "")
        call = f"load_dataset({', '.join(map(repr, filter(None, (name, config))))})"
        raise DataError(
            f"the hub dataset cannot be read: {type(error).__name__}: {reason}; with a network, "
            f'python -c "from datasets import load_dataset; {call}" keeps a copy; or name a file',
            path=source,
        ) from error


def _cell(name: str, cell: str) -> Any:
    if name == "weight":
        try:
            return float(cell)
        except ValueError:
            return cell
    if name in _NESTED and cell.lstrip().startswith(("[{", '{"')):
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
