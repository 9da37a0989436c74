"""The README is the front door: every command in it composes, every file it names is there, its Python runs."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from pipelines.command.adapter_argument import with_adapter
from pipelines.command.preflight import preflight
from pipelines.search.problems import check
from tasks.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("  #")[0].strip()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip()
]


def _pipeline_arguments(command: str) -> list[tuple[str, list[str]]]:
    parts = [shlex.split(part) for part in command.split("&&")]
    found = [(p[p.index("-m") + 1], p[p.index("-m") + 2 :]) for p in parts if "-m" in p]
    return [(module.removeprefix("pipelines."), arguments) for module, arguments in found]


PARTS = ("pipelines", "tasks")
PIPELINES = [pair for command in COMMANDS for pair in _pipeline_arguments(command)]


def test_there_are_the_two_commands_that_set_up_themselves() -> None:
    assert COMMANDS[0] == "pip install uv && uv run python -m pipelines.finetune +experiment=quickstart"
    assert COMMANDS[1] == "pip install uv && uv run --group dev pytest"


@pytest.mark.parametrize(("module", "arguments"), PIPELINES, ids=[f"{m} {' '.join(a)}" for m, a in PIPELINES])
def test_every_command_composes(module: str, arguments: list[str]) -> None:
    importlib.import_module(f"pipelines.{module}")
    overrides = [a.partition(",")[0] if "-m" in arguments else a for a in arguments if not a.startswith("-")]
    overrides = [o for o in overrides if o != "job"]
    if module in ("verify", "evaluate"):
        # The adapter is made by the command above it in the README; here it is only not there yet.
        with pytest.raises(ConfigError, match="there is no such directory"):
            with_adapter(overrides, held_out=module == "evaluate")
    elif module == "sweep":
        check(overrides)
    elif module != "serve":
        preflight(overrides)


def test_the_python_runs() -> None:
    (code,) = [block for language, block in BLOCKS if language == "python"]
    scope: dict[str, object] = {}
    exec(code, scope)
    assert scope["run"].lora.rank == 4  # type: ignore[attr-defined]


def test_the_tree_is_the_tree() -> None:
    tree = next(block for language, block in BLOCKS if block.startswith("conf/"))
    shown = {
        part: tree.partition(f"\n{part}/")[2].partition("\ntests/" if part == "tasks" else "\ntasks/")[0]
        for part in PARTS
    }
    for part, lines in shown.items():
        rooms = {p.name for p in (ROOT / part).iterdir() if (p / "__init__.py").is_file()}
        assert set(re.findall(r"^  (\w+)/", lines, re.MULTILINE)) == rooms, part
    commands = {p.stem for p in (ROOT / "pipelines").glob("*.py")} - {"__init__", "__main__"}
    assert set(re.findall(r"^  (\w+)   ", shown["pipelines"], re.MULTILINE)) == commands


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_every_file_of_the_reading_list_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tasks|pipelines|conf|tests)/[\w/.]+\.\w+)`", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_variable_of_ours_is_in_the_table() -> None:
    sources = [path.read_text(encoding="utf-8") for part in PARTS for path in (ROOT / part).rglob("*.py")]
    table = README.partition("## Environment\n")[2].partition("\n## ")[0]
    read = {name for text in sources for name in re.findall(r"\bGRAFTLINE_[A-Z_]+", text)}
    assert read
    assert {name for name in read if f"| `{name}` |" not in table} == set()
