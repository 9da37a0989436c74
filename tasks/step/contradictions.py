"""What contradicts itself before a run: rows that the model cannot take, a step that is longer than the run."""

import logging
from typing import Any

from tasks.data import TokenCache
from tasks.errors import ConfigError, DataError
from tasks.settings import Train

log = logging.getLogger(__name__)


def check_rows(cache: TokenCache, config: dict[str, Any]) -> None:
    """Refuses rows that the model cannot take.

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


def check_accumulation(train: Train, batches: int) -> None:
    """One step that is longer than the run would train on more than was asked for, and say nothing.

    Raises:
        ConfigError: naming both; where `train.steps` asks for it, it is said.
    """
    epochs = 1.0 if train.epochs is None else train.epochs
    per_step = train.accumulate / batches
    if train.steps is not None and per_step > 1:
        log.warning(
            "train.accumulate=%d: each step goes over the %d batches %.3g times", train.accumulate, batches, per_step
        )
    elif train.steps is None and per_step > max(epochs, 1):
        raise ConfigError(
            f"train.accumulate is {train.accumulate}, an epoch has {batches} batches: one step would take "
            f"{per_step:.3g} epochs, {epochs:g} asked for; set train.accumulate to {batches} or less, or train.steps"
        )
