"""Which files a path stands for: those that a pattern matches, or those of a folder that are named after a split."""

import glob
from pathlib import Path

PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Endings of compressed files, which stand behind that of the format."""

KNOWN = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".txt")
"""Endings of files of rows."""

_NAMES = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
_SAVED = ("dataset_info.json", "dataset_dict.json")


def files_of(path: str, split: str) -> list[str]:
    """The files that a pattern or a folder stands for, by name; none where it is neither, or has none.

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
    """Whether a path is a pattern of several files, and not the name of one.

    Example:
        >>> is_pattern("chat-*.jsonl"), is_pattern("chat.jsonl")
        (True, False)
    """
    return glob.has_magic(path) and not Path(path).expanduser().exists()


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk` of a dataset or of several by name."""
    return any((folder / name).is_file() for name in _SAVED)


def saved_split(folder: Path, split: str) -> str | None:
    """The name under which a folder of several saved datasets has a split; None where it has none.

    Args:
        folder: what `DatasetDict.save_to_disk` wrote.
        split: one of ours, or a name of theirs.
    """
    names = next((names for names in _NAMES.values() if split in names), (split,))
    return next((name for name in (split, *names) if (folder / name / _SAVED[0]).is_file()), None)


def ending(path: Path) -> str:
    """The ending of a file that says its format, behind which it may be compressed.

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
