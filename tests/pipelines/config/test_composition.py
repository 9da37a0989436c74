"""Hydra's layers, and what was typed on top of them; each change is said."""

import logging

import pytest

from pipelines.config.composition import composed, key_of, to_plain, typed_values


def test_what_was_typed_is_read_by_key() -> None:
    assert typed_values(["+experiment=quickstart", "lora.rank=4", "~batch.tokens"]) == {
        "experiment": "quickstart",
        "lora.rank": "4",
    }
    assert key_of("lora.rank=4") == "lora.rank"


def test_what_gives_way_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        plain = to_plain(composed(["+experiment=quickstart", "train.epochs=2"]))
    assert plain["train"]["steps"] is None
    assert "train.steps is None as typed, in place of the experiment's 150" in caplog.text
