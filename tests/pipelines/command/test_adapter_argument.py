"""adapter=DIR takes the base from the adapter's own manifest, and says so where it cannot."""

import json
from pathlib import Path

import pytest

from pipelines.command.adapter_argument import FILES, with_adapter
from tasks.adapter.adapter_manifest import TEMPLATE
from tasks.artifact import file_digest
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
    source = Model(path="./some/where", dtype="bfloat16", quantize=4)
    folder, run = with_adapter([f"adapter={_manifest(tmp_path, source)}", "verify=quick"])
    assert folder == tmp_path
    assert run.model == source
    assert "adjoint" not in run.verify.checks


@pytest.mark.parametrize("path", ["/home/jörg/models, old/qwen", "./d/it's here", "мод ель"])
def test_a_base_may_lie_anywhere(path: str, tmp_path: Path) -> None:
    folder = _manifest(tmp_path, Model(path=path))
    assert with_adapter([f"adapter={folder}"])[1].model.path == path


def test_a_misspelt_key_is_said_before_what_is_missing(tmp_path: Path) -> None:
    folder = _manifest(tmp_path, Model(path="./a/b"))
    for typed, words in (
        ("data.vald=v.jsonl", r"did you mean data\.valid"),
        ("data.strict=true", "say what to evaluate"),
    ):
        with pytest.raises(ConfigError, match=words):
            with_adapter([f"adapter={folder}", typed], held_out=True)


def test_what_is_typed_wins(tmp_path: Path) -> None:
    _, run = with_adapter([f"adapter={_manifest(tmp_path, Model(path='./a/b'))}", "model.path=c/d"])
    assert run.model.path == "c/d"


@pytest.mark.parametrize("value", ["${oc.env:SECRET}", "a/${oc.env:SECRET}", "${model.dtype}", "a,b", "'", "{a:1}"])
@pytest.mark.parametrize("key", ["path", "revision"])
def test_what_a_manifest_says_is_never_resolved(
    key: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    folder = _manifest(tmp_path, Model.model_validate({"path": "./a", key: value}))
    if key == "path" and value.count("/") == 1:
        with pytest.raises(ConfigError, match=r"names 'a/\$.*of the hub as its base"):
            with_adapter([f"adapter={folder}"])
    else:
        assert getattr(with_adapter([f"adapter={folder}"])[1].model, key) == value


def test_what_only_a_manifest_names_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: pytest.fail("asked the hub"))
    folder = _manifest(tmp_path, Model(path="owner/name", revision="r1"))
    with pytest.raises(ConfigError, match=r"'owner/name' of the hub at revision 'r1' .* say model\.path=owner/name$"):
        with_adapter([f"adapter={folder}"])
    assert with_adapter([f"adapter={folder}", "model.path=owner/name"])[1].model.revision == "r1"
    assert with_adapter([f"adapter={folder}", "model.path=other/name"])[1].model == Model(path="other/name")


def test_a_base_of_the_hub_that_is_here_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _manifest(tmp_path, Model(path="owner/name"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: "/cache/config.json")
    assert with_adapter([f"adapter={folder}"])[1].model.path == "owner/name"


@pytest.mark.parametrize("text", ["{", "[1]", '{"files": {}, "model": "x"}', '{"files": {}, "step": "y"}', "[" * 10**5])
def test_a_manifest_of_another_shape_is_one_line(text: str, tmp_path: Path) -> None:
    (_files(tmp_path) / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=r"manifest\.json cannot be read: ") as caught:
        with_adapter([f"adapter={tmp_path}"])
    assert "\n" not in str(caught.value)


def test_a_chosen_model_is_taken_whole(tmp_path: Path) -> None:
    folder = _manifest(tmp_path, Model(path="./a", quantize=4))
    assert with_adapter([f"adapter={folder}", "model=starter"])[1].model.quantize is None


def test_held_out_rows_are_the_only_data(tmp_path: Path) -> None:
    folder = _manifest(tmp_path, Model(path="./a/b"))
    _, run = with_adapter([f"adapter={folder}", "data.valid=v.jsonl"], held_out=True)
    assert (run.data.valid, run.data.valid_share) == ("v.jsonl", 0)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "say which adapter"),
        (["adapter=/nowhere"], "no such directory"),
        (["adapter={}"], "say model.path"),
        (["adapter={}/empty"], "has no adapter_config.json and no adapters.safetensors; is it an adapter's"),
        (["adapter={}/run", "model.path=a/b"], r"has no .*; did you mean adapter=.*/run/adapter\?"),
    ],
)
def test_what_is_missing_is_said(overrides: list[str], words: str, tmp_path: Path) -> None:
    _files(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    _files(tmp_path / "run/adapter")
    with pytest.raises(ConfigError, match=words):
        with_adapter([o.format(tmp_path) for o in overrides])


def _with_template(folder: Path, text: str, **manifest: object) -> Path:
    _files(folder)
    (folder / TEMPLATE).write_text(text)
    said = {"files": {TEMPLATE: file_digest(folder / TEMPLATE)}, "model": {"path": "./a/b"}, **manifest}
    (folder / "manifest.json").write_text(json.dumps(said))
    return folder


def test_rows_are_rendered_as_they_were_when_it_was_trained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _with_template(tmp_path / "a", "{{ messages }}", template_kwargs={"brief": True})
    typed = [f"adapter={folder}", "data.valid=v.jsonl"]
    data = with_adapter(typed, held_out=True)[1].data
    assert (data.template, data.template_kwargs) == (str(folder / TEMPLATE), {"brief": True})
    assert not caplog.records
    (tmp_path / "same.jinja").write_text("{{ messages }}")
    (tmp_path / "other.jinja").write_text("{{ messages[0] }}")
    for name, said in (("same", 0), ("other", 1)):
        caplog.clear()
        data = with_adapter([*typed, f"data.template={tmp_path}/{name}.jinja"], held_out=True)[1].data
        assert (data.template, len(caplog.records)) == (f"{tmp_path}/{name}.jinja", said)
    data = with_adapter([*typed, "data.template_kwargs={brief:false}"], held_out=True)[1].data
    assert data.template_kwargs == {"brief": False}
    assert "not what the adapter was trained with" in caplog.text


def test_a_template_that_the_manifest_does_not_know_is_refused(tmp_path: Path) -> None:
    folder = _with_template(tmp_path / "a", "{{ messages }}")
    (folder / TEMPLATE).write_text("{{ another }}")
    with pytest.raises(ConfigError, match=r"chat_template\.jinja is not the one that its manifest\.json knows"):
        with_adapter([f"adapter={folder}", "data.valid=v.jsonl"], held_out=True)
