"""Rows of tables: CSV, Parquet, datasets saved or on the hub. Their readers are imported only where one is used."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tasks.data.source.file_names import saved_split
from tasks.errors import DataError, one_line

LONGEST = 64 << 20
"""Characters of the longest line of a CSV file, and of its longest cell."""

# Columns whose cells hold structure; CSV has none, so it stands there as JSON.
_NESTED = ("messages", "conversations", "chosen", "rejected", "prompt", "completion")
_LISTS = ("history", "spans", "input_ids", "labels", "attention_mask", "position_ids", "seq_lengths")
_MASKS = ("completion_mask", "assistant_masks", "loss_mask")


def read_csv(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    """Reads the rows of a CSV file with a header, each with the line it ends on.

    Args:
        file: its bytes, UTF-8.
        path: the file, for errors.

    Yields:
        (line, row), or (line, DataError) for a row of another width.

    Raises:
        DataError: the header names a column twice, or the file is no CSV in UTF-8.

    Example:
        >>> list(read_csv(io.BytesIO(b'prompt,completion\\n"1 + 1","2"\\n'), Path("a.csv")))
        [(2, {'prompt': '1 + 1', 'completion': '2'})]
    """
    csv.field_size_limit(LONGEST)
    number = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        reader = csv.reader(_lines(text, path), strict=True)
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


def _lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines of a file, none of them read beyond a bound."""
    number = 0
    while line := text.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise DataError(f"the line is longer than {LONGEST >> 20} MiB", path=path, line=number)
        yield line


def read_parquet(path: Path) -> Iterator[tuple[int, Any]]:
    """Reads the rows of a Parquet file, batch by batch, numbered from 1.

    A table has every column and key in every row: those that are null in a row are left out of it, at any depth.

    Yields:
        (number, row), or (number, DataError) for a row that holds what is no text.

    Raises:
        DataError: the file is no Parquet file.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in _rows(batch):
                    number += 1
                    yield number, without_nulls(row) if isinstance(row, dict) else row
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"not a Parquet file: {one_line(error)}", path=path) from error


def _rows(batch: Any) -> Iterator[dict[str, Any] | DataError]:
    """The rows of a batch; one of which a cell is no text in UTF-8, or no value of Python's, is an error by itself."""
    try:
        yield from batch.to_pylist(maps_as_pydicts="lossy")
    except (ValueError, OverflowError):
        for n in range(batch.num_rows):
            try:
                yield batch.slice(n, 1).to_pylist(maps_as_pydicts="lossy")[0]
            except (ValueError, OverflowError) as error:
                yield DataError(f"a cell of the row cannot be read: {one_line(error)}")


def read_hub(source: str, split: str) -> Iterator[tuple[int, Any]]:
    """Reads the rows of a hub dataset's split, numbered from 1, without what is null in them.

    Args:
        source: `owner/name` or `owner/name:config`.
        split: as `datasets` names it, such as `train[:10%]`.

    Raises:
        DataError: no network, no such dataset, or no such split.
    """
    for number, row in enumerate(_load_hub(source, split), start=1):
        yield number, without_nulls(dict(row))


def read_saved(folder: Path, split: str) -> Iterator[tuple[int, Any]]:
    """Reads the rows of a dataset that `save_to_disk` wrote, numbered from 1, without what is null in them.

    Args:
        folder: of one dataset, or of several by the names of their splits.
        split: which of several.

    Raises:
        DataError: the folder cannot be read, or has no such split.
    """
    import datasets

    if not (folder / "dataset_info.json").is_file():
        if (name := saved_split(folder, split)) is None:
            there = ", ".join(sorted(inner.name for inner in folder.iterdir() if inner.is_dir()))
            raise DataError(f"there is no split {split!r} of this saved dataset; there is {there}", path=folder)
        folder = folder / name
    try:
        saved = datasets.load_from_disk(str(folder))
    except Exception as error:  # a file is missing, damaged, or of a later version
        raise DataError(f"the saved dataset cannot be read: {type(error).__name__}: {error}", path=folder) from error
    for number, row in enumerate(saved, start=1):
        yield number, without_nulls(dict(row))


def hub_digest(source: str, split: str) -> str:
    """Gives the fingerprint that `datasets` keeps of a hub dataset's split, which changes with its content.

    Args:
        source: `owner/name` or `owner/name:config`.
        split: as `datasets` names it.

    Raises:
        DataError: no network, no such dataset, or no such split.
    """
    return str(_load_hub(source, split)._fingerprint)


def without_nulls(value: Any) -> Any:
    """Takes the keys that are null out of a value, at any depth; nulls in lists stay, since they have a place.

    Arrow keeps one set of keys for all rows: the arguments of every tool stand in each call, those of others as null.

    Example:
        >>> without_nulls({"name": "sum_up", "arguments": {"word": None, "left": 2}, "more": [None, 1]})
        {'name': 'sum_up', 'arguments': {'left': 2}, 'more': [None, 1]}
    """
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


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
            return float(cell) if cell else None
        except ValueError:
            return cell
    if (name in _NESTED and cell.lstrip().startswith(("[{", '{"'))) or (
        name in (*_LISTS, *_MASKS) and cell.startswith("[")
    ):
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell
