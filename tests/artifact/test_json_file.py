"""JSON that anyone may have written is read within bounds, or refused in a few words."""

import os
from pathlib import Path

import pytest

from tasks.artifact import read_json


def test_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"a": [1, "ä"]}')
    assert read_json(tmp_path / "a") == {"a": [1, "ä"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"\xff{}", "can't decode byte"),
        (b"{", "Expecting property name"),
        (b"1" * 5000, "4300"),
        (b" " * 101, "more than"),
    ],
)
def test_what_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught:
        read_json(tmp_path / "a", 100 if said == "more than" else 1 << 20)
    assert "\n" not in str(caught.value)


def test_a_pipe_and_a_folder_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "", "absent"):
        with pytest.raises(ValueError, match="no regular file"):
            read_json(tmp_path / name)
