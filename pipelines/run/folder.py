"""Creates the run directory or says why not; a mere check leaves nothing behind."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from tasks.errors import RunError

RESULTS = ("metrics.jsonl", "bad_batch.json", "evaluate.json", "verdict.json", "report.json", "report.md", "loss.svg")
"""Files that a fresh run removes: one that fails must not stand beside another's verdict."""

OWN = frozenset(
    {"run.log", "config.yaml", "plan.json", "tokens.html", "checkpoints", "adapter", "manifest.json", *RESULTS}
)
"""Everything that a run writes into its directory; run.log comes first."""


def make_folder(path: Path) -> list[Path]:
    """Creates a folder that can be written; returns the new ones, the innermost first.

    Raises:
        RunError: it cannot be made, is a file, or takes no files.
    """
    if "\0" in str(path):
        raise RunError(f"run_dir={str(path)!r} has a character that no file name may have; name another")
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path).close()
    except FileExistsError:
        if path.is_symlink() and not path.exists():
            target = os.readlink(path)
            raise RunError(
                f"run_dir={path} is a link to {target}, which is not there; make it, or name another"
            ) from None
        raise RunError(f"run_dir={path} is a file; name a folder") from None
    except NotADirectoryError:
        parent = next(folder for folder in path.parents if folder.exists() and not folder.is_dir())
        raise RunError(f"run_dir={path} cannot be written: {parent} is a file") from None
    except OSError as error:
        remove_folders(new)
        raise RunError(f"run_dir={path} cannot be written: {error.strerror or error}; name another") from error
    return new


def remove_folders(new: list[Path]) -> None:
    """Removes what `make_folder` created, unless something has been put there since."""
    for folder in new:
        with suppress(OSError):
            folder.rmdir()


def check_folder(path: Path) -> None:
    """Raises what `make_folder` and `check_own` would, and leaves nothing behind."""
    remove_folders(make_folder(path))
    if path.exists():
        check_own(path)


def check_own(path: Path) -> None:
    """Refuses a folder of other things, whose config.yaml would be overwritten.

    Raises:
        RunError: it has no run.log, and what no run has made; files that begin with a dot do not count.
    """
    names = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    if others := sorted(names - OWN) if "run.log" not in names else []:
        rest = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise RunError(f"run_dir={path} has {', '.join(others[:3])}{rest}, but no run; name a new folder")


def check_links(path: Path) -> None:
    """Refuses a folder with a link in it, or in its `checkpoints`, that leads out of it or nowhere.

    What is written, replaced and removed there would be somewhere else.

    Raises:
        RunError: naming the link and where it leads.
    """
    inside = os.path.realpath(path)
    for entry in (*path.iterdir(), *path.glob("checkpoints/*")):
        target = os.path.realpath(entry)
        if entry.is_symlink() and not (entry.exists() and Path(target).is_relative_to(inside)):
            raise RunError(
                f"run_dir={path}: {entry.relative_to(path)} is a link to {os.readlink(entry)}, outside the run "
                "directory; remove it, or give another run_dir (which may itself be a link)"
            )
