"""The mirror: a choice, its code and its test have one name in three places."""

from pathlib import Path

import pytest

from tasks.batch import LAYOUTS
from tasks.check import CHECKS
from tasks.lora import RULES
from tasks.loss import LOSSES
from tasks.optim import OPTIMIZERS
from tasks.sink import SINKS
from tests.tree import tree

ROOT = Path(__file__).resolve().parents[1]
CHOICES = {"batch": LAYOUTS, "lora": RULES, "loss": LOSSES, "optim": OPTIMIZERS}
VERBS = ("tokenize", "plan", "inject", "train", "evaluate", "verify")


def _sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("group", sorted(CHOICES))
def test_each_kind_is_a_yaml_a_file_and_a_test(group: str) -> None:
    kinds = set(CHOICES[group])
    assert {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")} == kinds
    for kind in kinds:
        assert (ROOT / "tasks" / group / f"{kind}.py").is_file()
        assert (ROOT / "tests" / group / f"test_{kind}.py").is_file()


@pytest.mark.parametrize(("room", "table"), [("check", CHECKS), ("sink", SINKS)])
def test_each_table_entry_is_a_file(room: str, table: dict[str, object]) -> None:
    for name in table:
        assert (ROOT / "tasks" / room / f"{name}.py").is_file()


@pytest.mark.parametrize("path", _sources("tasks", "pipelines"), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_source_has_its_test(path: Path) -> None:
    inside = path.relative_to(ROOT)
    inside = inside.relative_to("tasks") if inside.parts[0] == "tasks" else inside
    assert (ROOT / "tests" / inside.parent / f"test_{inside.name}").is_file()


def test_only_verbs_are_prefect_tasks() -> None:
    marked = {path for path in _sources("tasks") if "@task" in path.read_text(encoding="utf-8")}
    assert marked == {ROOT / "tasks" / f"{verb}.py" for verb in VERBS}


def test_a_file_name_is_used_once() -> None:
    """Two files of one name are two ideas under one word; a command and its stage, and a room's `config`, are not."""
    names = [path.name for path in _sources("tasks", "pipelines")]
    assert {name for name in names if names.count(name) > 1} <= {"config.py", *(f"{verb}.py" for verb in VERBS)}


def test_tree_md_is_what_the_command_prints() -> None:
    shown = (ROOT / "TREE.md").read_text(encoding="utf-8")
    assert shown == tree(), "a docstring or a file has changed: python -m tests.tree > TREE.md"
