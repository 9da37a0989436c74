"""Experiment files with the mistakes that people make: file, line and fix, in plain words."""

from pathlib import Path

import pytest

from pipelines.config import CONF, EXPERIMENTS, composition
from pipelines.config.composition import composed, groups
from pipelines.config.experiment_file import HEADER, check_experiment_file, yaml_problem
from tasks.errors import ConfigError

CHOOSABLE = groups() - {"experiment", "sweep", "schedule"}
TOP = f"{HEADER}\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("name: a\n", "1: begin the file with the line `# @package _global_`, so that its keys are those of the run"),
        ("", "1: begin the file with the line `# @package _global_`"),
        (TOP + "- name: a\n", "1: an experiment is keys and their values, as in `name: mine`; this is a list"),
        (TOP + "lora:\n\trank: 4\n", "3: a tab; indent with spaces"),
        (TOP + "lora:\n  rank: 4\n    alpha: 8\n", "4: the indent is wrong, or a value with ': ' in it lacks its"),
        (TOP + "lora:\n  rank: 4\n alpha: 8\n", "4: the indent is wrong: keys of one level begin in one column"),
        (TOP + "lora:\n  rank: 4\n  rank: 8\n", "4: the key rank stands twice; keep one of them"),
        (TOP + "name: a\nname: b\n", "3: the key name stands twice; keep one of them"),
        (TOP + "data:\n  columns: {a: b\nname: x\n", "4: a bracket, a brace or a quote before it is not closed"),
        (TOP + "lora: rslora\n", "2: `lora: rslora` chooses a file; write it under defaults: `- override /lora: rsl"),
        (TOP + "defaults:\n  - lora: rslora\n", "3: `lora: rslora`: write `- override /lora: rslora`"),
        (TOP + "defaults:\n  - /lora: rslora\n", "3: `/lora: rslora`: write `- override /lora: rslora`"),
        (TOP + "defaults:\n  - override lora: rslora\n", "3: `override lora: rslora`: write `- override /lora: rsl"),
        (TOP + "defaults:\n  lora: rslora\n", "3: defaults is a list; write each choice as `- override /GROUP: CHO"),
    ],
)
def test_answers(text: str, answer: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        check_experiment_file(file, CHOOSABLE)
    assert str(caught.value).startswith(f"{file}:{answer}")
    assert "\n" not in str(caught.value)


def test_all_mistakes_of_a_file_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults:\n  - lora: rslora\nbatch: packed\n")
    with pytest.raises(ConfigError, match=r"^3 problems:\n.*:1: begin .*\n.*:2: .*\n.*:3: "):
        check_experiment_file(tmp_path / "mine.yaml", CHOOSABLE)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_shipped_files_pass(name: str) -> None:
    check_experiment_file(CONF / f"experiment/{name}.yaml", CHOOSABLE)


def test_composing_checks_the_chosen_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text("name: a\n")
    monkeypatch.setattr(composition, "CONF", tmp_path)
    with pytest.raises(ConfigError, match=r"mine\.yaml:1: begin the file"):
        composed(["+experiment=mine"])


def test_what_is_unknown_of_yaml_is_quoted() -> None:
    import yaml

    with pytest.raises(yaml.YAMLError) as caught:
        yaml.safe_load("a: !!odd 3")
    assert yaml_problem(caught.value, "x.yaml").startswith("x.yaml:1: this is no YAML: could not determine a construct")
