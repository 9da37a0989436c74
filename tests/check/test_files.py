import json

import pytest

from tasks.artifact import file_digest
from tasks.check import Subject
from tasks.check.files import check
from tests.adapter.damage import flip_last_byte


def test_what_was_saved_is_whole(trained):
    assert check(Subject(*trained())) == (True, "4 files have the bytes they were saved with")


@pytest.mark.parametrize("name", ["adapters.safetensors", "adapter_config.json", "base.json", "probe.safetensors"])
def test_another_byte_and_a_missing_file_are_named(name, damaged, trained):
    subject = Subject(damaged, trained()[1])
    flip_last_byte(damaged / name)
    said = f"{name}: other bytes than when it was saved, or missing"
    last = " (model.layers.2.self_attn.v_proj.lora_b)" if name == "adapters.safetensors" else ""
    assert check(subject) == (False, said + last)
    (damaged / name).unlink()
    assert check(subject).detail.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("text", "said"), [(None, "no manifest.json"), ("{", "cannot be read"), ("{}", "'files': Field required")]
)
def test_without_a_manifest_nothing_can_be_said(text, said, damaged, trained):
    (damaged / "manifest.json").unlink() if text is None else (damaged / "manifest.json").write_text(text)
    finding = check(Subject(damaged, trained()[1]))
    assert (finding.passed, said in finding.detail) == (False, True)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "\0", "n" * 5000, ""])
def test_a_file_elsewhere_is_not_looked_at(name, damaged, trained):
    (damaged.parent / "secret").write_text("x")
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["files"][name] = file_digest(damaged.parent / "secret")
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    finding = check(Subject(damaged, trained()[1]))
    assert not finding.passed
    assert len(finding.detail) < 400
    assert finding.detail.isprintable()
