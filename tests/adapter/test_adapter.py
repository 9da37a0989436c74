import json
from functools import partial

import mlx.core as mx
import pytest
from mlx_lm.utils import load

from tasks.adapter import base_fingerprint, load_adapter, read_adapter, save_adapter
from tasks.adapter.adapter_manifest import TEMPLATE, read_adapter_manifest
from tasks.artifact import damaged_files, file_digest, read_manifest
from tasks.errors import AdapterError
from tasks.lora import LoRA, RsLoRA
from tasks.model import Model
from tasks.model.base import load_base
from tests.adapter.damage import read
from tests.adapter.saving import FAMILIES, saved
from tests.tiny import arrays, attach_random, same, token_ids


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


def test_a_failed_save_leaves_nothing_and_keeps_what_stood_there(model_folder, tmp_path, monkeypatch):
    source = Model(path=str(model_folder()))
    _, before = saved(tmp_path / "a", source)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("tasks.adapter.adapter.base_checksums", fail)
    with pytest.raises(OSError, match="disk full"):
        saved(tmp_path / "a", source, seed=1)
    assert read_adapter(tmp_path / "a") == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_others_may_read_it(model_folder, tmp_path):
    saved(tmp_path / "a", Model(path=str(model_folder())))
    (tmp_path / "usual").write_text("")
    modes = {path.stat().st_mode for path in (tmp_path / "a").iterdir()}
    assert modes == {(tmp_path / "usual").stat().st_mode}


def test_the_base_has_a_fingerprint(model_folder, tmp_path):
    for name, source in {
        "a": Model(path=str(model_folder())),
        "b": Model(path=str(model_folder())),
        "c": Model(path=str(model_folder()), quantize=4),
    }.items():
        saved(tmp_path / name, source, seed=len(name) + ord(name))
    first, same_base, another = (base_fingerprint(tmp_path / name) for name in "abc")
    assert first == same_base != another


@pytest.mark.parametrize("there", [[], ["adapter_config.json"], ["adapters.safetensors"]])
def test_what_a_directory_lacks_is_said(there, tmp_path):
    for name in there:
        (tmp_path / name).write_text("{}")
    lacks = [name for name in ("adapter_config.json", "adapters.safetensors") if name not in there]
    with pytest.raises(AdapterError, match=f"it has no {' and no '.join(lacks)}; is it an adapter's directory"):
        read_adapter(tmp_path)


def test_the_chat_template_it_was_trained_with_lies_in_it(model_folder, tmp_path):
    model = load_base(source := Model(path=str(model_folder("qwen3")))).model
    attach_random(model, rule := LoRA(rank=4, alpha=8.0))
    save = partial(save_adapter, model=model, rule=rule, source=source, step=7, seed=0)
    save(tmp_path / "own", template="{{ messages }}", template_kwargs={"brief": True})
    save(tmp_path / "none")
    manifest = read_adapter_manifest(tmp_path / "own")
    assert manifest is not None
    assert manifest.files[TEMPLATE] == file_digest(tmp_path / "own" / TEMPLATE)
    assert manifest.template_kwargs == {"brief": True}
    assert not (tmp_path / "none" / TEMPLATE).exists()
    assert "template_kwargs" not in json.loads((tmp_path / "none" / "manifest.json").read_text())
