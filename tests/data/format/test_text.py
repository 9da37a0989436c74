"""Rows of plain text."""

import pytest

from tasks.data.format.text import parse
from tasks.errors import DataError


@pytest.mark.parametrize("text", [None, 3, "", " \n"])
def test_refused(text: object):
    with pytest.raises(DataError, match="'text'"):
        parse({"text": text})
