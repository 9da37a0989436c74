"""Sources, and a build of their cache in a process of its own: a real one, that can be killed."""

import json
import subprocess
import sys
from pathlib import Path

from tasks.data import Data, TokenCache, build_cache
from tests.data.conftest import byte_tokenizer
from tests.data.families import TEMPLATES

ROOT = Path(__file__).resolve().parents[2]


def write_rows(path: Path, rows: list[dict]) -> str:
    """The rows as JSON lines; gives the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def pairs(count: int, words: int = 1, start: int = 0) -> list[dict]:
    """Rows that all differ."""
    return [{"prompt": f"{n} " + "x " * words, "completion": str(n)} for n in range(start, start + count)]


def build(folder: Path, **settings: object) -> TokenCache:
    """The cache of `folder`/train.jsonl, or of what the settings say, under `folder`/cache."""
    data = Data.model_validate_json(json.dumps({"train": str(folder / "train.jsonl"), **settings}))
    tokenizer = byte_tokenizer(TEMPLATES["chatml"])
    return build_cache(data, tokenizer, tokenizer_fingerprint="t", root=folder / "cache")


def start_build(folder: Path, size: int, **settings: object) -> subprocess.Popen[str]:
    """The same in a process, with blocks of `size` bytes; it prints whether it found a cache."""
    code = (
        "import sys, json; from pathlib import Path; from tasks.data.source import blocks; "
        "from tests.data.making import build; "
        f"blocks.SIZE = {size}; print(build(Path(sys.argv[1]), **json.loads(sys.argv[2])).reused)"
    )
    command = [sys.executable, "-c", code, str(folder), json.dumps(settings)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def contents(cache: TokenCache) -> dict[str, bytes]:
    """Every file of a cache."""
    return {path.name: path.read_bytes() for path in cache.path.iterdir()}
