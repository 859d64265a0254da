"""Pictures of the course: one palette, one way to show a figure with its alternative text.

Functions that draw take ready results and the `Axes` to draw on. They compute nothing and leave
pyplot's state alone.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Okabe & Ito (2008), "Color Universal Design": eight colours that colour-blind readers can tell
# apart. A line is never told apart by its colour alone: see LINE_STYLES and MARKERS.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#7F7F7F"
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")
HALO = 3.0  # points added around a line that must be seen on a coloured surface


def new_figure(
    rows: int = 1, columns: int = 1, width: float = 8.0, height: float = 3.6, **subplot_options: Any
) -> tuple[Figure, Any]:
    """Make a figure that is not registered with pyplot, in the style of the course.

    Parameters
    ----------
    rows, columns : int
        The grid of axes.
    width, height : float
        Size in inches.
    **subplot_options
        Passed on to `matplotlib.figure.Figure.subplots`, for example ``sharey=True``.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes or numpy.ndarray of Axes
        As `Figure.subplots` returns them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, **subplot_options)
    for each in figure.axes:
        tidy(each)
    return figure, axes


def tidy(axes: Axes) -> Axes:
    """Remove the upper and right frame lines and add a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def style(index: int) -> dict[str, Any]:
    """Give colour, line style and marker number `index`: two lines never differ in one only."""
    return {
        "color": COLORS[index % len(COLORS)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def add_halo(line: Line2D) -> Line2D:
    """Surround a line with a rim in the background's colour, to be seen on any surface."""
    from matplotlib.patheffects import withStroke

    axes: Any = line.axes
    width = float(line.get_linewidth()) + HALO
    line.set_path_effects([withStroke(linewidth=width, foreground=axes.get_facecolor())])
    return line


def png(figure: Figure, dpi: float = 150) -> bytes:
    """Render a figure to PNG bytes, without version or date, so that equal figures are equal."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Show a figure in the notebook together with its text alternative.

    The text stands in for the picture: screen readers read it, and CI compares it. Put the
    numbers that the picture is meant to show into it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From `new_figure` or from pyplot; a pyplot figure is closed, so that it shows only once.
    alt : str
        One or two sentences that say what is seen.

    Raises
    ------
    ValueError
        If `alt` is empty.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("Give every picture a text: show(figure, alt='what is seen')")
    width, height = (int(side * 100) for side in figure.get_size_inches())
    display(
        {"image/png": png(figure), "text/plain": alt},
        metadata={"image/png": {"alt": alt, "width": width, "height": height}},
        raw=True,
    )
    if hasattr(figure, "number"):  # made by pyplot
        import matplotlib.pyplot as plt

        plt.close(figure)
