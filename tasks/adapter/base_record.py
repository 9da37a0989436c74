"""Reads base.json: a checksum of each parameter of the base as it was when the adapter was saved."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tasks.artifact import first_problem, read_json
from tasks.errors import AdapterError

BASE = "base.json"
_RECORD = TypeAdapter(dict[str, str])


def read_base_record(folder: Path) -> dict[str, str] | None:
    """{parameter: "dtype shape checksum"} as `base_checksums` gives it; None where the adapter has no record.

    Raises:
        AdapterError: there is such a file, and it cannot be read.
    """
    path = folder / BASE
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return _RECORD.validate_python(read_json(path), strict=True)
    except ValidationError as error:
        raise AdapterError(f"adapter at {folder}: {BASE} cannot be read: {first_problem(error)}") from error
    except ValueError as error:
        raise AdapterError(f"adapter at {folder}: {BASE} cannot be read: {error}") from error
