import pytest

from tasks.adapter import load_adapter
from tasks.artifact import read_manifest
from tasks.errors import TargetError
from tasks.inject import inject
from tasks.lora import LoRA, RsLoRA
from tasks.model import Model
from tasks.model.base import load_base
from tests.adapter.damage import read
from tests.tiny import same, token_ids


@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe", "gemma3_text", "llama", "phi3"])
def test_what_training_starts_from_is_the_base(family, model_folder, tmp_path):
    source = Model(path=str(model_folder(family)))
    adapter = inject.fn(source, LoRA(rank=4), 0, tmp_path / "start")
    model = load_base(source).model
    before = model(token_ids())
    load_adapter(tmp_path / "start", model)
    assert same(model(token_ids()), before)
    assert (adapter.step, adapter.scale, adapter.rank) == (0, 4.0, 4)
    assert any(array.any().item() for array in read(tmp_path / "start").values())


def test_same_seed_same_bytes(model_folder, tmp_path):
    source = Model(path=str(model_folder()))
    one, two, other = (inject.fn(source, LoRA(), seed, tmp_path / str(n)) for n, seed in enumerate((3, 3, 4)))
    assert one.sha256 == two.sha256 != other.sha256


def test_targets_and_blocks_are_those_of_the_rule(model_folder, tmp_path):
    rule = RsLoRA(rank=4, targets=("q_proj", "v_proj"), last_blocks=2)
    adapter = inject.fn(Model(path=str(model_folder())), rule, 0, tmp_path / "start")
    names = {name.rpartition(".")[0] for name in read(tmp_path / "start")}
    assert names == {f"model.layers.{n}.self_attn.{which}_proj" for n in (1, 2) for which in "qv"}
    assert (adapter.modules, adapter.scale) == (4, 8.0)
    manifest = read_manifest(tmp_path / "start")
    assert manifest is not None
    assert manifest["rule"] == rule.model_dump(mode="json")


def test_a_target_that_matches_nothing_writes_nothing(model_folder, tmp_path):
    with pytest.raises(TargetError, match="no projection 'qproj'"):
        inject.fn(Model(path=str(model_folder())), LoRA(targets=("qproj",)), 0, tmp_path / "start")
    assert list(tmp_path.iterdir()) == []
