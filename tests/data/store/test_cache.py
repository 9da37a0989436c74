"""The token cache: reused while nothing changed, rebuilt when anything did."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.data import Data, TokenCache, build_cache, tokenize_row
from tasks.data.store import cache as cache_room
from tasks.data.store import digests
from tasks.errors import DataError
from tests.data.families import TEMPLATES

ROWS = [{"prompt": f"{n} + {n}?", "completion": str(n + n)} for n in range(40)]


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def build(tmp_path: Path, tokenizer_of: Callable) -> Callable[..., TokenCache]:
    write(tmp_path / "train.jsonl", ROWS)

    def run(tokenizer: str = "chatml", tokenizer_fingerprint: str = "t", **settings: Any) -> TokenCache:
        data = Data(**{"train": str(tmp_path / "train.jsonl"), **settings})
        root, made = tmp_path / "cache", tokenizer_of(tokenizer)
        return build_cache(data, made, tokenizer_fingerprint=tokenizer_fingerprint, root=root)

    return run


def test_what_is_in_it(build: Callable[..., TokenCache], tokenizer_of: Callable):
    cache = build()
    train, valid = cache.split("train"), cache.split("valid")
    assert (len(train), len(valid)) == (38, 2)
    assert sorted([*train.lines, *valid.lines]) == list(range(1, 41))
    tokens = tokenize_row(ROWS[train.lines[3] - 1], tokenizer_of("chatml"))
    assert train.ids(3).tolist() == tokens.ids
    assert train.weights(3).tolist() == tokens.weights
    assert train.prompt_length(3) == tokens.prompt_length
    stats = cache.splits["train"]
    assert (stats.rows, stats.examples, stats.tokens) == (40, 38, int(train.lengths.sum()))
    assert stats.supervised_tokens == sum(int((train.weights(i) > 0).sum()) for i in range(38))
    with pytest.raises(DataError, match="no split 'test'; there is train, valid"):
        cache.split("test")


def test_reused_and_told_from_every_other(build: Callable[..., TokenCache], tmp_path: Path):
    first = build()
    assert not first.reused
    again = build()
    assert again.reused
    assert again.model_copy(update={"reused": False}) == first
    (tmp_path / "t.jinja").write_text(TEMPLATES["turns"])
    others = [
        build(tokenizer_fingerprint="u"),
        build(supervise="last"),
        build(max_tokens=500),
        build("turns"),
        build(template=str(tmp_path / "t.jinja")),
        build(template_kwargs={"x": 1}),
    ]
    write(tmp_path / "train.jsonl", [*ROWS, {"text": "one more"}])
    others.append(build())
    assert not any(other.reused for other in others)
    assert len({other.fingerprint for other in [first, *others]}) == 8


@pytest.mark.parametrize("file", ["train.00000.tokens", "train.shards.npy", "valid.index.npy", "manifest.json"])
def test_damage_is_noticed_and_rebuilt(build: Callable[..., TokenCache], file: str):
    cache = build()
    path = cache.path / file
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not build().reused
    assert path.read_bytes() == content
    path.unlink()
    assert not build().reused


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if two seconds had passed since every file was written."""
    monkeypatch.setattr(digests, "_SETTLED", -(10**18))


@pytest.mark.usefixtures("settled")
def test_a_start_reads_neither_the_source_nor_the_cache(build: Callable[..., TokenCache], monkeypatch):
    build(valid_share=0.5)
    build(valid_share=0.5)

    def read(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(digests, "file_digest", read)
    assert build(valid_share=0.5).reused


@pytest.mark.usefixtures("settled")
def test_a_byte_flipped_and_the_time_set_back_is_noticed_and_rebuilt(build: Callable[..., TokenCache]):
    build()
    path = build().path / "train.00000.tokens"
    content, before = path.read_bytes(), path.stat()
    time.sleep(0.02)
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not build().reused
    assert path.read_bytes() == content
    path.write_bytes(content[:-1])
    assert not build().reused
    path.write_bytes(content + b"x")
    assert not build().reused


@pytest.mark.usefixtures("settled")
def test_a_count_changed_in_the_manifest_is_noticed(build: Callable[..., TokenCache]):
    path = build().path / "manifest.json"
    content = path.read_text()
    assert '"examples": 38' in content
    path.write_text(content.replace('"examples": 38', '"examples": 39'))
    assert not build().reused
    assert path.read_text() == content


@pytest.mark.usefixtures("settled")
def test_a_copy_of_a_cache_is_read_once_and_used(build: Callable[..., TokenCache], tmp_path: Path):
    path = build().path
    shutil.copytree(path, tmp_path / "copy")
    shutil.rmtree(path)
    shutil.move(tmp_path / "copy", path)
    assert build().reused


def test_a_source_that_changes_while_it_is_tokenized(build: Callable[..., TokenCache], tmp_path: Path, monkeypatch):
    splits = cache_room.write_splits
    more = [*ROWS, {"text": "one more"}]
    monkeypatch.setattr(
        cache_room, "write_splits", lambda *given: write(tmp_path / "train.jsonl", more) and splits(*given)
    )
    with pytest.raises(DataError, match="a source changed while it was tokenized"):
        build()


def test_the_same_bytes_every_time(build: Callable[..., TokenCache], tmp_path: Path):
    def contents(cache: TokenCache) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in cache.path.iterdir()}

    first = contents(build())
    for path in (tmp_path / "cache").rglob("manifest.json"):
        path.unlink()
    assert contents(build()) == first


def test_validation_rows_that_stand_in_train(build: Callable[..., TokenCache], tmp_path: Path):
    valid = write(tmp_path / "valid.jsonl", [{"text": "new"}, {**ROWS[7], "id": 7}])
    with pytest.raises(DataError, match=r"valid\.jsonl:2: the row stands in train too"):
        build(valid=valid)
    assert build(valid=valid, strict=False).splits["valid"].overlap == 1


def test_nothing_to_train_on(build: Callable[..., TokenCache], tmp_path: Path):
    source = write(tmp_path / "a.jsonl", [{"messages": []}] * 3)
    with pytest.raises(DataError, match=r"no row of 3 can be trained on: 3 x 'messages' is an empty list"):
        build(train=source, strict=False)
    with pytest.raises(DataError, match=r"a\.jsonl:1: "):
        build(train=source)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()], "nothing half-made is left"


def test_no_share_no_validation(build: Callable[..., TokenCache]):
    assert list(build(valid_share=0.0).splits) == ["train"]


def test_a_template_that_is_not_there(build: Callable[..., TokenCache]):
    with pytest.raises(DataError, match=r"data\.template cannot be read"):
        build(template="/nowhere.jinja")
