"""Limits of a model: how many token ids and positions it takes, by its config and by its own tables.

MLX's gather checks no bounds: an id or a position beyond a table reads whatever memory lies there.
"""

from typing import Any, NamedTuple

import mlx.nn as nn

POSITIONS = (
    *("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_length", "max_seq_len"),
    *("seq_length", "seq_len", "model_max_length"),
)
"""Names in configs of the longest row that a model was made for, in the order in which they are believed."""

TOKENS = frozenset(
    {"embed_tokens", "word_embeddings", "token_embeddings", "tok_embeddings", "embeddings", "embedding"}
    | {"wte", "embed", "embed_in"}
)
"""Names of the table of token ids in mlx-lm's families."""

UNBOUNDED = 2**31 - 1


class Limits(NamedTuple):
    """The limits of a model; UNBOUNDED where neither config nor tables give one.

    Attributes:
        vocabulary: token ids are below it.
        positions: tokens of the longest row that the model was made for.
        table: rows of its table of learned positions, beyond which no position may go, in an answer either.
    """

    vocabulary: int
    positions: int
    table: int


def limits_of(model: nn.Module, config: dict[str, Any]) -> Limits:
    """Reads the limits off a model's config, and off its own tables where one of those is smaller.

    Example:
        >>> limits_of(nn.Linear(2, 2), {"vocab_size": 8, "n_positions": 4})
        Limits(vocabulary=8, positions=4, table=2147483647)
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    positions = next((text[name] for name in POSITIONS if _is_count(text.get(name))), UNBOUNDED)
    vocabulary = text["vocab_size"] if _is_count(text.get("vocab_size")) else UNBOUNDED
    tables = [
        (name.rpartition(".")[2], module["weight"].shape[0])
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding | nn.QuantizedEmbedding) and "vision" not in name
    ]
    learned = min([rows for name, rows in tables if name == "wpe" or "position" in name], default=UNBOUNDED)
    tokens = [rows for name, rows in tables if name in TOKENS]
    return Limits(min([vocabulary, *tokens]), min(positions, learned), learned)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
