"""adapter=DIR takes the base from the adapter's own manifest, and says so where it cannot."""

import json
from pathlib import Path

import pytest

from pipelines.command.adapter_argument import FILES, with_adapter
from tasks.errors import ConfigError
from tasks.model import Model


def _files(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in FILES:
        (folder / name).write_text("{}")
    return folder


def _manifest(folder: Path, source: Model) -> Path:
    _files(folder)
    (folder / "manifest.json").write_text(json.dumps({"files": {}, "model": source.model_dump(mode="json")}))
    return folder


def test_the_base_comes_from_the_manifest(tmp_path: Path) -> None:
    source = Model(path="some/where", dtype="bfloat16", quantize=4)
    folder, run = with_adapter([f"adapter={_manifest(tmp_path, source)}", "verify=quick"])
    assert folder == tmp_path
    assert run.model == source
    assert "adjoint" not in run.verify.checks


@pytest.mark.parametrize("path", ["/home/jörg/models, old/qwen", "d/it's here", "мод ель"])
def test_a_base_may_lie_anywhere(path: str, tmp_path: Path) -> None:
    folder = _manifest(tmp_path, Model(path=path))
    assert with_adapter([f"adapter={folder}"])[1].model.path == path


def test_a_misspelt_key_is_said_before_what_is_missing(tmp_path: Path) -> None:
    folder = _manifest(tmp_path, Model(path="a/b"))
    for typed, words in (
        ("data.vald=v.jsonl", r"did you mean data\.valid"),
        ("data.strict=true", "say what to evaluate"),
    ):
        with pytest.raises(ConfigError, match=words):
            with_adapter([f"adapter={folder}", typed], held_out=True)


def test_what_is_typed_wins(tmp_path: Path) -> None:
    _, run = with_adapter([f"adapter={_manifest(tmp_path, Model(path='a/b'))}", "model.path=c/d"])
    assert run.model.path == "c/d"


def test_held_out_rows_are_the_only_data(tmp_path: Path) -> None:
    folder = _manifest(tmp_path, Model(path="a/b"))
    _, run = with_adapter([f"adapter={folder}", "data.valid=v.jsonl"], held_out=True)
    assert (run.data.valid, run.data.valid_share) == ("v.jsonl", 0)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "say which adapter"),
        (["adapter=/nowhere"], "no such directory"),
        (["adapter={}"], "say model.path"),
        (["adapter={}/empty"], "holds no adapter_config.json and no adapters.safetensors; is it an adapter's"),
        (["adapter={}/run", "model.path=a/b"], r"holds no .*; did you mean adapter=.*/run/adapter\?"),
    ],
)
def test_what_is_missing_is_said(overrides: list[str], words: str, tmp_path: Path) -> None:
    _files(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    _files(tmp_path / "run/adapter")
    with pytest.raises(ConfigError, match=words):
        with_adapter([o.format(tmp_path) for o in overrides])
