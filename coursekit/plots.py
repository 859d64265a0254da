"""Pictures of the course: one palette, one way to show a figure with its alternative text.

Functions that draw take ready results and the `Axes` to draw on. They compute nothing and leave
pyplot's state alone.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

# Okabe & Ito (2008), "Color Universal Design": eight colours that colour-blind readers can tell
# apart. A line is never told apart by its colour alone: see LINE_STYLES and MARKERS.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#7F7F7F"
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")
MOST_NODES = 12  # more circles in one layer of a network cannot be told apart
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


def descent_path(
    axes: Axes,
    curve: tuple[Any, Any],
    points: Any,
    losses: Any,
    index: int = 0,
    label: str | None = None,
) -> None:
    """Draw a loss with one weight, and the points that a descent visits on it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    curve : tuple of two arrays, shape (n,)
        Weights and losses of the grey curve.
    points, losses : array-like, shape (steps + 1,)
        The visited weights and their losses, start first.
    index : int
        Number of the style, see `style`.
    label : str, optional
        Name in the legend.
    """
    axes.plot(*curve, color=GREY, linewidth=1.5)
    axes.plot(points, losses, linewidth=1.2, markersize=5, label=label, **style(index))
    axes.plot(points[0], losses[0], "o", markersize=9, color="black", fillstyle="none")
    axes.set_xlabel("weight w")
    axes.set_ylabel("loss J(w)")


def loss_curve(axes: Axes, losses: Any, index: int = 0, label: str | None = None) -> None:
    """Draw the loss after each step on a logarithmic axis.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    losses : array-like, shape (steps + 1,)
        Losses, that of the start first. A loss of exactly 0 leaves the picture at the bottom.
    index : int
        Number of the style, see `style`.
    label : str, optional
        Name in the legend.
    """
    axes.semilogy(
        range(len(losses)), losses, linewidth=1.5, markersize=4, label=label, **style(index)
    )
    axes.set_xlabel("step k")
    axes.set_ylabel("loss (log scale)")


def picture(axes: Axes, image: ArrayLike, title: str = "") -> None:
    """Draw one grey-scale picture, ink dark on white, without ticks."""
    axes.imshow(image, cmap="gray_r", interpolation="nearest")
    axes.set(title=title, xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=True, color=GREY)


def probability_bars(axes: Axes, probabilities: Sequence[float], marked: int | None = None) -> None:
    """Draw one bar per class; the bar of class `marked` stands out by colour and hatching."""
    bars = axes.bar(range(len(probabilities)), probabilities, color=SKY, edgecolor="black")
    if marked is not None:
        bars[marked].set(facecolor=VERMILION, hatch="//")
    axes.set(xticks=range(len(probabilities)), ylim=(0, 1.05), xlabel="digit")


def learning_curves(axes: Axes, history: Mapping[str, Sequence[float]], name: str) -> None:
    """Draw quantity `name` of a Keras history per epoch, with its validation twin if there is one.

    The epochs are counted from 1.
    """
    for index, (key, label) in enumerate([(name, "training"), (f"val_{name}", "validation")]):
        if key in history:
            epochs = range(1, len(history[key]) + 1)
            axes.plot(epochs, history[key], label=label, **style(index))
            axes.set_xticks(epochs)
    axes.set(xlabel="epoch", ylabel=name)
    axes.legend(frameon=False)


def confusion_matrix(axes: Axes, matrix: ArrayLike) -> None:
    """Draw counts of (true class, predicted class): only mistakes are coloured.

    The diagonal holds the right answers. Its counts are so much larger that a common colour scale
    would hide every mistake.
    """
    import numpy as np

    counts = np.asarray(matrix)
    right = np.eye(len(counts), dtype=bool)
    axes.imshow(np.ma.masked_where(right, counts), cmap="Oranges")
    dark = counts > 0.7 * counts[~right].max()
    for true, predicted in np.ndindex(*counts.shape):
        if counts[true, predicted]:
            correct = true == predicted
            axes.text(
                predicted,
                true,
                str(counts[true, predicted]),
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold" if correct else "normal",
                color="white" if dark[true, predicted] and not correct else "black",
            )
    classes = range(len(counts))
    axes.set(xlabel="predicted digit", ylabel="true digit", xticks=classes, yticks=classes)
    axes.grid(False)


def network_diagram(layer_sizes: Sequence[int], axes: Axes) -> None:
    """Draw a fully connected network: a circle for each neuron, a line for each weight.

    Input nodes are squares, because they compute nothing.

    Parameters
    ----------
    layer_sizes : sequence of int
        From the inputs to the outputs, for example (3, 4, 2).
    axes : matplotlib.axes.Axes
        Is cleared of ticks and frame.

    Raises
    ------
    ValueError
        If there are fewer than two layers, or a layer does not have 1 to 12 nodes.
    """
    sizes = list(layer_sizes)
    if len(sizes) < 2 or not all(1 <= size <= MOST_NODES for size in sizes):
        raise ValueError(
            f"A drawing needs at least two layers of 1 to {MOST_NODES} nodes, not {sizes}"
        )
    columns = [
        [(layer, (size - 1) / 2 - node) for node in range(size)] for layer, size in enumerate(sizes)
    ]
    for before, after in pairwise(columns):
        for (x_0, y_0), (x_1, y_1) in product(before, after):
            axes.plot([x_0, x_1], [y_0, y_1], color=GREY, linewidth=1, zorder=1)
    radius = min(17.0, 110 / max(sizes))
    top = max(sizes) / 2
    for layer, column in enumerate(columns):
        last = layer == len(sizes) - 1
        name = "input" if layer == 0 else "output" if last else "hidden"
        shade = style(0 if layer == 0 else 2 if last else 1)["color"]
        look = {"color": shade, "markersize": radius, "markeredgecolor": "white", "zorder": 2}
        axes.plot(*zip(*column, strict=True), "s" if layer == 0 else "o", **look)
        if name != "hidden" and sizes[layer] > 1:
            name += "s"
        axes.annotate(f"{sizes[layer]}\n{name}", (layer, top), ha="center", va="bottom")
    axes.set(xlim=(-0.4, len(sizes) - 0.6), ylim=(-top, top))
    axes.set_axis_off()
