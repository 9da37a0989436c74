"""The `data` group."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.data import Data


def test_from_json():
    data = Data.model_validate_json('{"train": "a", "columns": {"prompt": "q"}, "template_kwargs": {"x": [1]}}')
    assert (data.columns, data.strict, data.truncate) == ({"prompt": "q"}, True, "error")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"train": ""}', "at least 1 character"),
        ('{"train": "a", "max_tokens": 1}', "greater than or equal to 2"),
        ('{"train": "a", "valid_share": 1.0}', "less than 1"),
        ('{"train": "a", "columns": {"promt": "q"}}', "no names of ours"),
        ('{"train": "a", "supervise": "user"}', "'assistant', 'last'"),
        ('{"train": "a", "trains": "b"}', "Extra inputs"),
        ('{"train": []}', "train: the list of sources is empty"),
        ('{"train": "a", "valid": []}', "valid: the list of sources is empty"),
        ('{"train": [""]}', "at least 1 character"),
        ('{"train": [{"weight": 1}]}', "Field required"),
        ('{"train": [{"path": "a", "weight": 0}]}', "greater than 0"),
        ('{"train": "a", "valid": [{"path": "b", "weight": 2}]}', "only those of train are mixed"),
        ('{"train": "a", "encoding": "klingon"}', "no text encoding"),
        ('{"train": "a", "workers": -1}', "greater than or equal to 0"),
        ('{"train": {"path": "a"}}', "valid string"),
    ],
)
def test_refused(text: str, reason: str):
    with pytest.raises(ValidationError, match=reason):
        Data.model_validate_json(text)


def test_a_mistake_in_a_source_is_said_once():
    with pytest.raises(ValidationError) as caught:
        Data.model_validate_json('{"train": ["a", {"path": "b", "weight": -1}]}')
    assert caught.value.error_count() == 1
    with pytest.raises(ValidationError) as caught:
        Data.model_validate_json('{"train": null}')
    assert caught.value.error_count() == 1


def test_a_source_says_what_it_says_and_data_the_rest():
    data = Data.model_validate_json(
        '{"train": ["owner/a", {"path": "owner/b", "split": "train_sft", "format": "text", "weight": 2}],'
        ' "valid": "v.jsonl", "encoding": "cp1252", "columns": {"text": "page"}}'
    )
    one, two = data.sources("train")
    assert (one.split, one.format, one.encoding, one.columns, one.weight) == (
        "train",
        "auto",
        "cp1252",
        {"text": "page"},
        None,
    )
    assert (two.split, two.format, two.weight) == ("train_sft", "text", 2.0)
    assert data.sources("valid")[0].split == "validation"
    assert data.sources("test") == ()
    assert data.train[0] == "owner/a", "what was given stays as it was"


def test_a_folder_is_meant_as_a_whole(tmp_path: Path):
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl", "more.jsonl"):
        (tmp_path / name).write_text("{}")
    data = Data(train=str(tmp_path))
    names = [[Path(source.path).name for source in data.sources(split)] for split in ("train", "valid", "test")]
    assert names == [["train.jsonl"], ["valid.jsonl"], ["test.jsonl"]]
    own = Data(train=str(tmp_path), valid=str(tmp_path / "more.jsonl"))
    assert [Path(source.path).name for source in own.sources("valid")] == ["more.jsonl"]
    assert Data(train=str(tmp_path / "t*.jsonl")).sources("valid") == ()
