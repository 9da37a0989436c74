"""An earlier run's settings: read with today's defaults, as written where no run has them, or not at all."""

from pathlib import Path

import pytest
import yaml

from pipelines.config import compose
from pipelines.run.earlier import SHOWN, differences, earlier_settings


def test_a_key_that_came_since_has_its_default(tmp_path: Path) -> None:
    plain = compose(["data.train=x.jsonl"]).model_dump(mode="json")
    shorter = {**plain, "train": {key: value for key, value in plain["train"].items() if key != "keep_best"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(shorter))
    assert earlier_settings(tmp_path) == plain


def test_settings_that_no_run_of_today_has_are_given_as_written(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: nightly\nwings: 2\n")
    assert earlier_settings(tmp_path) == {"name": "nightly", "wings": 2}


@pytest.mark.parametrize("text", [None, "", "[1, 2]", "a: [", "\x00"])
def test_what_cannot_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    assert earlier_settings(tmp_path) is None


def test_many_differences_are_counted() -> None:
    keys = [f"k{n}" for n in range(SHOWN + 2)]
    assert differences(keys, dict.fromkeys(keys, "1"), dict.fromkeys(keys, "2")).endswith("k3 was 1, is 2 and 2 more")
