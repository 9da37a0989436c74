"""Pictures: the same data is the same bytes, whether the axes are placed or find their place."""

import base64

import pytest
from matplotlib.axes import Axes

from pipelines.report.picture import Box, data_uri, svg


def _line(axes: Axes) -> None:
    axes.plot([1, 2], [3, 4], label="a line")
    axes.legend()


@pytest.mark.parametrize("box", [None, (0.1, 0.1, 0.8, 0.8)])
def test_a_picture_is_the_same_twice(box: Box | None) -> None:
    first = svg(_line, height=3.0, box=box)
    assert first == svg(_line, height=3.0, box=box)
    assert "a line" in first, "text stays text"
    assert "<dc:date>" not in first


def test_the_address_holds_the_picture() -> None:
    kind, _, content = data_uri(b"<svg/>").partition(",")
    assert (kind, base64.b64decode(content)) == ("data:image/svg+xml;base64", b"<svg/>")
