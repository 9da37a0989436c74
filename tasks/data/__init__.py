"""Data: from a line of a file to token ids and the weight of each as a target, and the cache of them."""

from tasks.data.config import Data, Supervise, Truncate
from tasks.data.format.formats import FORMATS, Format, parse_row
from tasks.data.format.message import Example, Message
from tasks.data.render.tokens import Tokens, tokenize_row
from tasks.data.store.cache import TokenCache, build_cache
from tasks.data.store.stats import SplitStats
from tasks.data.store.token_split import TokenSplit

__all__ = [
    "FORMATS",
    "Data",
    "Example",
    "Format",
    "Message",
    "SplitStats",
    "Supervise",
    "TokenCache",
    "TokenSplit",
    "Tokens",
    "Truncate",
    "build_cache",
    "parse_row",
    "tokenize_row",
]
