import pytest

from tasks.adapter.base_record import read_base_record
from tasks.errors import AdapterError


def test_what_was_saved_is_read_and_none_is_none(damaged):
    record = read_base_record(damaged)
    assert record is not None
    assert record["model.embed_tokens.weight"].startswith("float32 320x64 ")
    (damaged / "base.json").unlink()
    assert read_base_record(damaged) is None


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', "{", "[" * 100_000])
def test_another_shape_is_refused(text, damaged):
    (damaged / "base.json").write_text(text)
    with pytest.raises(AdapterError, match=r"base\.json cannot be read: "):
        read_base_record(damaged)
