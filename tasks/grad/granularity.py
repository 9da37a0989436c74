"""Selects the modules that are recomputed in the backward pass, from a value of `memory.checkpoint`."""

from collections.abc import Sequence

import mlx.nn as nn

from tasks.errors import ConfigError
from tasks.memory import Checkpoint
from tasks.model.family import blocks, model_type

ATTENTION = ("self_attn", "linear_attn", "attn", "attention", "norm_attn_norm", "temporal_block", "mamba", "conv")
"""Names in mlx-lm's families of the part of a block that mixes positions."""

MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "shared_mlp", "mlp_block", "moe", "experts")
"""Names in mlx-lm's families of the part that works position by position, experts too."""


def recomputed(model: nn.Module, checkpoint: Checkpoint) -> list[nn.Module]:
    """The modules that `checkpoint_blocks` is to take for a value of `memory.checkpoint`.

    Args:
        model: a model of mlx-lm.
        checkpoint: "none"; "all" blocks; every k-th of them, from the first on; or in each block what it calls
            "attention" or "mlp", which may be several modules.

    Raises:
        ConfigError: a block has no part of a known name.

    Example:
        >>> from mlx_lm.models.qwen3 import Model, ModelArgs
        >>> model = Model(ModelArgs(model_type="qwen3", hidden_size=8, num_hidden_layers=3, intermediate_size=16,
        ...     num_attention_heads=2, rms_norm_eps=1e-6, vocab_size=32, num_key_value_heads=1,
        ...     max_position_embeddings=64, rope_theta=1e4, head_dim=4, tie_word_embeddings=True))
        >>> [type(module).__name__ for module in recomputed(model, 2)]
        ['TransformerBlock', 'TransformerBlock']
        >>> [type(module).__name__ for module in recomputed(model, "mlp")]
        ['MLP', 'MLP', 'MLP']
    """
    if checkpoint == "none":
        return []
    _, all_blocks = blocks(model)
    match checkpoint:
        case "all":
            return all_blocks
        case "attention":
            parts = [_parts(block, ATTENTION) for block in all_blocks]
        case "mlp":
            parts = [_parts(block, MLP) for block in all_blocks]
        case int():
            return all_blocks[::checkpoint]
    if not all(parts):
        raise ConfigError(
            f"memory.checkpoint={checkpoint}: {parts.count([])} of {len(all_blocks)} blocks of {model_type(model)} "
            f"have no {checkpoint} of a known name; choose from none, all, or a number k for every k-th block"
        )
    return [module for group in parts for module in group]


def _parts(block: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    return [block[name] for name in names if isinstance(block.get(name), nn.Module)]
