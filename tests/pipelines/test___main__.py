"""The list of commands, and the examples that each command shows: two at least, as any shell takes them, composing."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.__main__ import commands, page
from pipelines.config import compose, compose_plain

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {
    name: re.findall(
        r"^python -m .*", ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "", re.MULTILINE
    )
    for name, path in ((name, ROOT / "pipelines" / f"{name}.py") for name in commands())
}
LINES = [line for lines in EXAMPLES.values() for line in lines]


def test_the_list_has_a_line_for_each_command_and_imports_none() -> None:
    code = "import runpy, sys; runpy.run_module('pipelines', run_name='__main__'); print('hydra' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert shown == page([]) + "False\n"
    for name, does in commands().items():
        assert re.search(rf"^  {name} +{re.escape(does)}$", shown, re.MULTILINE)
        assert does[0].isupper()
        assert not does.startswith(f"{name}:")


def test_a_command_after_a_space_is_shown_with_its_dot() -> None:
    assert page(["plan", "lora.rank=4"]).startswith("write: python -m pipelines.plan lora.rank=4\n")


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_command_shows_two_examples_of_itself(name: str) -> None:
    assert len(EXAMPLES[name]) >= 2
    assert all(shlex.split(line)[2] == f"pipelines.{name}" for line in EXAMPLES[name])


@pytest.mark.parametrize("line", LINES)
def test_an_example_is_one_word_an_argument_in_any_shell_and_composes(line: str) -> None:
    assert not re.search(r"[\[\]{}~*?()]", re.sub(r"'[^']*'", "", line)), "zsh reads these; quote the argument"
    name, *overrides = shlex.split(line)[2:]
    if name == "pipelines.serve":
        return  # its arguments are tested in test_serve.py
    if name == "pipelines.sweep":
        assert "space" in compose_plain(overrides)["sweep"]
        return
    given = [o for o in overrides if not o.startswith("adapter=")]
    compose([*([] if any("train" in o or "experiment" in o for o in given) else ["data.train=x.jsonl"]), *given])
