"""An adapter on a base: what does not fit is refused by name, and mlx-lm's own adapters load."""

import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.tuner.utils import linear_to_lora_layers

from tasks.adapter import load_adapter
from tasks.errors import AdapterError, GraftlineError, TargetError
from tasks.lora import LoRA
from tasks.lora.attach import adapted_layers
from tasks.model import Model
from tasks.model.base import load_base
from tests.adapter.damage import DAMAGE, Q, read
from tests.adapter.saving import FAMILIES, saved
from tests.tiny import arrays, token_ids, write_model


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_adapter_is_refused_by_name(damage, damaged, model_folder):
    harm, words = DAMAGE[damage]
    harm(damaged)
    with pytest.raises(AdapterError) as caught:
        load_adapter(damaged, load_base(Model(path=str(model_folder()))).model)
    assert str(caught.value).startswith(f"adapter at {damaged}: ")
    assert words in str(caught.value)


def test_every_problem_is_told_at_once_but_not_at_any_length(damaged, model_folder, tmp_path):
    with pytest.raises(AdapterError) as caught:
        load_adapter(damaged, load_base(Model(path=str(write_model(tmp_path / "wide", "qwen3", seed=1)))).model)
    message = str(caught.value)
    assert "base parameters are not those it was trained on" in message
    assert message.count(" was float32 ") == 4
    assert message.endswith("; ...")


def _poison(folder: Path, change) -> Path:
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.eval(weights)
    change(weights)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return folder


def _one_weight(weights: dict[str, mx.array]) -> None:
    weights[f"{Q}.weight"][3, 5] *= 1.0001


def _two_rows_exchanged(weights: dict[str, mx.array]) -> None:
    rows = weights[f"{Q}.weight"]
    weights[f"{Q}.weight"] = mx.concatenate([rows[1:2], rows[:1], rows[2:]])


@pytest.mark.parametrize("change", [_one_weight, _two_rows_exchanged])
def test_another_base_is_refused_by_name(change, damaged, model_folder, tmp_path):
    other = _poison(shutil.copytree(model_folder(), tmp_path / "other"), change)
    with pytest.raises(
        AdapterError, match=rf"1 of \d+ base parameters .*: {Q}\.weight was float32 64x64 \w+, is float32"
    ):
        load_adapter(damaged, load_base(Model(path=str(other))).model)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"quantize": 4}, "embed_tokens.biases was absent"), ({"dtype": "bfloat16"}, "was float32 320x64")],
)
def test_the_same_base_otherwise_loaded_is_refused(settings, words, damaged, model_folder):
    with pytest.raises(AdapterError, match=words):
        load_adapter(damaged, load_base(Model(path=str(model_folder()), **settings)).model)


@pytest.mark.parametrize(
    ("family", "error"), [("llama", AdapterError), ("qwen3_moe", GraftlineError), ("phi3", TargetError)]
)
def test_another_architecture_is_refused(family, error, damaged, model_folder):
    with pytest.raises(error) as caught:
        load_adapter(damaged, load_base(Model(path=str(model_folder(family)))).model)
    assert "_proj" in str(caught.value)


def test_no_such_directory(model_folder, tmp_path):
    with pytest.raises(AdapterError, match="there is no such directory"):
        load_adapter(tmp_path / "absent", load_base(Model(path=str(model_folder()))).model)


@pytest.mark.parametrize("keys", [None, ["self_attn.q_proj", "self_attn.v_proj"]])
@pytest.mark.parametrize("layers", [1, 16, -1])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_of_mlx_lm_loads(family, layers, keys, model_folder, tmp_path):
    """As `mlx_lm.lora` writes it: no manifest, by default without keys, which is every linear map, routers too."""
    model = load_base(Model(path=str(model_folder(family)))).model
    parameters = {"rank": 4, "scale": 20.0, "dropout": 0.1} | ({"keys": keys} if keys else {})
    linear_to_lora_layers(model, layers, parameters)
    tensors = {n: mx.random.normal(a.shape) for n, a in arrays(model.trainable_parameters()).items()}
    model.load_weights(list(tensors.items()), strict=False)
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), tensors)
    config = {"fine_tune_type": "lora", "num_layers": layers, "lora_parameters": parameters}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    model.eval()

    ours = load_base(Model(path=str(model_folder(family)))).model
    adapter = load_adapter(tmp_path, ours)
    assert (adapter.rank, adapter.scale, adapter.step) == (4, 20.0, 0)
    assert set(arrays(ours.trainable_parameters())) == set(tensors)
    assert mx.allclose(ours(token_ids()), model(token_ids()), rtol=1e-4, atol=1e-4)


def test_an_adapter_in_half_precision_is_trained_on_in_float32(model_folder, tmp_path):
    saved(tmp_path / "a", Model(path=str(model_folder())))
    tensors = {name: array.astype(mx.float16) for name, array in read(tmp_path / "a").items()}
    mx.save_safetensors(str(tmp_path / "a" / "adapters.safetensors"), tensors)
    (tmp_path / "a" / "manifest.json").unlink()
    model = load_base(Model(path=str(model_folder()))).model
    load_adapter(tmp_path / "a", model, rule=LoRA(rank=4, alpha=8.0, dropout=0.1))
    assert {array.dtype for array in arrays(model.trainable_parameters()).values()} == {mx.float32}
    assert {layer.dropout for layer in adapted_layers(model).values()} == {0.1}
