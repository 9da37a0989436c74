"""What a value says that nothing reads."""

from typing import Any

import pytest

from tasks.data.format.unread import describe_unread, is_about_the_row, is_label


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("The bridge at mile 1 opened in 1901.", "text"),
        ("这座桥在一九零一年开通了。", "text"),
        (["a short one", "a document of some words more"], "text"),
        ([{"role": "user", "content": "a question that nothing reads"}], "text"),
        ("wikipedia", "other"),
        ("https://example.org/a/very/long/address/of/a/page", "other"),
        ("red", "other"),
        ({"note": "a text of many words in metadata"}, "other"),
        (True, "flag"),
        ("False", "flag"),
        (0, "number"),
        ("0.5", "number"),
    ],
)
def test_kinds(value: Any, kind: str):
    assert describe_unread("x", value, ["another text"]).kind == kind


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("messages[].train_detail", [{"begin_offset": 0, "end_offset": 3, "train": True}], "flag"),
        ("loss_mask", [0, 1, 1], "flag"),
        ("weights", [0, 1, 1], "flag"),
        ("sample_weight", 0.5, "number"),
        ("messages[].loss_scale", 0.5, "flag"),
        ("system_prompt", "Be brief.", "text"),
        ("context", " ", "other"),
        ("train_source", "the web", "other"),
    ],
)
def test_kinds_by_name(name: str, value: Any, kind: str):
    assert describe_unread(name, value, []).kind == kind


def test_names():
    assert all(map(is_about_the_row, ["id", "source_dataset", "numTurns", "messages[].model_name"]))
    assert not any(map(is_about_the_row, ["context", "system_prompt", "2"]))
    assert all(map(is_label, ["label", "score_chosen", "qualityScore", "sample_weight"]))
    assert not is_label("labelled_by")
