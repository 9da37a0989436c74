"""A row that remembers what was asked of it."""

from tasks.data.format.row import Row


def test_reading_is_noted_whether_the_column_is_there_or_not_and_looking_is_not():
    row = Row({"a": 1, "b": 2})
    assert (row["a"], row.get("c", 3), "b" in row, dict.get(row, "b")) == (1, 3, True, 2)
    assert row.asked == {"a", "c"}
