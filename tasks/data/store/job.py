"""One block of rows made into one shard: the unit of work, the same in the run's own process and in a worker."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.data.config import Data
from tasks.data.render.template import Template
from tasks.data.source.blocks import Block
from tasks.data.store.shard import Shard, finished_shard, write_shard
from tasks.data.store.tally import Tally
from tasks.data.store.tokenize_rows import tokenize_source

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Job:
    """A block and the place of its shard.

    Args:
        pool: the pool, a split's name.
        n: the shard's number in it.
        source: the number of the block's source in the split.
        block: the rows.
    """

    pool: str
    n: int
    source: int
    block: Block


@dataclass(frozen=True)
class Maker:
    """Makes shards of blocks.

    Args:
        folder: where the shards go.
        data: the settings.
        tokenizer: a fast tokenizer.
        template: the text of another chat template than the tokenizer's; None for its own.
    """

    folder: Path
    data: Data
    tokenizer: "PreTrainedTokenizerBase"
    template: str | None

    def __call__(self, job: Job) -> tuple[Shard, bool]:
        """Makes the shard of a block; gives it, and whether an earlier run that did not end had made it.

        Raises:
            DataError: a row that cannot be trained on as meant, where `data.strict`.
        """
        if (found := finished_shard(self.folder, job.pool, job.n)) is not None:
            return found, True
        source, tally = self.data.sources(job.pool)[job.source], Tally()
        examples = tokenize_source(job.block.rows(), source, self.data, self.tokenizer, self._template, tally)
        return write_shard(self.folder, job.pool, job.n, job.source, examples, tally), False

    @cached_property
    def _template(self) -> Template:
        return Template(self.tokenizer, self.template, dict(self.data.template_kwargs))
