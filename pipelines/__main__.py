"""Lists the commands, a line each, from the first line of each file's docstring; imports none of them."""

import ast
import sys
from pathlib import Path


def commands() -> dict[str, str]:
    """What each command does, by its name."""
    paths = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("_"))
    return {path.stem: first_line(path) for path in paths}


def first_line(path: Path) -> str:
    """The first line of a file's docstring; read, not imported."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, f"{path} has no docstring"
    return text.splitlines()[0]


def page(given: list[str]) -> str:
    """The list of commands, after a hint where one was meant."""
    known = commands()
    hint = f"write: python -m pipelines.{' '.join(given)}\n\n" if given and given[0] in known else ""
    lines = [f"  {name:<{max(map(len, known))}}  {does}\n" for name, does in known.items()]
    usage = "python -m pipelines.COMMAND key=value ...     or --help, which shows examples and every key"
    return f"{hint}{usage}\n\n{''.join(lines)}"


if __name__ == "__main__":
    print(page(sys.argv[1:]), end="")
