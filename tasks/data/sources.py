"""A source of rows, as a person names it: files or a hub dataset, how it is read, and its share of a mixture."""

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tasks.artifact import Record
from tasks.data.format.formats import COLUMNS, Format
from tasks.data.source.file_names import files_of
from tasks.errors import DataError

TextRows = Literal["file", "paragraph", "line"]


def _known_columns(columns: dict[str, str]) -> dict[str, str]:
    if unknown := sorted(set(columns) - COLUMNS):
        raise ValueError(f"columns: {unknown} are no names of ours; choose from {sorted(COLUMNS)}")
    return columns


def _known_encoding(name: str) -> str:
    try:
        known = codecs.lookup(name)
        # What is no text encoding, or has no bytes for a line end that are its own, cannot hold lines of JSON.
        usable = b"{\n".decode(name) == "{\n" or "{\n".encode(name).decode(name) == "{\n"
    except (LookupError, UnicodeError):
        raise ValueError(f"{name!r} is no text encoding; say utf-8, utf-16, latin-1, cp1252 ...") from None
    if not usable or "escape" in known.name or known.name in ("idna", "punycode", "utf-7", "undefined"):
        raise ValueError(f"{name!r} is no encoding of files; say utf-8, utf-16, latin-1, cp1252 ...")
    return known.name


Columns = Annotated[dict[str, str], AfterValidator(_known_columns)]
Encoding = Annotated[str, AfterValidator(_known_encoding)]


class Source(Record):
    """A source of rows.

    Args:
        path: a file; several, as a pattern such as `chat-*.jsonl`; a folder of files named after their splits or
            saved by `datasets`; or the id of a hub dataset, `owner/name` or `owner/name:config`.
        weight: its share of what is trained on, against those of the other sources; 1 where another one has a weight
            and this one has none. Where none has one, every row of every source is trained on once.
        split: the split of a hub dataset or saved folder, such as `train_sft` or `train[:10%]`; None for the usual.
        format: like `data.format`, for this source alone; None for what `data.format` says.
        columns: like `data.columns`, for this source alone; None for what `data.columns` says.
        encoding: like `data.encoding`, for this source alone; None for what `data.encoding` says.
        text_rows: like `data.text_rows`, for this source alone; None for what `data.text_rows` says.

    Example:
        >>> Source(path="chat.jsonl", weight=3.0).weight
        3.0
    """

    path: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(gt=0)] | None = None
    split: Annotated[str, Field(min_length=1)] | None = None
    format: Format | None = None
    columns: Columns | None = None
    encoding: Encoding | None = None
    text_rows: TextRows | None = None

    def files(self, split: str) -> "tuple[Source, ...]":
        """Gives a source for each file behind this one, in the order of their names; itself where it is no folder or
        pattern, or where no file answers to it.

        Args:
            split: `train`, `valid` or `test`: which files of a folder.

        Raises:
            DataError: a weight for several files: how they share it is not said.
        """
        found = files_of(self.path, split)
        if self.weight is not None and len(found) > 1:
            raise DataError(
                f"a weight of {self.weight:g} for {len(found)} files; name each with a weight of its own, or make one "
                "file of them",
                path=self.path,
            )
        return tuple(self.model_copy(update={"path": path}) for path in found) or (self,)
