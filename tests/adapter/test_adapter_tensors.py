import mlx.core as mx
import pytest

from tasks.adapter.adapter_tensors import changed_tensors, read_tensors, tensor_digest, tensor_info
from tests.adapter.damage import Q, rewrite
from tests.tiny import same


def test_only_what_is_wanted_and_fits_is_read(damaged):
    found = tensor_info(damaged)
    assert found[f"{Q}.lora_a"] == ("F32", (64, 4))
    assert set(read_tensors(damaged)) == set(found)
    assert set(read_tensors(damaged, {f"{Q}.lora_a": (64, 4), f"{Q}.lora_b": (9, 9), "x": (1,)})) == {f"{Q}.lora_a"}


def test_a_changed_tensor_is_named(damaged):
    digests = {name: tensor_digest(array) for name, array in read_tensors(damaged).items()}
    assert changed_tensors(damaged, digests) == []
    rewrite(damaged, change=lambda t: t.update({f"{Q}.lora_b": t[f"{Q}.lora_b"] + 1}))
    assert changed_tensors(damaged, digests) == [f"{Q}.lora_b"]
    (damaged / "adapters.safetensors").write_bytes(b"torn")
    assert changed_tensors(damaged, digests) == []


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_precision_is_read_as_it_is(dtype, damaged):
    rewrite(damaged, change=lambda t: t.update({f"{Q}.lora_a": mx.ones((64, 4), dtype)}))
    assert same(read_tensors(damaged)[f"{Q}.lora_a"], mx.ones((64, 4), dtype))
