"""Refuses rows that a model cannot take, before it is trained on them."""

from typing import Any

from tasks.data.store.cache import TokenCache
from tasks.errors import DataError


def check_rows(cache: TokenCache, config: dict[str, Any]) -> None:
    """Compares the rows of a token cache with a model's vocabulary and length.

    Args:
        cache: the tokenized splits.
        config: the model's config.json.

    Raises:
        DataError: a token id beyond its vocabulary, or a row longer than it was made for.
    """
    text = config.get("text_config", config)
    vocabulary, positions = text.get("vocab_size"), text.get("max_position_embeddings")
    for name, split in cache.splits.items():
        if vocabulary is not None and split.largest_id >= vocabulary:
            raise DataError(
                f"the {name} rows hold token id {split.largest_id}, the model's vocabulary ends at {vocabulary - 1}: "
                "the tokenizer is not this model's"
            )
        if positions is not None and split.longest > positions:
            rows = cache.split(name)
            raise DataError(
                f"the longest {name} row (line {rows.lines[rows.lengths.argmax()]}) has {split.longest} tokens, the "
                f"model was made for {positions}; set data.max_tokens={positions} and choose data.truncate"
            )
