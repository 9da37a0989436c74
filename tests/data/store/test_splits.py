"""Splits of several sources: mixed as asked, counted source by source, and held against each other."""

from pathlib import Path

import pytest

from tasks.errors import DataError
from tests.data.making import build, pairs, write_rows


@pytest.fixture
def two(tmp_path: Path) -> dict[str, str]:
    return {
        "large": write_rows(tmp_path / "large.jsonl", pairs(60)),
        "small": write_rows(tmp_path / "small.jsonl", pairs(10, words=3, start=100)),
    }


def test_several_without_weights_stand_there_once(tmp_path: Path, two: dict[str, str]):
    cache = build(tmp_path, train=[two["large"], {"path": two["small"]}], valid_share=0)
    stats, split = cache.splits["train"], cache.split("train")
    assert [(s.path, s.weight, s.rows, s.examples, s.left_out, s.repeated) for s in stats.sources] == [
        (two["large"], None, 60, 60, 0, 0),
        (two["small"], None, 10, 10, 0, 0),
    ]
    assert (stats.rows, stats.examples, split.sources.tolist()) == (70, 70, [0] * 60 + [1] * 10)
    assert split.lines.tolist() == [*range(1, 61), *range(1, 11)]


@pytest.mark.parametrize(("repeat", "examples"), [(False, [20, 10]), (True, [60, 30])])
def test_by_examples(tmp_path: Path, two: dict[str, str], repeat: bool, examples: list[int]):
    train = [{"path": two["large"], "weight": 2}, two["small"]]
    cache = build(tmp_path, train=train, valid_share=0, repeat=repeat)
    stats = cache.splits["train"]
    assert [source.examples for source in stats.sources] == examples
    assert [source.left_out for source in stats.sources] == [60 - examples[0], 0]
    assert [source.repeated for source in stats.sources] == [0, examples[1] - 10]
    assert [source.share for source in stats.sources] == pytest.approx([2 / 3, 1 / 3], abs=1e-6)
    split = cache.split("train")
    assert (len(split), stats.examples, stats.tokens) == (sum(examples), sum(examples), int(split.lengths.sum()))
    assert stats.duplicates == 0, "a repeated row is no duplicate"
    assert all(len(split.ids(n)) for n in range(len(split)))


def test_by_tokens(tmp_path: Path, two: dict[str, str]):
    train = [{"path": two["large"], "weight": 1}, {"path": two["small"], "weight": 1}]
    stats = build(tmp_path, train=train, valid_share=0, mix="tokens").splits["train"]
    large, small = stats.sources
    assert (small.left_out, small.repeated) == (0, 0)
    assert abs(large.tokens - small.tokens) <= 80
    assert large.share == pytest.approx(0.5, abs=0.05)


def test_held_out_before_it_is_mixed(tmp_path: Path, two: dict[str, str]):
    cache = build(tmp_path, train=[{"path": two["small"], "weight": 5}, two["large"]], valid_share=0.2, repeat=True)
    train, valid = cache.split("train"), cache.split("valid")
    both = {(int(s), int(n)) for split in (train, valid) for s, n in zip(split.sources, split.lines, strict=True)}
    assert len(both) == 70, "every row is on one side"
    assert len(valid) == 14
    assert cache.splits["valid"].overlap == 0
    assert cache.splits["valid"].sources == ()


def test_overlap_is_sought_in_every_source(tmp_path: Path, two: dict[str, str]):
    valid = write_rows(tmp_path / "valid.jsonl", [*pairs(1, start=999), *pairs(1, words=3, start=104)])
    train = [two["large"], {"path": two["small"], "weight": 0.1}]
    with pytest.raises(DataError, match=r"valid\.jsonl:2: the row stands in train too \(1 of 2 .*small\.jsonl:5;"):
        build(tmp_path, train=train, valid=[valid])
    stats = build(tmp_path, train=train, valid=[valid], strict=False).splits["valid"]
    assert (stats.overlap, stats.overlap_lines, stats.sources[0].path) == (1, (2,), valid)


def test_duplicates_of_another_source_and_what_was_dropped_where(tmp_path: Path, two: dict[str, str]):
    copy = write_rows(tmp_path / "copy.jsonl", [*pairs(4), {"text": ""}, {"text": "a", "weight": 0}])
    stats = build(tmp_path, train=[two["large"], copy], valid_share=0, strict=False).splits["train"]
    assert (stats.duplicates, stats.duplicate_lines) == (4, (1, 2, 3, 4))
    assert [(text.partition(": ")[0], remark.lines) for text, remark in stats.dropped.items()] == [
        (copy, (5,)),
        (copy, (6,)),
    ]


def test_settings_of_one_source(tmp_path: Path, two: dict[str, str]):
    (tmp_path / "q.jsonl").write_bytes('{"frage": "é?", "antwort": "ja"}\n'.encode("latin-1"))
    own = {"path": str(tmp_path / "q.jsonl"), "columns": {"prompt": "frage", "completion": "antwort"}}
    stats = build(tmp_path, train=[two["small"], {**own, "encoding": "latin-1"}], valid_share=0).splits["train"]
    assert stats.formats == {"completions": 11}


def test_a_source_without_rows_and_one_without_a_good_row(tmp_path: Path, two: dict[str, str]):
    blank, bad = tmp_path / "blank.jsonl", write_rows(tmp_path / "bad.jsonl", [{"text": ""}])
    blank.write_text("\n\n")
    with pytest.raises(DataError, match=r"blank\.jsonl: the source has no rows"):
        build(tmp_path, train=[two["small"], str(blank)])
    with pytest.raises(DataError, match=r"bad\.jsonl: no row of 1 can be trained on: 1 x 'text' is empty"):
        build(tmp_path, train=[two["small"], bad], strict=False)


def test_repetitions_are_left_out_where_that_is_asked_for(tmp_path: Path):
    rows = [{"text": text} for text in ("a", "b", "a", "c", "b", "a")]
    write_rows(tmp_path / "one.jsonl", rows)
    write_rows(tmp_path / "two.jsonl", [{"text": "c"}, {"text": "d"}])
    sources = [str(tmp_path / name) for name in ("one.jsonl", "two.jsonl")]
    assert build(tmp_path, train=sources, valid_share=0).splits["train"].duplicates == 4
    cache = build(tmp_path, train=sources, valid_share=0, dedup="exact")
    stats = cache.splits["train"]
    assert (stats.rows, stats.examples, stats.duplicates) == (8, 4, 0)
    assert {reason: remark.lines for reason, remark in stats.dropped.items()} == {
        f"{sources[0]}: a repetition of an earlier row (data.dedup=exact)": (3, 5, 6),
        f"{sources[1]}: a repetition of an earlier row (data.dedup=exact)": (1,),
    }
    assert cache.split("train").lines.tolist() == [1, 2, 4, 2]


def test_files_of_a_folder_and_pieces_of_a_text(tmp_path: Path):
    (tmp_path / "rows").mkdir()
    for name, text in (("train-1.txt", "abcdefgh\n\nij"), ("train-2.txt", "ij\n\nk"), ("valid.txt", "xyz")):
        (tmp_path / "rows" / name).write_text(text)
    settings = {"train": str(tmp_path / "rows"), "text_rows": "paragraph", "max_tokens": 5, "truncate": "split"}
    cache = build(tmp_path, **settings, dedup="exact")
    assert {name: (split.rows, split.examples) for name, split in cache.splits.items()} == {
        "train": (4, 4),
        "valid": (1, 1),
    }
    assert [Path(source.path).name for source in cache.splits["train"].sources] == ["train-1.txt", "train-2.txt"]
