"""Finds the blocks of a model and their linear projections, on the loaded model itself.

Every mlx-lm model offers its transformer blocks as `layers`, and a projection is a module of a linear type inside a
block. So a new family needs nothing here, unless its projections have names of its own: then ALIASES lets people
keep the usual ones.
"""

from collections.abc import Sequence

import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from tasks.errors import ModelError, TargetError, one_line, suggest

LINEAR = (nn.Linear, nn.QuantizedLinear, SwitchLinear, QuantizedSwitchLinear)
"""The module types that count as projections, dense and mixture-of-experts, quantized or not."""

ROUTERS = frozenset({"gate", "router", "shared_expert_gate", "prediction_coefs", "correction_coefs"})
"""Linear maps that choose experts or mix streams. They are adapted only when a target names them."""

ALIASES: dict[str, dict[str, str]] = {
    "gpt2": {"q_proj": "c_attn", "k_proj": "c_attn", "v_proj": "c_attn", "up_proj": "c_fc"},
    "gpt_neox": {
        "q_proj": "query_key_value",
        "k_proj": "query_key_value",
        "v_proj": "query_key_value",
        "o_proj": "dense",
        "up_proj": "dense_h_to_4h",
        "down_proj": "dense_4h_to_h",
    },
    "internlm2": {
        "q_proj": "wqkv",
        "k_proj": "wqkv",
        "v_proj": "wqkv",
        "o_proj": "wo",
        "gate_proj": "w1",
        "up_proj": "w3",
        "down_proj": "w2",
    },
    "phi3": {
        "q_proj": "qkv_proj",
        "k_proj": "qkv_proj",
        "v_proj": "qkv_proj",
        "gate_proj": "gate_up_proj",
        "up_proj": "gate_up_proj",
    },
}
"""Families whose projections have names of their own: the usual name -> theirs."""

UNTRAINABLE = {
    "deepseek_v41": "it gathers by choices through which MLX has no gradient, and its blocks pass arrays to each other "
    "beside their outputs",
    "kimi_k3": "its blocks read weights of projections themselves, and keep arrays of one step for the next",
}
"""Families of which mlx-lm's code gives no right gradient, each with the reason."""


def model_type(model: nn.Module) -> str:
    """The family's name as its config gives it, such as `qwen3`."""
    return str(getattr(model, "model_type", type(model).__name__))


def blocks(model: nn.Module) -> tuple[str, list[nn.Module]]:
    """The path of the list of transformer blocks, such as `model.layers`, and the blocks in order.

    Raises:
        ModelError: the model has no list of blocks, or several.
    """
    layers = list(getattr(model, "layers", []))
    names = {id(module): name for name, module in model.named_modules()}
    if not layers or id(layers[0]) not in names:
        raise ModelError(f"the {model_type(model)} model has no list of blocks called 'layers'; it cannot be adapted")
    path = names[id(layers[0])].rpartition(".")[0]
    if any(names.get(id(block)) != f"{path}.{n}" for n, block in enumerate(layers)):
        raise ModelError(f"the {model_type(model)} model keeps its blocks in several lists; it cannot be adapted")
    return path, layers


def projections(block: nn.Module) -> dict[str, nn.Module]:
    """The linear maps of one block, {path inside the block: module}, in the order of their names.

    Example:
        >>> from mlx_lm.models.qwen3 import ModelArgs, TransformerBlock
        >>> args = ModelArgs(model_type="qwen3", hidden_size=8, num_hidden_layers=1, intermediate_size=16,
        ...     num_attention_heads=2, rms_norm_eps=1e-6, vocab_size=32, num_key_value_heads=1,
        ...     max_position_embeddings=64, rope_theta=1e4, head_dim=4, tie_word_embeddings=True)
        >>> [path.split(".")[-1] for path in projections(TransformerBlock(args))]
        ['down_proj', 'gate_proj', 'up_proj', 'k_proj', 'o_proj', 'q_proj', 'v_proj']
    """
    return {name: module for name, module in sorted(block.named_modules()) if isinstance(module, LINEAR)}


def largest_projection(model: nn.Module) -> int:
    """Weights of the largest linear map in any block."""
    maps = [module for block in blocks(model)[1] for module in projections(block).values()]
    return max((m["weight"].size * 32 // getattr(m, "bits", 32) for m in maps), default=0)


def select_projections(model: nn.Module, targets: Sequence[str], last_blocks: int | None = None) -> list[str]:
    """The paths inside a block of the projections that `targets` name, over the last `last_blocks` blocks.

    A target is a projection's whole path inside the block (`self_attn.q_proj`), or else the last part of it
    (`q_proj`), or the usual name where the family has its own; `["all"]` is every projection but routers.

    Raises:
        TargetError: targets that match nothing, all together, with the list of what there is; or there is nothing.
        ModelError: the family is one of UNTRAINABLE.
    """
    if reason := UNTRAINABLE.get(model_type(model)):
        raise ModelError(f"models of the family {model_type(model)} cannot be trained with this mlx-lm: {reason}")
    _, all_blocks = blocks(model)
    if last_blocks is not None and last_blocks > len(all_blocks):
        raise TargetError(f"lora.last_blocks={last_blocks}, but the {model_type(model)} model has {len(all_blocks)}")
    chosen = all_blocks[-last_blocks:] if last_blocks else all_blocks
    paths = sorted({path for block in chosen for path in projections(block)})
    plain = [path for path in paths if _name(path) not in ROUTERS]
    if not plain:
        raise TargetError(
            f"nothing in the blocks of {model_type(model)} can be adapted: no part of them is a linear map of a type "
            f"that LoRA is added to ({', '.join(kind.__name__ for kind in LINEAR)})"
        )
    if list(targets) == ["all"]:
        return plain
    aliases = ALIASES.get(model_type(model), {})
    selected: set[str] = set()
    missing: list[str] = []
    for target in targets:
        called = {target, aliases.get(target)}
        matches = [target] if target in paths else [path for path in paths if _name(path) in called]
        selected.update(matches)
        if not matches:
            missing.append(target)
    if missing:
        names = list(dict.fromkeys(_name(path) for path in paths))
        hint = suggest(missing[0], [*names, *paths], "")
        raise TargetError(
            f"no projection {', '.join(repr(one_line(name, 80)) for name in missing[:8])}"
            f"{', ...' * (len(missing) > 8)} in the blocks of {model_type(model)}; choose from "
            f"{', '.join(names)}" + (f" ({hint})" if hint else "")
        )
    return sorted(selected)


def _name(path: str) -> str:
    return path.rpartition(".")[2]
