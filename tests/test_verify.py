import json

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tasks.artifact import file_digest
from tasks.check import CHECKS
from tasks.errors import Interrupted
from tasks.model import Model
from tasks.settings import Check, Verify
from tasks.verify import NOT_RUN, CheckResult, Verdict, verify
from tests.adapter.damage import DAMAGE, Q, read, rewrite
from tests.tiny import write_model

ALL = Verify(checks=tuple(CHECKS))
GOOD = {
    "qwen3": ("qwen3", {}),
    "qwen3_moe": ("qwen3_moe", {}),
    "gemma3_text": ("gemma3_text", {}),
    "llama": ("llama", {}),
    "quantized at load": ("qwen3", {"quantize": 4}),
    "quantized on disk": ("qwen3", {"bits": 4}),
    "bfloat16": ("qwen3", {"dtype": "bfloat16"}),
    "quantized mixture": ("qwen3_moe", {"quantize": 4}),
}
LOADING = set(CHECKS) - {"files"}
"""The checks that cannot even begin where the adapter does not load."""


def failed(verdict: Verdict) -> set[str]:
    assert verdict.passed is all(check.passed for check in verdict.checks)
    return {check.name for check in verdict.checks if not check.passed}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_adapter_passes_every_check(name, trained):
    family, options = GOOD[name]
    path, source = trained(family, **options)
    verdict = verify.fn(path, source, ALL)
    assert verdict.passed, verdict.failures()
    assert [check.name for check in verdict.checks] == list(CHECKS)


@pytest.mark.parametrize("damage", DAMAGE)
def test_nothing_is_run_on_damaged_files(damage, damaged, trained, monkeypatch):
    harm, _ = DAMAGE[damage]
    harm(damaged)
    monkeypatch.setattr("tasks.check.subject.load_base", lambda *_: pytest.fail("loaded"))
    verdict = verify.fn(damaged, trained()[1], ALL)
    assert failed(verdict) == set(CHECKS)
    assert {check.detail for check in verdict.checks if check.name != "files"} == {NOT_RUN}
    assert "other bytes than when it was saved" in verdict.failures()


def test_without_a_manifest_the_others_fail_in_the_loader_s_words(damaged, trained):
    harm, words = DAMAGE["a wrong shape"]
    harm(damaged)
    (damaged / "manifest.json").unlink()
    verdict = verify.fn(damaged, trained()[1], ALL)
    assert failed(verdict) == set(CHECKS)
    assert all(words in check.detail for check in verdict.checks if check.name in LOADING)


def _another_order(adapter):
    mx.save_safetensors(str(adapter / "adapters.safetensors"), dict(reversed(read(adapter).items())))


def _strength(adapter):
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["lora_parameters"]["scale"] *= 1.01
    (adapter / "adapter_config.json").write_text(json.dumps(config))


def _reseal(adapter):
    """Makes every digest fit: only what the model says gives it away."""
    manifest = json.loads((adapter / "manifest.json").read_text())
    files = [path for path in adapter.iterdir() if path.name != "manifest.json"]
    manifest["files"] = {path.name: file_digest(path) for path in files}
    del manifest["tensors"]
    (adapter / "manifest.json").write_text(json.dumps(manifest))


ONE_CHECK_SEES_IT = {
    "no probe": (lambda a: (a / "probe.safetensors").unlink(), {"reload_logits"}),
    "no base.json": (lambda a: (a / "base.json").unlink(), {"frozen_base"}),
    "another strength": (_strength, {"reload_logits"}),
    "another order": (_another_order, {"resave_bytes"}),
}


@pytest.mark.parametrize("damage", ONE_CHECK_SEES_IT)
def test_the_check_that_should_see_a_damage_does(damage, damaged, trained):
    harm, seen_by = ONE_CHECK_SEES_IT[damage]
    harm(damaged)
    _reseal(damaged)
    assert failed(verify.fn(damaged, trained()[1], ALL)) == seen_by


def test_without_a_manifest_the_files_alone_fail(damaged, trained):
    (damaged / "manifest.json").unlink()
    assert failed(verify.fn(damaged, trained()[1], ALL)) == {"files"}


def test_a_torn_probe_fails_what_runs_its_tokens(damaged, trained):
    (damaged / "probe.safetensors").write_bytes(b"torn")
    _reseal(damaged)
    found = failed(verify.fn(damaged, trained()[1], ALL))
    assert {"reload_logits", "mlx_lm_logits"} <= found <= LOADING


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": 2**31 - 1}, "it has token id 2147483647, the model's end at 319"),
        ({"tokens": -(10**6)}, "it has token id -1000000, the model's end at 319"),
        ({"tokens": 320}, "it has token id 320"),
        ({"length": 600}, "it has 600 tokens, the model takes 512"),
        ({"dtype": np.int64}, "its tokens are I64"),
        ({"shape": (2, 24)}, "its tokens are I32 (2, 24)"),
        ({"length": 0}, "it has 0 tokens"),
    ],
)
def test_a_probe_that_the_model_cannot_run_is_never_run(change, said, damaged, trained):
    tensors = load_file(damaged / "probe.safetensors")
    length = change.get("length", 48)
    tokens = np.full(length, change.get("tokens", 1), change.get("dtype", np.int32)).reshape(change.get("shape", -1))
    logits = np.zeros((length, tensors["logits"].shape[1]), np.float32)
    save_file({"tokens": tokens, "logits": logits, "logsumexp": logits[:, 0].copy()}, damaged / "probe.safetensors")
    _reseal(damaged)
    verdict = verify.fn(damaged, trained()[1], ALL)
    details = {check.name: check.detail for check in verdict.checks if not check.passed}
    assert {"reload_logits", "mlx_lm_logits", "adjoint", "checkpoint_gradients"} == set(details)
    assert all(said in detail for detail in details.values())


def test_a_value_that_was_changed_and_sealed_again_is_seen_by_its_logits(damaged, trained):
    rewrite(damaged, change=lambda t: t.update({f"{Q}.lora_b": t[f"{Q}.lora_b"] + 0.1}))
    _reseal(damaged)
    assert "reload_logits" in failed(verify.fn(damaged, trained()[1], ALL)) <= {"reload_logits", "resave_bytes"}


def test_another_base_fails_the_check_of_the_base(trained, tmp_path):
    other = Model(path=str(write_model(tmp_path / "other", "qwen3", seed=5)))
    verdict = verify.fn(trained()[0], other, ALL)
    assert failed(verdict) == LOADING
    frozen = next(check for check in verdict.checks if check.name == "frozen_base")
    assert "base parameters are not those it was trained on" in frozen.detail


def test_checks_that_fail_for_one_reason_say_it_once():
    details: dict[Check, str] = {"files": "no manifest", "adjoint": "no file", "frozen_base": "no file"}
    results = tuple(CheckResult(name=name, passed=False, detail=detail) for name, detail in details.items())
    assert Verdict(passed=False, checks=results).failures() == "files: no manifest; adjoint, frozen_base: no file"


def test_an_adapter_that_is_not_there(trained, tmp_path):
    verdict = verify.fn(tmp_path / "absent", trained()[1], ALL)
    assert not verdict.passed
    assert "there is no such directory" in verdict.failures()


def test_the_checks_are_those_asked_for_in_their_order(trained, tmp_path):
    settings = Verify(checks=("resave_bytes", "files"))
    path, source = trained()
    verdict = verify.fn(path, source, settings, tmp_path / "verdict.json")
    assert [check.name for check in verdict.checks] == ["resave_bytes", "files"]
    assert json.loads((tmp_path / "verdict.json").read_text()) == verdict.model_dump(mode="json")


def test_a_check_that_fails_itself_is_a_finding(trained, monkeypatch):
    def fails(_):
        raise ValueError("no such primitive")

    monkeypatch.setitem(CHECKS, "reload_logits", fails)
    path, source = trained()
    verdict = verify.fn(path, source, Verify(checks=("files", "reload_logits")))
    assert failed(verdict) == {"reload_logits"}
    assert verdict.failures() == "reload_logits: the check itself failed (ValueError: no such primitive)"


def test_a_signal_is_no_finding(trained, monkeypatch):
    def stops(_):
        raise Interrupted("stopped", 15)

    monkeypatch.setitem(CHECKS, "files", stops)
    path, source = trained()
    with pytest.raises(Interrupted):
        verify.fn(path, source, Verify(checks=("files",)))
