from types import SimpleNamespace
from typing import Any, cast

import mlx.nn as nn
import pytest

from tasks.errors import ModelError, TargetError
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.family import ALIASES, UNTRAINABLE, blocks, model_type, projections, select_projections
from tests.families.configs import build
from tests.tiny import COMMON, FAMILIES, tiny_model

ATTENTION = [f"self_attn.{name}" for name in ("k_proj", "o_proj", "q_proj", "v_proj")]
MLP = [f"mlp.{name}" for name in ("down_proj", "gate_proj", "up_proj")]
EXPERTS = [f"mlp.switch_mlp.{name}" for name in ("down_proj", "gate_proj", "up_proj")]
ALL = {
    "qwen3": MLP + ATTENTION,
    "qwen3_moe": EXPERTS + ATTENTION,
    "gemma3_text": MLP + ATTENTION,
    "llama": MLP + ATTENTION,
}


@pytest.mark.parametrize("quantize", [None, 4])
@pytest.mark.parametrize("family", ALL)
def test_the_default_is_every_projection_but_routers(family, quantize, model_folder):
    model = load_base(Model(path=str(model_folder(family)), quantize=quantize)).model
    prefix, found = blocks(model)
    assert (prefix, len(found)) == ("model.layers", FAMILIES[family].get("num_hidden_layers", 2))
    assert model_type(model) == family
    assert select_projections(model, ["all"]) == ALL[family]
    kinds = {type(module).__name__ for module in projections(found[0]).values()}
    assert all(kind.startswith("Quantized") for kind in kinds) is (quantize is not None)


@pytest.mark.parametrize("quantize", [None, 4])
@pytest.mark.parametrize("family", ALL)
def test_targets_override_the_default(family, quantize, model_folder):
    model = load_base(Model(path=str(model_folder(family)), quantize=quantize)).model
    assert select_projections(model, ["v_proj", "q_proj"]) == ["self_attn.q_proj", "self_attn.v_proj"]
    assert select_projections(model, ["self_attn.q_proj"]) == ["self_attn.q_proj"]


def test_a_router_is_adapted_when_named():
    model = tiny_model("qwen3_moe")
    assert "mlp.gate" in projections(model.layers[0])
    assert select_projections(model, ["gate"]) == ["mlp.gate"]


def test_blocks_under_a_language_model():
    text = {**COMMON, **FAMILIES["gemma3_text"], "model_type": "gemma3_text"}
    from mlx_lm.models.gemma3 import Model as Gemma3
    from mlx_lm.models.gemma3 import ModelArgs

    model = Gemma3(ModelArgs(model_type="gemma3", text_config=text, vocab_size=320))
    assert blocks(model)[0] == "language_model.model.layers"
    names = attach(model, LoRA(rank=2, alpha=2.0, targets=("q_proj",)))
    assert names[0] == "language_model.model.layers.0.self_attn.q_proj"


def test_last_blocks_are_those_at_the_end():
    model = tiny_model("qwen3")
    names = attach(model, LoRA(rank=2, targets=("q_proj",), last_blocks=2))
    assert names == [f"model.layers.{n}.self_attn.q_proj" for n in (1, 2)]


def test_blocks_of_two_sorts_are_all_looked_at():
    """Here the first block is dense and the second a mixture of experts: a target need not be in every block."""
    model = tiny_model("qwen3_moe", mlp_only_layers=[0])
    assert select_projections(model, ["all"]) == sorted([*MLP, *EXPERTS, *ATTENTION])
    assert select_projections(model, ["up_proj"]) == ["mlp.switch_mlp.up_proj", "mlp.up_proj"]
    assert select_projections(model, ["up_proj"], 1) == ["mlp.switch_mlp.up_proj"]


def test_a_target_that_matches_nothing_lists_what_there_is():
    with pytest.raises(TargetError) as caught:
        select_projections(tiny_model("qwen3"), ["q_proj", "qproj", "wo"])
    assert str(caught.value) == (
        "no projection 'qproj', 'wo' in the blocks of qwen3; choose from down_proj, gate_proj, up_proj, k_proj, "
        "o_proj, q_proj, v_proj (did you mean q_proj?)"
    )


def test_more_last_blocks_than_there_are():
    with pytest.raises(TargetError, match=r"lora\.last_blocks=4, but the qwen3 model has 3"):
        select_projections(tiny_model("qwen3"), ["all"], 4)


def test_the_usual_names_find_a_family_s_own():
    model = tiny_model("phi3")
    assert select_projections(model, ["q_proj"]) == ["self_attn.qkv_proj"]
    assert select_projections(model, ["q_proj", "v_proj", "up_proj"]) == ["mlp.gate_up_proj", "self_attn.qkv_proj"]
    assert select_projections(model, ["qkv_proj"]) == ["self_attn.qkv_proj"]


@pytest.mark.parametrize("family", [f for f in ALIASES if f != "phi3"])
def test_each_alias_names_a_projection_of_its_family(family):
    """The smallest model that mlx-lm builds of the family."""
    import importlib

    sizes = {
        "gpt2": {"n_ctx": 8, "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 8, "layer_norm_epsilon": 1e-5},
        "gpt_neox": {
            **{"max_position_embeddings": 8, "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1},
            **{"layer_norm_eps": 1e-5, "rotary_emb_base": 10000, "rotary_pct": 0.25},
        },
        "internlm2": {
            **{"hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 16, "num_attention_heads": 2},
            **{"rms_norm_eps": 1e-6, "num_key_value_heads": 1},
        },
    }
    module = importlib.import_module(f"mlx_lm.models.{family}")
    model = module.Model(module.ModelArgs.from_dict({**sizes[family], "vocab_size": 16, "model_type": family}))
    for usual, own in ALIASES[family].items():
        assert {path.rpartition(".")[2] for path in select_projections(model, [usual])} == {own}


def test_a_model_without_blocks():
    with pytest.raises(ModelError, match="the Linear model has no list of blocks called 'layers'"):
        blocks(nn.Linear(2, 2))


def test_blocks_in_which_nothing_can_be_adapted_are_refused():
    class Blocks(nn.Module):
        def __init__(self):
            super().__init__()
            self.model_type = "bitnet"
            self.layers = [nn.RMSNorm(4)]

    with pytest.raises(TargetError, match="nothing in the blocks of bitnet can be adapted"):
        select_projections(Blocks(), ["all"])


@pytest.mark.parametrize("family", UNTRAINABLE)
def test_a_family_without_a_right_gradient_is_refused(family):
    model = SimpleNamespace(model_type=family)
    with pytest.raises(ModelError, match=rf"{family} cannot be trained with this mlx-lm: it"):
        select_projections(cast(Any, model), ["all"])


def test_blocks_in_several_lists_are_refused():
    with pytest.raises(ModelError, match="afm7 model keeps its blocks in several lists"):
        blocks(build("afm7"))
