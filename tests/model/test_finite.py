"""A weight that is no number is named by file and tensor before anything is trained."""

import shutil
from pathlib import Path

import mlx.core as mx
import pytest

from tasks.errors import ModelError
from tasks.inject import inject
from tasks.lora import LoRA
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.finite import require_finite

Q = "model.layers.1.self_attn.q_proj.weight"


def poisoned(folder: Path, to: Path, value: float) -> Model:
    weights = mx.load(str(Path(shutil.copytree(folder, to)) / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.eval(weights)
    weights[Q][3, 5] = value
    mx.save_safetensors(str(to / "model.safetensors"), weights, metadata={"format": "mlx"})
    return Model(path=str(to))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_it_is_named_by_file_and_tensor(value, model_folder, tmp_path):
    source = poisoned(model_folder(), tmp_path / "model", value)
    with pytest.raises(ModelError, match=rf"model\.safetensors: {Q} contains NaN or an infinite number; every loss"):
        inject.fn(source, LoRA(rank=2), 0, tmp_path / "start")
    assert not (tmp_path / "start").exists()


def test_a_cast_that_overflows_is_said(model_folder, tmp_path):
    source = poisoned(model_folder(), tmp_path / "model", 1e30)
    require_finite(load_base(source))
    with pytest.raises(ModelError, match=r"an infinite number as float16 \(model\.dtype\)"):
        require_finite(load_base(source.model_copy(update={"dtype": "float16"})))


@pytest.mark.parametrize("bits", [None, 4])
def test_a_sound_base_is_sound(bits, model_folder):
    require_finite(load_base(Model(path=str(model_folder(bits=bits)))))
