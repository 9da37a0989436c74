import json
import shutil

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten, tree_map

from tasks.errors import ModelError
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.model import Model
from tasks.model.base import load_base, load_tokenizer, local_folder, shared_base, tokenizer_fingerprint
from tests.families.configs import build
from tests.families.course import write_family
from tests.tiny import arrays, same, token_ids, write_model


@pytest.fixture
def folder(model_folder, tmp_path):
    """A copy of the tiny qwen3, to be spoiled."""
    return shutil.copytree(model_folder("qwen3"), tmp_path / "model")


def refused(folder, load=load_base, **settings) -> str:
    with pytest.raises(ModelError) as caught:
        load(Model(path=str(folder), **settings))
    assert repr(str(folder)) in str(caught.value)
    return str(caught.value)


def test_a_base_is_frozen_and_in_evaluation_mode(model_folder):
    base = load_base(Model(path=str(model_folder("qwen3"))))
    assert not arrays(base.model.trainable_parameters())
    assert not any(module.training for module in base.model.modules())
    assert base.config["model_type"] == "qwen3"


def test_a_family_whose_constructor_forgets_to_prepare_freezing_is_frozen(tmp_path):
    folder = write_family(tmp_path / "model", "recurrent_gemma", build("recurrent_gemma"))
    assert not tree_flatten(load_base(Model(path=str(folder))).model.trainable_parameters())


def test_it_is_what_mlx_lm_loads(model_folder):
    from mlx_lm.utils import load

    path = str(model_folder("qwen3"))
    assert same(load_base(Model(path=path)).model(token_ids()), load(path)[0](token_ids()))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtype_casts_every_float(model_folder, dtype):
    parameters = arrays(load_base(Model(path=str(model_folder("qwen3")), dtype=dtype)).model.parameters())
    assert {array.dtype for array in parameters.values()} == {getattr(mx, dtype)}


def test_auto_keeps_the_file_s_dtype(model_folder):
    parameters = arrays(load_base(Model(path=str(model_folder("qwen3", dtype="bfloat16")))).model.parameters())
    assert {array.dtype for array in parameters.values()} == {mx.bfloat16}


def test_dtype_leaves_packed_weights_alone(model_folder):
    parameters = arrays(load_base(Model(path=str(model_folder("qwen3", bits=4)), dtype="bfloat16")).model.parameters())
    projection = "model.layers.0.self_attn.q_proj"
    assert parameters[f"{projection}.weight"].dtype == mx.uint32
    assert parameters[f"{projection}.scales"].dtype == mx.bfloat16


def test_quantize_at_load_is_the_file_that_mlx_lm_would_write(model_folder):
    ours = load_base(Model(path=str(model_folder("qwen3")), quantize=4)).model
    theirs = load_base(Model(path=str(model_folder("qwen3", bits=4)))).model
    assert same(ours(token_ids()), theirs(token_ids()))


@pytest.mark.parametrize("settings", [{}, {"quantize": 4, "group_size": 32}, {"dtype": "bfloat16"}])
def test_shared_bases_hold_the_same_arrays_in_trees_of_their_own(model_folder, settings):
    source = Model(path=str(model_folder("qwen3")), **settings)
    alone = load_base(source).model
    with shared_base():
        first, second = load_base(source).model, load_base(source).model
        assert first is not second
        assert arrays(first.parameters()).keys() == arrays(alone.parameters()).keys()
        for name, array in arrays(first.parameters()).items():
            assert arrays(second.parameters())[name] is array, name
        assert same(first(token_ids()), alone(token_ids()))
        attach(first, LoRA(rank=2, alpha=2.0, targets=("self_attn.q_proj",)))
        first.update(tree_map(lambda x: x + 1, first.trainable_parameters()))
        third = load_base(source).model
        assert not [name for name in arrays(third.parameters()) if "lora" in name]
        assert same(third(token_ids()), alone(token_ids()))
        other = load_base(Model(path=source.path, dtype="float16")).model
        assert mx.float16 in {array.dtype for array in arrays(other.parameters()).values()}
    assert arrays(load_base(source).model.parameters()).keys() == arrays(alone.parameters()).keys()


def test_no_such_folder(tmp_path):
    message = refused(tmp_path / "absent")
    assert "there is no such folder, and it is no hub id (owner/name)" in message


@pytest.mark.parametrize("path", ["./absent", "~/absent-model", "a/b/c", "qwen3"])
def test_what_cannot_be_a_hub_id_is_not_asked_for(path):
    assert "there is no such folder" in refused(path)


def test_a_file_is_no_hub_id_though_it_looks_like_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner/name").touch()
    assert "this is a file; name the folder" in refused("owner/name", local_folder)


def test_a_hub_id_is_no_folder_and_is_not_loaded_to_find_out():
    assert local_folder(Model(path="owner/name")) is None


def test_a_hub_that_gives_nothing_says_why(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network here\nsecond line")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    assert "the hub gave none: no network here; with a network, hf download owner/name" in refused("owner/name")


def test_no_config(folder):
    (folder / "config.json").unlink()
    assert f"no config.json in {folder}" in refused(folder)


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    assert f"no weights (model*.safetensors) in {folder}" in refused(folder)


@pytest.mark.parametrize("text", ["{not json", "[]", "{}", '{"model_type": "qwen3"}', '{"model_type": 3}', "null"])
def test_a_garbage_config(folder, text):
    (folder / "config.json").write_text(text)
    assert "cannot be loaded: " in refused(folder)


def test_a_config_without_a_model_type_says_so(folder):
    (folder / "config.json").write_text('{"hidden_size": 64}')
    assert "config.json names no model_type" in refused(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_file": "evil.py"}, "names code of its own (evil.py), which is never run"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers=1000000000, its files have 35 tensors"),
        ({"vocab_size": 10**12}, "cannot be loaded: "),
        ({"num_attention_heads": 0}, "cannot be loaded: "),
    ],
)
def test_a_hostile_config_is_one_line(change, said, folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    assert said in refused(folder)


def test_an_unknown_architecture_is_named(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "qwen99"}))
    assert "cannot be loaded: Model type qwen99 not supported" in refused(folder)


def test_weights_of_another_shape_are_named(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 256}))
    assert "mlp.gate_proj.weight" in refused(folder)


def test_a_missing_weight_is_named(folder):
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.eval(weights)
    del weights["model.layers.1.mlp.up_proj.weight"]
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    assert "model.layers.1.mlp.up_proj.weight" in refused(folder)


def test_weights_that_are_no_weights(folder):
    (folder / "model.safetensors").write_bytes(b"nothing of the kind")
    assert "cannot be loaded: " in refused(folder)


def test_quantizing_what_is_quantized(model_folder):
    path = model_folder("qwen3", bits=4)
    assert "is quantized already; leave it null" in refused(path, quantize=8)


def test_a_group_size_that_divides_nothing(model_folder):
    # Every row of llama's tiny weights is 64 or 128 long but those of width 64 alone; 128 divides down_proj's.
    model = load_base(Model(path=str(model_folder("llama")), quantize=4, group_size=128)).model
    quantized = {name for name, array in arrays(model.parameters()).items() if name.endswith("scales")}
    assert quantized == {f"model.layers.{n}.mlp.down_proj.scales" for n in (0, 1)}


def test_no_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert f"no tokenizer can be read from {folder}" in refused(folder, load_tokenizer)


def test_the_ends_of_an_answer_are_the_tokenizer_s_and_the_model_s(folder):
    assert load_tokenizer(Model(path=str(folder))).eos_token_ids == {256, 258}
    (folder / "generation_config.json").write_text('{"eos_token_id": [65]}')
    assert load_tokenizer(Model(path=str(folder))).eos_token_ids == {256, 65}


def test_the_tokenizer_s_fingerprint_follows_its_files_alone(folder, model_folder, tmp_path):
    first = tokenizer_fingerprint(Model(path=str(folder)))
    assert first == tokenizer_fingerprint(Model(path=str(model_folder("llama"))))
    assert first == tokenizer_fingerprint(Model(path=str(write_model(tmp_path / "other", "qwen3", seed=9))))
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert first != tokenizer_fingerprint(Model(path=str(folder)))
