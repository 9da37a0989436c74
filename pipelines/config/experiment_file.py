"""Mistakes in a file of conf/, above all in an experiment: file, line, what is wrong, what to write."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from tasks.errors import ConfigError, one_line

HEADER = "# @package _global_"


def check_experiment_file(path: Path, groups: Collection[str]) -> None:
    """Refuses an experiment that Hydra would read in another way than it is meant, or not at all.

    Args:
        path: the file.
        groups: the names of the groups whose files it can choose.

    Raises:
        ConfigError: naming the file, the line and the fix; all mistakes of the file at once.
    """
    text = path.read_text(encoding="utf-8-sig")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(yaml_problem(error, str(path))) from None
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}:1: an experiment is keys and their values, as in `name: mine`; this is a list")
    problems = [f"{path}:{line}: {problem}" for line, problem in sorted(_mistakes(root, groups))]
    if not re.search(rf"^{HEADER}\s*$", text, re.M):
        problems.insert(0, f"{path}:1: begin the file with the line `{HEADER}`, so that its keys are those of the run")
    if problems:
        raise ConfigError("\n  ".join([f"{len(problems)} problems:", *problems] if len(problems) > 1 else problems))


def _mistakes(node: yaml.Node | None, groups: Collection[str], depth: int = 0) -> Iterator[tuple[int, str]]:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            yield line, f"the key {name} stands twice; keep one of them"
        seen.add(name)
        if depth == 0 and name == "defaults":
            yield from _defaults(value, groups)
        elif depth == 0 and name in groups and isinstance(value, yaml.ScalarNode) and value.value:
            yield line, f"`{name}: {value.value}` chooses a file; write it under defaults: `- {_choice(name, value)}`"
        else:
            yield from _mistakes(value, groups, depth + 1)


def _defaults(node: yaml.Node, groups: Collection[str]) -> Iterator[tuple[int, str]]:
    if not isinstance(node, yaml.SequenceNode):
        yield node.start_mark.line + 1, "defaults is a list; write each choice as `- override /GROUP: CHOICE`"
        return
    for item in node.value:
        for key, value in item.value if isinstance(item, yaml.MappingNode) else ():
            name = re.sub(r"^(override\s+)?/?", "", str(key.value))
            if name in groups and not re.match(r"override\s+/", str(key.value)):
                yield key.start_mark.line + 1, f"`{key.value}: {value.value}`: write `- {_choice(name, value)}`"


def _choice(group: str, value: yaml.Node) -> str:
    return f"override /{group}: {value.value}"


def yaml_problem(error: yaml.YAMLError, name: str = "") -> str:
    """Explains what YAML cannot read: the file, the line, and the usual cause.

    Args:
        error: PyYAML's.
        name: the file, where the error does not know it.
    """
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or error)
    where = f"{name or getattr(mark, 'name', 'the file')}:{mark.line + 1}" if mark else name
    fix = next((fix for part, fix in _CAUSES.items() if part in said), None)
    if match := re.search(r"found duplicate key (\S+)", said):
        fix = f"the key {match[1]} stands twice; keep one of them"
    return f"{where}: {fix or f'this is no YAML: {one_line(said)}'}"


_CAUSES = {
    "'\\t'": "a tab; indent with spaces",
    "mapping values are not allowed": "the indent is wrong, or a value with ': ' in it lacks its quotes",
    "expected <block end>": "the indent is wrong: keys of one level begin in one column",
    "expected ','": "a bracket, a brace or a quote before it is not closed, or a comma is missing",
    "did not find expected": "a bracket, a brace or a quote before it is not closed, or a comma is missing",
    "could not find expected ':'": "a key lacks its ': ', or the line before it lacks its end",
    "while scanning a quoted": "a quote is not closed",
}
"""What PyYAML says, and what it means."""
