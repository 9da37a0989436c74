"""tokenize: sources and a chat template -> a token cache, a directory named by the fingerprint of its content."""

import logging
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.data import Data, TokenCache, build_cache
from tasks.model import Model

log = logging.getLogger(__name__)


@task(name="tokenize", task_run_name="tokenize", cache_policy=NO_CACHE)
def tokenize(data: Data, model: Model, root: Path) -> TokenCache:
    """Renders, masks and tokenizes every row, or finds that it has been done.

    Args:
        data: the sources and how they are read.
        model: the model whose tokenizer and chat template are used.
        root: the folder of all caches, one directory each.

    Raises:
        DataError: a source or row that cannot be trained on, by file and line.
    """
    cache = tokens_of(data, model, root)
    log.info("%s the token cache %s", "found" if cache.reused else "built", cache.path)
    return cache


def tokens_of(data: Data, model: Model, root: Path) -> TokenCache:
    """The token cache, without a Prefect task or a log line."""
    from tasks.model.base import load_tokenizer, tokenizer_fingerprint

    tokenizer = load_tokenizer(model)._tokenizer
    return build_cache(data, tokenizer, tokenizer_fingerprint=tokenizer_fingerprint(model), root=root)
