import mlx.core as mx

from tasks.check import Subject
from tasks.check.resave_bytes import check
from tests.adapter.damage import read


def test_the_same_adapter_is_the_same_file(trained):
    finding = check(Subject(*trained()))
    assert finding.passed
    assert finding.detail.endswith("saved again: the same")


def test_another_order_of_the_same_tensors_is_another_file(damaged, trained):
    """Nothing but the bytes tells: each tensor is what its digest says."""
    mx.save_safetensors(str(damaged / "adapters.safetensors"), dict(reversed(read(damaged).items())))
    finding = check(Subject(damaged, trained()[1]))
    assert not finding.passed
    assert "saved again: now " in finding.detail
