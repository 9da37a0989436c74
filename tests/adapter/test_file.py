import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load

from tasks.adapter import load_adapter, read_adapter, record_probe, save_adapter
from tasks.artifact import damaged_files, read_manifest
from tasks.errors import AdapterError, GraftlineError, TargetError
from tasks.lora import LoRA, RsLoRA
from tasks.lora.attach import adapted_layers
from tasks.model import Model
from tasks.model.load import load_base
from tests.adapter.damage import DAMAGE, Q, read
from tests.tiny import arrays, attach_random, same, token_ids, write_model

FAMILIES = ["qwen3", "qwen3_moe", "gemma3_text", "llama"]


def saved(folder: Path, source: Model, rule: LoRA | RsLoRA | None = None, seed: int = 0):
    """Attaches a random adapter to a base, saves it, and gives the model and what was saved."""
    rule = rule or LoRA(rank=4, alpha=8.0)
    model = load_base(source).model
    attach_random(model, seed=seed, rank=rule.rank, scale=rule.scale, last_blocks=rule.last_blocks)
    probe = record_probe(model, list(range(20)))
    return model, save_adapter(folder, model, rule=rule, source=source, step=7, seed=seed, probe=probe)


@pytest.mark.parametrize("quantize", [None, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_saved_is_what_is_loaded(family, quantize, model_folder, tmp_path):
    source = Model(path=str(model_folder(family)), quantize=quantize)
    model, adapter = saved(tmp_path / "a", source)
    fresh = load_base(source).model
    assert load_adapter(tmp_path / "a", fresh) == adapter == read_adapter(tmp_path / "a")
    assert same(fresh(token_ids()), model(token_ids()))
    assert set(arrays(fresh.trainable_parameters())) == set(read(tmp_path / "a"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_mlx_lm_loads_it_and_gives_the_same_logits(family, bits, dtype, model_folder, tmp_path):
    if family == "qwen3_moe" and dtype == "bfloat16" and mx.default_device() == mx.cpu:
        pytest.skip("MLX's CPU backend multiplies gathered experts in float32 only")
    folder = model_folder(family, dtype=dtype, bits=bits)
    model, _ = saved(tmp_path / "a", Model(path=str(folder)))
    theirs = load(str(folder), adapter_path=str(tmp_path / "a"))[0]
    left, right = theirs(token_ids()).astype(mx.float32), model(token_ids()).astype(mx.float32)
    gap, largest = mx.abs(left - right), float(mx.abs(right).max())
    if dtype == "float32":
        assert float(gap.max()) <= 1e-5 * largest
    else:  # mlx-lm keeps the adapter in float32, so roundings differ
        assert float(gap.mean()) <= 0.02 * largest


@pytest.mark.parametrize("rule", [LoRA(rank=4, last_blocks=2), RsLoRA(rank=4), LoRA(rank=1, alpha=1.0)], ids=repr)
def test_mlx_lm_reads_strength_and_blocks(rule, model_folder, tmp_path):
    model, _ = saved(tmp_path / "a", Model(path=str(model_folder())), rule)
    theirs = load(str(model_folder()), adapter_path=str(tmp_path / "a"))[0]
    assert mx.allclose(theirs(token_ids()), model(token_ids()), atol=1e-5)
    assert arrays(theirs.parameters()).keys() == arrays(model.parameters()).keys()


def test_saving_twice_gives_the_same_files(model_folder, tmp_path):
    source = Model(path=str(model_folder()))
    (_, one), (_, two) = saved(tmp_path / "a", source), saved(tmp_path / "b", source)
    assert one.sha256 == two.sha256
    assert {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()
    }


def test_a_loaded_adapter_saved_again_is_the_same_file(model_folder, tmp_path):
    source = Model(path=str(model_folder()))
    _, one = saved(tmp_path / "a", source)
    model = load_base(source).model
    load_adapter(tmp_path / "a", model)
    again = save_adapter(tmp_path / "b", model, rule=LoRA(rank=4, alpha=8.0), source=source, step=7, seed=0)
    assert again.sha256 == one.sha256


def test_the_tensors_stand_in_the_order_of_their_names(model_folder, tmp_path):
    saved(tmp_path / "a", Model(path=str(model_folder())))
    content = (tmp_path / "a" / "adapters.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    header.pop("__metadata__")
    by_place = sorted(header, key=lambda name: header[name]["data_offsets"])
    assert by_place == sorted(header)
    assert {tensor["dtype"] for tensor in header.values()} == {"F32"}


def test_what_it_says_of_itself(model_folder, tmp_path):
    model, adapter = saved(tmp_path / "a", Model(path=str(model_folder())))
    trainable = arrays(model.trainable_parameters())
    assert adapter.parameters == sum(array.size for array in trainable.values())
    assert (adapter.modules, adapter.rank, adapter.scale, adapter.step) == (21, 4, 2.0, 7)
    manifest = read_manifest(tmp_path / "a")
    assert manifest is not None
    assert (manifest["rule"]["kind"], manifest["model_type"], manifest["seed"]) == ("lora", "qwen3", 0)
    assert set(manifest["tensors"]) == set(trainable)
    assert set(manifest["files"]) == {"adapters.safetensors", "adapter_config.json", "base.json", "probe.safetensors"}
    assert not damaged_files(tmp_path / "a")


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


def test_a_failed_save_leaves_nothing_and_keeps_what_stood_there(model_folder, tmp_path, monkeypatch):
    source = Model(path=str(model_folder()))
    _, before = saved(tmp_path / "a", source)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("tasks.adapter.file.base_checksums", fail)
    with pytest.raises(OSError, match="disk full"):
        saved(tmp_path / "a", source, seed=1)
    assert read_adapter(tmp_path / "a") == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


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
    load_adapter(tmp_path / "a", model, dropout=0.1)
    assert {array.dtype for array in arrays(model.trainable_parameters()).values()} == {mx.float32}
    assert {layer.dropout for layer in adapted_layers(model).values()} == {0.1}
