import pytest

from tasks.check import Subject
from tasks.check.files import check
from tests.adapter.damage import flip_last_byte


def test_what_was_saved_is_whole(trained):
    assert check(Subject(*trained())) == (True, "4 files hold the bytes they were saved with")


@pytest.mark.parametrize("name", ["adapters.safetensors", "adapter_config.json", "base.json", "probe.safetensors"])
def test_another_byte_and_a_missing_file_are_named(name, damaged, trained):
    subject = Subject(damaged, trained()[1])
    flip_last_byte(damaged / name)
    assert check(subject) == (False, f"{name}: other bytes than when it was saved, or missing")
    (damaged / name).unlink()
    assert check(subject).detail.startswith(f"{name}: ")


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_without_a_manifest_nothing_can_be_said(text, damaged, trained):
    (damaged / "manifest.json").unlink() if text is None else (damaged / "manifest.json").write_text(text)
    finding = check(Subject(damaged, trained()[1]))
    assert (finding.passed, "no manifest.json" in finding.detail) == (False, True)
