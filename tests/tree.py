"""Prints TREE.md, a line for every file of pipelines/ and tasks/: `python -m tests.tree > TREE.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from pipelines.__main__ import first_line

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("pipelines", "tasks")
HEAD = """# Every file, a line each

The first line of each docstring, as `python -m tests.tree > TREE.md` prints it; a test holds the two equal.
The rooms as a whole are in the README's tree.
"""


def tree() -> str:
    """The page."""
    blocks = []
    for part in PARTS:
        entries = [*_entries(ROOT / part, 0)]
        width = max(len(name) for name, _ in entries)
        lines = "".join(f"{name:<{width}}  {does}\n" for name, does in entries)
        blocks.append(f"\n```\n{lines}```\n")
    return HEAD + "".join(blocks)


def _entries(folder: Path, depth: int) -> Iterator[tuple[str, str]]:
    """A folder with its files, then with its folders; each name indented by its depth."""
    yield f"{'  ' * depth}{folder.name}/", first_line(folder / "__init__.py")
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            yield f"{'  ' * (depth + 1)}{path.name}", first_line(path)
    for path in sorted(folder.glob("*/__init__.py")):
        yield from _entries(path.parent, depth + 1)


if __name__ == "__main__":
    sys.stdout.write(tree())
