"""What is loaded is what the index names: no tensor from two files, none missing, each problem by file and tensor."""

import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest

from tasks.errors import ModelError
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.weight_files import INDEX, only_these, weight_files
from tests.tiny import arrays, same, token_ids

Q = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def folder(model_folder, tmp_path) -> Path:
    """A copy of the tiny qwen3, in two shards with an index."""
    folder = Path(shutil.copytree(model_folder(), tmp_path / "model"))
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.eval(weights)
    names, places = sorted(weights), {}
    for n, part in enumerate((names[::2], names[1::2]), start=1):
        shard = f"model-0000{n}-of-00002.safetensors"
        mx.save_safetensors(str(folder / shard), {name: weights[name] for name in part})
        places |= dict.fromkeys(part, shard)
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_base(Model(path=str(folder)))
    assert str(caught.value).isprintable()
    return str(caught.value)


def ones(folder: Path, name: str) -> None:
    """A file of all the model's tensors, every number a one."""
    found = arrays(load_base(Model(path=str(folder))).model.parameters())
    mx.save_safetensors(str(folder / name), {name: mx.ones(array.shape) for name, array in found.items()})


def test_shards_are_the_model(folder, model_folder):
    whole, shards = (load_base(Model(path=str(path))).model for path in (model_folder(), folder))
    assert same(shards(token_ids()), whole(token_ids()))
    with only_these(folder, {*weight_files(folder).values()}) as tidy:
        assert tidy == folder


@pytest.mark.parametrize("name", ["model-old.safetensors", "model_backup.safetensors", "model.safetensors"])
def test_a_file_that_the_index_does_not_name_is_not_loaded(name, folder, model_folder):
    ones(folder, name)
    loaded = load_base(Model(path=str(folder))).model
    assert same(loaded(token_ids()), load_base(Model(path=str(model_folder()))).model(token_ids()))


def test_without_an_index_a_tensor_in_two_files_is_refused(model_folder, tmp_path):
    folder = Path(shutil.copytree(model_folder(), tmp_path / "model"))
    ones(folder, "model-old.safetensors")
    assert "is in two files, model-old.safetensors and model.safetensors; " in refused(folder)


def test_a_missing_shard_is_named(folder):
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert f"{INDEX} names model-00002-of-00002.safetensors, which is not there" in refused(folder)


def test_a_pointer_of_git_lfs_is_named(folder):
    (folder / "model-00001-of-00002.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 5\n")
    assert "model-00001-of-00002.safetensors cannot be read: it is a git-lfs pointer" in refused(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({Q: "../model.safetensors"}, "names a file outside the folder: ../model.safetensors"),
        ({Q: "/etc/passwd"}, "names a file outside the folder"),
        ({"absent": "model-00001-of-00002.safetensors"}, "names absent in model-00001-of-00002.safetensors, which"),
        ({Q: 5}, f"{INDEX} cannot be read: 'weight_map.{Q}'"),
    ],
)
def test_an_index_that_does_not_hold_is_named(change, said, folder):
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"].update(change)
    (folder / INDEX).write_text(json.dumps(index))
    assert said in refused(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[" * 100_000])
def test_an_index_of_another_shape_is_named(text, folder):
    (folder / INDEX).write_text(text)
    assert f"{INDEX} cannot be read: " in refused(folder)
