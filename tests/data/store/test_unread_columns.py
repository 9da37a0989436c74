"""Columns that nothing reads: counted, and refused where they seem to matter."""

import json
from pathlib import Path

import pytest

from tasks.data.store.unread_columns import UnreadColumn
from tasks.errors import DataError
from tests.data.making import build, write_rows


def rows(count: int = 8, **more: list) -> list[dict]:
    plain = [{"prompt": f"{n}?", "completion": str(n)} for n in range(count)]
    return [{**row, **{name: values[n % len(values)] for name, values in more.items()}} for n, row in enumerate(plain)]


def test_harmless_columns_are_counted(tmp_path: Path):
    write_rows(tmp_path / "train.jsonl", rows(id=[1, 2, 3, 4, 5, 6, 7, 8], source=["web", None], year=[1999]))
    stats = build(tmp_path, valid_share=0).splits["train"]
    assert {name: (remark.count, remark.lines) for name, remark in stats.unread.items()} == {
        "id": (8, (1, 2, 3, 4, 5)),
        "source": (4, (1, 3, 5, 7)),
        "year": (8, (1, 2, 3, 4, 5)),
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"context": ["The bridge opened in 1901."]}, r"'context' \(text, 8 of 8 rows\)"),
        ({"good": [None, True]}, r"'good' \(a flag, 4 of 8 rows\)"),
        ({"stars": [1, 2]}, r"'stars' \(a number, 8 of 8 rows\): use it .*data\.columns=\{weight: stars\}"),
        ({"score": [0.5]}, r"'score' \(a number"),
        ({"system_prompt": ["You are a very helpful bird."]}, r"data\.columns=\{system: system_prompt\}"),
    ],
)
def test_columns_that_matter_stop_a_strict_run_and_all_are_named(tmp_path: Path, more: dict, said: str):
    write_rows(tmp_path / "train.jsonl", rows(**more, flagged=[True]))
    (name,) = more
    with pytest.raises(DataError, match=said) as caught:
        build(tmp_path, valid_share=0)
    assert str(caught.value).startswith(f"{tmp_path}/train.jsonl:1: nothing reads ")
    assert any(f"data.ignore=[{names}]" in str(caught.value) for names in (f"{name},flagged", f"flagged,{name}"))
    assert build(tmp_path, valid_share=0, strict=False).splits["train"].unread[name].count
    assert build(tmp_path, valid_share=0, ignore=[name, "flagged"]).splits["train"].unread[name].count


def test_keys_of_messages_that_the_template_does_not_read(tmp_path: Path):
    turns = [{"role": "user", "content": "a", "name": "Ann"}, {"role": "assistant", "content": "b", "verified": True}]
    write_rows(tmp_path / "train.jsonl", [{"messages": turns}])
    with pytest.raises(DataError, match=r"the key 'verified' of messages .*data\.ignore=\[verified\]"):
        build(tmp_path, valid_share=0)
    unread = build(tmp_path, valid_share=0, ignore=["verified"]).splits["train"].unread
    assert list(unread) == ["messages[].verified", "messages[].name"]


def test_a_name_to_be_ignored_that_stands_nowhere(tmp_path: Path):
    write_rows(tmp_path / "train.jsonl", rows(topic=["a", "b"]))
    with pytest.raises(DataError, match=r"data\.ignore: no row has a value in 'contxt'; there is topic"):
        build(tmp_path, valid_share=0, ignore=["contxt"])


def test_a_table_of_text_is_judged_by_the_same_values(tmp_path: Path):
    (tmp_path / "a.csv").write_text("prompt,completion,good,stars,id\n" + "a,b,True,5,1\na,b,,,2\n")
    with pytest.raises(DataError, match=r"'good' \(a flag, 1 of 2 rows\)") as caught:
        build(tmp_path, train=str(tmp_path / "a.csv"), valid_share=0)
    assert "id" not in str(caught.value)


def test_counts_of_many_numbers_stay_few():
    column = UnreadColumn()
    for n in range(100):
        column = column.plus(UnreadColumn(count=1, lines=(n,), numbers={str(n): 1}))
    assert (column.count, len(column.numbers), column.lines) == (100, 11, (0, 1, 2, 3, 4))
    assert column.matters_as("points") == ""
    assert UnreadColumn.model_validate(json.loads(column.model_dump_json()), strict=False) == column
