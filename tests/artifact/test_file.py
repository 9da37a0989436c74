import json
import os

import pytest

from tasks.artifact import write_json, write_text


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"é": [1, 2]})
    assert json.loads(path.read_text("utf-8")) == {"é": [1, 2]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text("utf-8")) == {"é": [1, 2]}


def test_a_text_that_could_not_be_put_in_place_leaves_nothing(tmp_path, monkeypatch):
    write_text(tmp_path / "a", "before")

    def fail(*_):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_text(tmp_path / "a", "after")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "before"}
