"""Refuses rows that a model cannot take, before it is trained on them."""

from tasks.data.store.cache import TokenCache
from tasks.errors import DataError


def check_rows(cache: TokenCache, vocabulary: int, positions: int) -> None:
    """Compares the rows of a token cache with a model's vocabulary and length.

    Args:
        cache: the tokenized splits.
        vocabulary: the model's token ids are below it.
        positions: tokens of the longest row that the model takes.

    Raises:
        DataError: a token id beyond its vocabulary, or a row longer than it was made for.
    """
    for name, split in cache.splits.items():
        if split.largest_id >= vocabulary:
            raise DataError(
                f"the {name} rows hold token id {split.largest_id}, the model's vocabulary ends at {vocabulary - 1}: "
                "the tokenizer is not this model's"
            )
        if split.longest > positions:
            rows = cache.split(name)
            raise DataError(
                f"the longest {name} row (line {rows.lines[rows.lengths.argmax()]}) has {split.longest} tokens, the "
                f"model was made for {positions}; set data.max_tokens={positions} and choose data.truncate"
            )
