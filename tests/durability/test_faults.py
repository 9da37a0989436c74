"""Each file operation of a save fails in turn, by error and by death: the next start finds what is whole, no litter."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

from tasks.artifact import atomic_directory, clear_leftovers, damaged_files, read_manifest, write_text
from tasks.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tests.durability.faults import Death, Faults, How

ROOT = Path(__file__).resolve().parents[2]


def state(step: int) -> Checkpoint:
    """A small training state, another for each step."""
    arrays = {"a": mx.full((3, 2), step, mx.float32), "b": mx.array([step, 1], mx.uint32)}
    return Checkpoint(step, arrays, {"tokens": step}, valid_loss=1 / step)


def replace(folder: Path) -> None:
    """Replaces a directory by another."""
    with atomic_directory(folder / "adapter", {"is": "new"}) as aside:
        (aside / "one").write_text("new")
        (aside / "deep").mkdir()
        (aside / "deep" / "two").write_text("new")


def before_replace(folder: Path) -> None:
    with atomic_directory(folder / "adapter", {"is": "old"}) as aside:
        (aside / "one").write_text("old")


def whole_directory(folder: Path) -> str | None:
    """What the directory is, which must be whole."""
    assert damaged_files(folder / "adapter") == []
    manifest = read_manifest(folder / "adapter")
    files = [] if manifest is None else sorted(manifest["files"])
    assert files == ({"old": ["one"], "new": ["deep/two", "one"]}[manifest["is"]] if manifest else [])
    return None if manifest is None else manifest["is"]


def before_save(folder: Path) -> None:
    for step in (10, 20):
        save_checkpoint(folder, state(step), keep=2)


def save(folder: Path) -> None:
    """Saves a third checkpoint, so that the first is removed."""
    save_checkpoint(folder, state(30), keep=2)


def save_again(folder: Path) -> None:
    """Saves one that is there already."""
    save_checkpoint(folder, state(20), keep=2)


def whole_checkpoint(folder: Path) -> str | None:
    """Which checkpoint the next start goes on from."""
    for path in folder.glob("step-*"):
        assert read_manifest(path) is not None
        assert damaged_files(path) == []
    found = newest_checkpoint(folder)
    assert found is not None
    assert found.counters == {"tokens": found.step}
    assert all(bool(mx.array_equal(found.arrays[name], array)) for name, array in state(found.step).arrays.items())
    return str(found.step)


def before_text(folder: Path) -> None:
    (folder / "text").write_text("old")


def text(folder: Path) -> None:
    write_text(folder / "text", "new and longer")


def whole_text(folder: Path) -> str | None:
    said = (folder / "text").read_text()
    assert said in ("old", "new and longer")
    return said


CASES: dict[
    str, tuple[Callable[[Path], None], Callable[[Path], None], Callable[[Path], str | None], set[str | None]]
] = {
    "a new directory": (lambda _: None, replace, whole_directory, {None, "new"}),
    "a directory replaced": (before_replace, replace, whole_directory, {"old", "new"}),
    "a checkpoint": (before_save, save, whole_checkpoint, {"20", "30"}),
    "a checkpoint again": (before_save, save_again, whole_checkpoint, {"20"}),
    "a text": (before_text, text, whole_text, {"old", "new and longer"}),
}


def operations(case: str, folder: Path) -> list[str]:
    """The file operations of a case that goes well."""
    before, act, _, _ = CASES[case]
    folder.mkdir()
    before(folder)
    with Faults().watch() as faults:
        act(folder)
    return faults.seen


def litter(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.parametrize("how", ["error", "death"])
@pytest.mark.parametrize("case", CASES)
def test_each_operation_fails_in_turn(case: str, how: How, tmp_path: Path) -> None:
    before, act, whole, states = CASES[case]
    seen = operations(case, tmp_path / "well")
    assert {"write", "fsync", "replace"} <= set(seen)
    assert not litter(tmp_path / "well")
    found = set()
    for at in range(1, len(seen) + 1):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        before(folder)
        faults, failed = Faults(at, how), False
        with faults.watch():
            try:
                act(folder)
            except (Death, OSError):
                failed = True
        told = f"{how} at {at}, {seen[at - 1]}"
        # What cannot be removed does not undo what was saved; a folder that is there already need not be made.
        assert failed or seen[at - 1] in ("rmtree", "unlink", "mkdir"), told
        if how == "error":
            assert not litter(folder), told
        clear_leftovers(folder)
        assert not litter(folder), told
        state = whole(folder)
        assert state in states, told
        found.add(state)
        act(folder)  # and the next one goes well
        assert not litter(folder), told
    assert found == states


@pytest.mark.parametrize("case", CASES)
def test_each_operation_is_the_last_of_a_process(case: str, tmp_path: Path) -> None:
    before, _, whole, states = CASES[case]
    seen = operations(case, tmp_path / "well")
    for at in range(1, len(seen) + 1):
        (tmp_path / f"{at}").mkdir()
        before(tmp_path / f"{at}")
    subprocess.run([sys.executable, "-m", __name__, case, str(tmp_path), str(len(seen))], cwd=ROOT, check=True)
    for at in range(1, len(seen) + 1):
        clear_leftovers(tmp_path / f"{at}")
        assert whole(tmp_path / f"{at}") in states, seen[at - 1]
        assert not litter(tmp_path / f"{at}")


def die_at_each(case: str, folder: Path, operations: int) -> None:
    """A child for each operation, which it does not survive. Nothing is computed before the fork."""
    import os

    for at in range(1, operations + 1):
        if (child := os.fork()) == 0:
            with Faults(at, "exit").watch():
                CASES[case][1](folder / f"{at}")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77


if __name__ == "__main__":
    die_at_each(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
