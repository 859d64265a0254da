"""Labs of lecture 02: what a mistake costs moves the best plane; cross entropy against MSE."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from coursekit import activations, datasets, losses, plots
from coursekit.labs.lab import Control, Lab, Prediction

# ------------------------------------------------------------------ the price of a mistake

PRICES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
WAYS = ("up", "down", "it stays about where it is")
# The plane is drawn in perspective: x₂ goes backwards, which is right and up in the picture.
BACK_RIGHT, BACK_UP = 0.45, 0.04

PLANE_PRESETS = {
    "waste is cheap": {"cost": 1, "profit": 9},
    "both cost the same": {"cost": 5, "profit": 5},
    "waste is dear": {"cost": 9, "profit": 1},
}


class Plane(NamedTuple):
    """The best plane for one pair of prices.

    Attributes
    ----------
    cost, profit : float
        Money lost for each unit made too much, and too little.
    weights : ndarray, shape (2,)
    error : ndarray, shape (n,)
        Prediction − sales in every row; exactly 0 in the rows that the plane goes through.
    money, money_least_squares : float
        Money lost with this plane, and with the plane of least squares.
    """

    cost: float
    profit: float
    weights: np.ndarray
    error: np.ndarray
    money: float
    money_least_squares: float


@cache
def _vertices() -> tuple[np.ndarray, np.ndarray]:
    """Weights of every plane through two rows, and their errors in all rows."""
    x, y = datasets.yogurt_sales()
    pairs = np.array(list(itertools.combinations(range(len(x)), 2)))
    weights = np.linalg.solve(x[pairs], y[pairs])[..., 0]
    error = weights @ x.T - y[:, 0]
    np.put_along_axis(error, pairs, 0.0, axis=1)  # exactly, without the rounding of `solve`
    return weights, error


def best_plane(cost: float, profit: float) -> Plane:
    """Find the plane w₁x₁ + w₂x₂ that loses the least money on the yogurt sales, exactly.

    The loss is a sum of straight pieces, so its lowest point is a corner, where two of the
    errors are 0: of all planes through two rows, one is the best. 32 rows have 496 pairs.

    Parameters
    ----------
    cost, profit : float
        Above 0.

    Returns
    -------
    Plane

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978), theorem 3.1.
    """
    weights, error = _vertices()
    money = np.where(error > 0, cost * error, -profit * error).sum(axis=1)
    best = int(money.argmin())
    x, y = datasets.yogurt_sales()
    by_least_squares = losses.asymmetric_loss(y, x @ least_squares()[:, None], cost, profit)
    return Plane(cost, profit, weights[best], error[best], float(money[best]), by_least_squares)


@cache
def least_squares() -> np.ndarray:
    """Weights with the lowest mean squared error, shape (2,)."""
    x, y = datasets.yogurt_sales()
    return np.linalg.lstsq(x, y, rcond=None)[0][:, 0]


def way(plane: Plane) -> str:
    """Say how the plane lies beside that of least squares: one of `WAYS`."""
    x, _ = datasets.yogurt_sales()
    shift = float(np.mean(x @ (plane.weights - least_squares())))
    if abs(shift) < 0.005:  # a tenth of the noise in the sales
        return WAYS[2]
    return WAYS[0] if shift > 0 else WAYS[1]


def describe_plane(plane: Plane) -> str:
    """Say in one sentence what the best plane is and what it loses."""
    over, under = plane.error[plane.error > 0], -plane.error[plane.error < 0]
    return (
        f"Cost {plane.cost:g}, profit {plane.profit:g}: "
        f"best plane w = ({plane.weights[0]:.4f}, {plane.weights[1]:.4f}), "
        f"too much {over.sum():.3f} in {len(over)} rows, "
        f"too little {under.sum():.3f} in {len(under)} rows, exact in 2; "
        f"money lost {plane.money:.3f} (least squares: {plane.money_least_squares:.3f})."
    )


def _in_perspective(x: np.ndarray, height: Any) -> tuple[np.ndarray, np.ndarray]:
    """Place points (x₁, x₂, height) in the flat picture."""
    return x[:, 0] + BACK_RIGHT * x[:, 1], height + BACK_UP * x[:, 1]


def _grid() -> np.ndarray:
    """Give the ends of the lines that stand for a plane, shape (n, 2); NaN lifts the pen."""
    lines = []
    for t in np.linspace(0, 1, 6):
        lines += [(0, t), (1, t), (np.nan, np.nan), (t, 0), (t, 1), (np.nan, np.nan)]
    return np.array(lines)


def _sticks(x: np.ndarray, bottom: np.ndarray, top: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join each bottom to its top; NaN lifts the pen between them."""
    height = np.column_stack([bottom, top, np.full(len(x), np.nan)]).ravel()
    return _in_perspective(np.repeat(x, 3, axis=0), height)


def paint_plane(figure: Any) -> dict[str, Any]:
    """Paint sales, axes of the weights and bars; return the artists that move."""
    space, weights, totals = figure.subplots(1, 3, gridspec_kw={"width_ratios": [5, 2.6, 2]})
    x, y = datasets.yogurt_sales()
    space.plot(*_in_perspective(_grid(), 0.0), color=plots.GREY, linewidth=0.8, alpha=0.7,
               label="x₁ + x₂")  # fmt: skip
    (plane,) = space.plot([], [], color=plots.GREEN, linewidth=1.3, label="best plane")
    (over,) = space.plot([], [], color=plots.BLUE, linewidth=2, label="too much")
    (under,) = space.plot([], [], "--", color=plots.VERMILION, linewidth=2, label="too little")
    space.plot(*_in_perspective(x, y[:, 0] - x.sum(axis=1)), "o", color=plots.GREY, markersize=5,
               markeredgecolor="white", label="sales")  # fmt: skip
    plots.tidy(space).set(xlim=(-0.08, 1.55), ylim=(-0.105, 0.16), yticks=[-0.05, 0, 0.05],
                          xticks=[0, 0.5, 1], xlabel="x₁ (x₂ goes backwards)",
                          ylabel="above x₁ + x₂", title="The plane among the sales")  # fmt: skip
    space.grid(False)
    space.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")
    weights.plot(*least_squares(), "+", color=plots.GREY, markersize=12, markeredgewidth=2,
                 label="least squares")  # fmt: skip
    (here,) = weights.plot([], [], "D", color=plots.GREEN, markersize=8, markeredgecolor="white",
                           label="best plane")  # fmt: skip
    plots.tidy(weights).set(xlim=(0.93, 1.07), ylim=(0.93, 1.07), xticks=[0.95, 1, 1.05],
                            yticks=[0.95, 1, 1.05], xlabel="w₁", ylabel="w₂",
                            title="Its weights")  # fmt: skip
    weights.legend(loc="upper left", frameon=False, fontsize="small")
    bars = {
        "over total": totals.bar([0], [1.0], color=plots.BLUE),
        "under total": totals.bar([1], [1.0], color=plots.VERMILION),
    }
    plots.tidy(totals).set(xlim=(-0.6, 1.6), ylim=(0, 1.5), xticks=[0, 1],
                           xticklabels=["too\nmuch", "too\nlittle"], ylabel="units, all 32 rows",
                           title="Totals")  # fmt: skip
    return {"plane": plane, "over": over, "under": under, "here": here, **bars}


def draw_plane(plane: Plane, artists: dict[str, Any]) -> None:
    """Put plane, sticks, weights and bars where `plane` says."""
    x, y = datasets.yogurt_sales()
    grid = _grid()
    artists["plane"].set_data(*_in_perspective(grid, grid @ (plane.weights - 1)))
    sold = y[:, 0] - x.sum(axis=1)
    predicted = sold + plane.error
    for name, rows in (("over", plane.error > 0), ("under", plane.error < 0)):
        artists[name].set_data(*_sticks(x[rows], sold[rows], predicted[rows]))
        artists[f"{name} total"].patches[0].set_height(np.abs(plane.error[rows]).sum())
    artists["here"].set_data(plane.weights[:1], plane.weights[1:])


def explore(predict: bool = False) -> Lab:
    """Open the first lab: cost and profit move the best plane.

    Parameters
    ----------
    predict : bool
        Lock the picture until the student has predicted where the plane goes.
    """
    question = Prediction("Beside least squares, where does the best plane lie?", WAYS, way)
    return Lab(
        title="The price of a mistake",
        alt="Left: the yogurt sales as points, with the best plane and the errors as sticks. "
        "Middle: the plane's two weights. Right: totals of what is made too much and too little.",
        controls=[
            Control("cost", "cost of a unit", PRICES, 1),
            Control("profit", "profit of a unit", PRICES, 9),
        ],
        presets=PLANE_PRESETS,
        compute=best_plane,
        paint=paint_plane,
        draw=draw_plane,
        describe=describe_plane,
        pinned=("plane", "here"),
        prediction=question if predict else None,
        size=(10, 3.8),
    )


# ------------------------------------------------------------------ cross entropy against MSE

PROBABILITIES = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05,
             *(round(0.05 * k, 2) for k in range(2, 20)),
             0.97, 0.98, 0.99, 0.995, 0.999)  # fmt: skip
SHOWN_STEPS = 40
PATIENCE = 20_000  # more steps than any p of the lab needs
TURNED = ("both", "only the one with cross entropy", "neither")

PROBABILITY_PRESETS = {
    "confident and wrong": {"p": 0.001},
    "undecided": {"p": 0.5},
    "confident and right": {"p": 0.99},
}


class Comparison(NamedTuple):
    """Two losses of one answer, what they do to its score, and where that leads.

    Attributes
    ----------
    p : float
        Probability that the model gives to the right one of two classes.
    cross_entropy, mse : float
    pull_cross_entropy, pull_mse : float
        Minus the derivative with respect to the score z, where p = sigmoid(z).
    path_cross_entropy, path_mse : ndarray, shape (SHOWN_STEPS + 1,)
        p before and after each step of gradient descent on z with learning rate 1.
    steps_cross_entropy, steps_mse : int
        Steps until p > 0.5.
    """

    p: float
    cross_entropy: float
    mse: float
    pull_cross_entropy: float
    pull_mse: float
    path_cross_entropy: np.ndarray
    path_mse: np.ndarray
    steps_cross_entropy: int
    steps_mse: int


def pull_cross_entropy(p: Any) -> Any:
    """Minus d(−ln p)/dz for p = sigmoid(z): the distance to the truth."""
    return 1 - p


def pull_mse(p: Any) -> Any:
    """Minus d(1 − p)²/dz for p = sigmoid(z): the factor p comes from the sigmoid's slope."""
    return 2 * p * (1 - p) ** 2


def compare_losses(p: float) -> Comparison:
    """Judge the answer p with both losses, and improve it with both."""
    paths: list[np.ndarray] = []
    steps: list[int] = []
    for pull in (pull_cross_entropy, pull_mse):
        path = [p]
        while len(path) <= SHOWN_STEPS or (path[-1] <= 0.5 and len(path) <= PATIENCE):
            z = np.log(path[-1] / (1 - path[-1])) + pull(path[-1])
            path.append(float(activations.sigmoid(z)))
        paths.append(np.array(path[: SHOWN_STEPS + 1]))
        steps.append(int(np.argmax(np.array(path) > 0.5)))
    right, answer = [1.0, 0.0], [p, 1 - p]
    return Comparison(
        p,
        float(losses.cross_entropy(right, answer)),
        losses.mean_squared_error(right, answer),
        pull_cross_entropy(p),
        pull_mse(p),
        paths[0],
        paths[1],
        steps[0],
        steps[1],
    )


def turned(result: Comparison) -> str:
    """Say who gives the right class more than one half within the shown steps."""
    if max(result.steps_cross_entropy, result.steps_mse) <= SHOWN_STEPS:
        return TURNED[0]
    return TURNED[1] if result.steps_cross_entropy <= SHOWN_STEPS else TURNED[2]


def describe_comparison(result: Comparison) -> str:
    """Say in one sentence what both losses make of p."""
    head = (
        f"p = {result.p:g}: cross entropy {result.cross_entropy:.3f} pulls the score with "
        f"{result.pull_cross_entropy:.3f}, MSE {result.mse:.3f} with {result.pull_mse:.4f}"
    )
    if result.p > 0.5:
        return head + "; the answer is right already."
    return (
        f"{head}; the answer turns right after {_steps(result.steps_cross_entropy)} "
        f"and after {_steps(result.steps_mse)}."
    )


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count > 1)}"


def paint_comparison(figure: Any) -> dict[str, Any]:
    """Paint losses, pulls and the axes of the two runs; return the artists that move."""
    axes = figure.subplots(1, 3)
    p = np.linspace(1e-4, 1 - 1e-4, 400)
    curves = ((-np.log(p), (1 - p) ** 2), (pull_cross_entropy(p), pull_mse(p)))
    for each, pair in zip(axes, curves, strict=False):
        plots.tidy(each).plot(p, pair[0], color=plots.BLUE, label="cross entropy")
        each.plot(p, pair[1], "--", color=plots.VERMILION, label="MSE")
        each.set(xlim=(-0.02, 1.02), xlabel="probability p of the right class")
    axes[0].set(ylim=(-0.3, 10), title="The loss")
    axes[1].set(ylim=(-0.03, 1.1), title="Its pull on the score")
    plots.tidy(axes[2]).set(xlim=(0, SHOWN_STEPS), ylim=(-0.03, 1.05), xlabel="step",
                            title="Learning: p after each step")  # fmt: skip
    axes[2].axhline(0.5, color=plots.GREY, linewidth=1, linestyle=":")
    artists = {}
    for name, color, dash, marker in (("cross entropy", plots.BLUE, "-", "o"),
                                      ("MSE", plots.VERMILION, "--", "s")):  # fmt: skip
        look = {"color": color, "markersize": 9, "markeredgecolor": "white"}
        (artists[f"loss {name}"],) = axes[0].plot([], [], marker, **look)
        (artists[f"pull {name}"],) = axes[1].plot([], [], marker, **look)
        (artists[f"path {name}"],) = axes[2].plot([], [], dash, color=color, linewidth=2)
    axes[0].legend(loc="upper right", frameon=False)
    return artists


def draw_comparison(result: Comparison, artists: dict[str, Any]) -> None:
    """Put the marks on the curves, and the two runs."""
    rows = (
        ("cross entropy", result.cross_entropy, result.pull_cross_entropy,
         result.path_cross_entropy),
        ("MSE", result.mse, result.pull_mse, result.path_mse),
    )  # fmt: skip
    for name, loss, pull, path in rows:
        artists[f"loss {name}"].set_data([result.p], [loss])
        artists[f"pull {name}"].set_data([result.p], [pull])
        artists[f"path {name}"].set_data(np.arange(len(path)), path)


def compare(predict: bool = False) -> Lab:
    """Open the second lab: one probability, judged by cross entropy and by MSE.

    Parameters
    ----------
    predict : bool
        Lock the picture until the student has predicted who learns.
    """
    question = Prediction(
        f"Who gives the right class more than one half within {SHOWN_STEPS} steps?", TURNED, turned
    )
    return Lab(
        title="Cross entropy and MSE",
        alt="Left: both losses against the probability p of the right class. Middle: how strongly "
        "they pull the score. Right: p after each step of learning with the one and the other.",
        controls=[Control("p", "probability p", PROBABILITIES, 0.01)],
        presets=PROBABILITY_PRESETS,
        compute=compare_losses,
        paint=paint_comparison,
        draw=draw_comparison,
        describe=describe_comparison,
        pinned=("path cross entropy", "path MSE"),
        prediction=question if predict else None,
        size=(10, 3.6),
    )
