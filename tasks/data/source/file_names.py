"""Files behind a path: those that match a pattern, or those of a folder that are named after a split."""

import glob
from pathlib import Path

PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Endings of compressed files, which stand behind that of the format."""

KNOWN = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".txt")
"""Endings of files of rows."""

_NAMES = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
_SAVED = ("dataset_info.json", "dataset_dict.json")


def files_of(path: str, split: str) -> list[str]:
    """Lists the files behind a pattern or a folder, sorted by name; none where the path is neither, or has none.

    Args:
        path: such as `chat-*.jsonl` or a folder.
        split: `train`, `valid` or `test`, whose files of a folder are meant.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("train.jsonl", "valid.jsonl", "README.md"):
        ...     _ = (folder / name).write_text("{}")
        >>> [Path(file).name for file in files_of(str(folder), "valid")]
        ['valid.jsonl']
    """
    place = Path(path).expanduser()
    if is_pattern(path):
        return sorted(file for file in glob.glob(str(place), recursive=True) if Path(file).is_file())
    if not place.is_dir():
        return []
    if is_saved(place):
        return [path] if (place / _SAVED[0]).is_file() or saved_split(place, split) is not None else []
    return [str(file) for file in sorted(place.rglob("*")) if file.is_file() and _is_of(file.relative_to(place), split)]


def is_pattern(path: str) -> bool:
    """Tells a pattern of several files from the name of one.

    Example:
        >>> is_pattern("chat-*.jsonl"), is_pattern("chat.jsonl")
        (True, False)
    """
    return glob.has_magic(path) and not Path(path).expanduser().exists()


def is_saved(folder: Path) -> bool:
    """Recognises a folder written by `save_to_disk`, of a dataset or of several by name.

    Example:
        >>> is_saved(Path("no/such/folder"))
        False
    """
    return any((folder / name).is_file() for name in _SAVED)


def saved_split(folder: Path, split: str) -> str | None:
    """Finds the name under which a folder of several saved datasets has a split; None where it has none.

    Args:
        folder: written by `DatasetDict.save_to_disk`.
        split: `train`, `valid` or `test`, or a name of the folder's own.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "validation").mkdir()
        >>> _ = (folder / "validation" / "dataset_info.json").write_text("{}")
        >>> saved_split(folder, "valid")
        'validation'
    """
    names = next((names for names in _NAMES.values() if split in names), (split,))
    return next((name for name in (split, *names) if (folder / name / _SAVED[0]).is_file()), None)


def ending(path: Path) -> str:
    """Gives the ending that names a file's format, without that of a compression behind it.

    Example:
        >>> ending(Path("a.jsonl.zst")), ending(Path("a.CSV"))
        ('.jsonl', '.csv')
    """
    return next((suffix.lower() for suffix in reversed(path.suffixes) if suffix.lower() not in PACKED), "")


def _is_of(file: Path, split: str) -> bool:
    """`train.jsonl`, `train-00000-of-00002.parquet`, `train/a.jsonl`, `data/train_1.csv`."""
    if ending(file) not in KNOWN or file.name.startswith("."):
        return False
    words = [part.lower().replace("_", "-").replace(".", "-").partition("-")[0] for part in file.parts]
    return any(word in _NAMES[split] for word in words)
