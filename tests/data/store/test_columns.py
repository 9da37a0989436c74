"""The columns of an index."""

from tasks.data.store import columns as index


def test_each_column_has_its_own_place():
    columns = [value for name, value in vars(index).items() if name.isupper()]
    assert sorted(columns) == list(range(len(columns)))
    assert max(columns) == index.CHECK, "the checksum comes last"
