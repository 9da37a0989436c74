"""Draws a plot as an SVG with fixed bytes, a few kilobytes each, and writes one as a data: URI."""

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]


def svg(draw: Callable[["Axes"], None], *, height: float, box: Box | None = None) -> str:
    """A plot 6.4 inches wide; the same data gives the same bytes.

    Args:
        draw: puts the data onto the axes.
        height: of the picture, in inches.
        box: of the axes, as shares of the picture; None finds one, which draws everything twice.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "graftline", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(6.4, height), layout=None if box else "constrained")
        axes = figure.add_axes(box) if box else figure.add_subplot()
        draw(axes)
        axes.grid(alpha=0.3)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def data_uri(picture: bytes) -> str:
    """An SVG as an address that holds the picture itself, for pages that can load nothing.

    Example:
        >>> data_uri(b"<svg/>")
        'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
