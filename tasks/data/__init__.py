"""Data: from a line of a file to token ids and the weight of each as a target, and the cache of them."""

from tasks.data.cache import TokenCache, build_cache
from tasks.data.config import Data, Format, Supervise, Truncate
from tasks.data.formats import FORMATS, parse_row
from tasks.data.message import Example, Message
from tasks.data.pool import TokenSplit
from tasks.data.stats import SplitStats
from tasks.data.tokens import Tokens, tokenize_row

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
