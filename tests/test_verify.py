import json

import mlx.core as mx
import pytest

from tasks.artifact import file_digest
from tasks.check import CHECKS
from tasks.model import Model
from tasks.settings import Check, Verify
from tasks.verify import CheckResult, Verdict, verify
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
def test_a_damaged_one_fails_in_the_loader_s_words(damage, damaged, trained):
    harm, words = DAMAGE[damage]
    harm(damaged)
    verdict = verify.fn(damaged, trained()[1], ALL)
    assert failed(verdict) == set(CHECKS)
    assert all(words in check.detail for check in verdict.checks if check.name in LOADING)
    assert words in verdict.failures()


def _another_order(adapter):
    mx.save_safetensors(str(adapter / "adapters.safetensors"), dict(reversed(read(adapter).items())))


def _strength(adapter):
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["lora_parameters"]["scale"] *= 1.01
    (adapter / "adapter_config.json").write_text(json.dumps(config))


def _resealed(adapter):
    """Another value, and every digest made to fit: only what the model says gives it away."""
    rewrite(adapter, change=lambda t: t.update({f"{Q}.lora_b": t[f"{Q}.lora_b"] + 0.1}))
    manifest = json.loads((adapter / "manifest.json").read_text())
    manifest["files"]["adapters.safetensors"] = file_digest(adapter / "adapters.safetensors")
    del manifest["tensors"]
    (adapter / "manifest.json").write_text(json.dumps(manifest))


ONE_CHECK_SEES_IT = {
    "no manifest": (lambda a: (a / "manifest.json").unlink(), {"files"}),
    "no probe": (lambda a: (a / "probe.safetensors").unlink(), {"files", "reload_logits"}),
    "a torn probe": (lambda a: (a / "probe.safetensors").write_bytes(b"torn"), LOADING | {"files"}),
    "no base.json": (lambda a: (a / "base.json").unlink(), {"files", "frozen_base"}),
    "another strength": (_strength, {"files", "reload_logits"}),
    "another order": (_another_order, {"files", "resave_bytes"}),
}


@pytest.mark.parametrize("damage", ONE_CHECK_SEES_IT)
def test_the_check_that_should_see_a_damage_does(damage, damaged, trained):
    harm, seen_by = ONE_CHECK_SEES_IT[damage]
    harm(damaged)
    found = failed(verify.fn(damaged, trained()[1], ALL))
    if damage == "a torn probe":
        assert {"files", "reload_logits", "mlx_lm_logits"} <= found <= seen_by
    else:
        assert found == seen_by


def test_a_value_that_was_changed_and_sealed_again_is_seen_by_its_logits(damaged, trained):
    _resealed(damaged)
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
