"""Lab of lecture 10: penalty, dropout, width and noise → boundary, training and fresh loss.

Training a network for every position takes about two minutes, far too long for a slider. So the
trained networks come with the package, in ``data/ring_networks.npz``, and the lab only asks them.
This makes them again:

    uv run python -m coursekit.labs.regularization
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import contourpy  # matplotlib's own contour generator
import numpy as np

from coursekit import datasets, ensembles, plots, schedules
from coursekit.labs.lab import Control, Lab, Prediction

FILE = Path(__file__).parents[1] / "data" / "ring_networks.npz"

NOISES = (0.0, 0.1, 0.2)
WIDTHS = (2, 4, 11, 50)
DROPOUTS = (0.0, 0.2, 0.5)
PENALTIES = ("L1", "L2")
LAMBDAS = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

SAMPLES, STEPS, LEARNING_RATE = 100, 4000, 0.01
EDGE = 3.4  # the picture shows −EDGE … EDGE
GRID = np.linspace(-EDGE, EDGE, 61)
OUTCOMES = ("underfits", "fits well", "overfits")

PRESETS = {
    "too small": {"width": 2, "noise": 0.2, "dropout": 0.0, "penalty": "L2", "strength": 0.0},
    "memorises": {"width": 50, "noise": 0.2, "dropout": 0.0, "penalty": "L2", "strength": 0.0},
    "L2 helps": {"width": 50, "noise": 0.2, "dropout": 0.0, "penalty": "L2", "strength": 0.01},
    "L1 helps": {"width": 50, "noise": 0.2, "dropout": 0.0, "penalty": "L1", "strength": 0.003},
    "dropout helps": {"width": 50, "noise": 0.2, "dropout": 0.5, "penalty": "L2", "strength": 0.0},
    "too strong": {"width": 50, "noise": 0.2, "dropout": 0.0, "penalty": "L2", "strength": 0.1},
}


def training_data(noise: float) -> datasets.Samples:
    """Give the first 100 dots of the ring, a share of them painted in the wrong colour."""
    return datasets.two_class_ring(SAMPLES, noise=noise)


def fresh_data(noise: float) -> datasets.Samples:
    """Give 4000 dots that no network has seen, with the same share of wrong colours."""
    return datasets.two_class_ring(4000, seed=7, noise=noise)


class Result(NamedTuple):
    """One trained network, and its neighbours with other λ.

    Attributes
    ----------
    noise, dropout, strength : float
        `strength` is λ.
    penalty : str
    width : int
    samples : Samples
        The dots it was trained on.
    boundary : ndarray, shape (points, 2)
        Where the output is 0.5; rows of NaN separate its pieces.
    training, fresh : ndarray, shape (len(LAMBDAS),)
        Mean squared error for every λ.
    best : float
        Lowest fresh loss of all networks of the lab with this noise.
    """

    noise: float
    dropout: float
    penalty: str
    strength: float
    width: int
    samples: datasets.Samples
    boundary: np.ndarray
    training: np.ndarray
    fresh: np.ndarray
    best: float

    @property
    def here(self) -> int:
        """Position of λ in `LAMBDAS`."""
        return LAMBDAS.index(self.strength)


def settings() -> list[tuple[float, float, str, float]]:
    """List (noise, dropout, penalty, λ) in the order in which the file holds the networks."""
    return [
        (noise, dropout, penalty, strength)
        for noise in NOISES
        for dropout in DROPOUTS
        for penalty in PENALTIES
        for strength in LAMBDAS
    ]


def train(width: int, chosen: list[tuple[float, float, str, float]]) -> ensembles.Ensemble:
    """Train one network of `width` neurons for each of the `chosen` settings, side by side."""
    noises, dropouts, penalties, strengths = (
        np.array(column) for column in zip(*chosen, strict=True)
    )
    return ensembles.fit(
        ensembles.start(width, [0] * len(chosen), stddev=None),
        training_data(0).x,
        np.array([training_data(noise).y for noise in noises]),
        STEPS,
        schedule=schedules.cosine_decay(LEARNING_RATE, STEPS),
        l1=np.where(penalties == "L1", strengths, 0),
        l2=np.where(penalties == "L2", strengths, 0),
        dropout=dropouts,
    )


def measure(networks: ensembles.Ensemble, chosen: list[tuple[float, float, str, float]]) -> Any:
    """Compute training and fresh loss of each network, shape (settings, 2)."""
    losses = []
    for theta, (noise, *_) in zip(networks.theta, chosen, strict=True):
        one = networks._replace(theta=theta[None])
        losses.append([one.loss(*data(noise))[0] for data in (training_data, fresh_data)])
    return np.array(losses)


def make(path: Path = FILE) -> None:
    """Train all networks and write the file."""
    arrays: dict[str, Any] = {}
    for width in WIDTHS:
        networks = train(width, settings())
        arrays[f"theta_{width}"] = networks.theta.astype(np.float32)
        arrays[f"losses_{width}"] = measure(networks, settings()).astype(np.float32)
    unfinished = path.with_suffix(".part.npz")
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)


@cache
def stored() -> dict[str, np.ndarray]:
    """Read the file."""
    with np.load(FILE) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


@cache
def lowest_fresh_loss(noise: float) -> float:
    """Find the lowest fresh loss of all stored networks with this noise."""
    rows = [i for i, setting in enumerate(settings()) if setting[0] == noise]
    return float(min(stored()[f"losses_{width}"][rows, 1].min() for width in WIDTHS))


def boundary(network: ensembles.Ensemble) -> np.ndarray:
    """Trace where the output of the first network is 0.5, shape (points, 2)."""
    plane = np.stack(np.meshgrid(GRID, GRID), axis=-1)
    output = network.predict(plane.reshape(-1, 2))[0].reshape(plane.shape[:2])
    contour = contourpy.contour_generator(GRID, GRID, output, line_type="ChunkCombinedNan")
    pieces: Any = contour.lines(0.5)
    ((points,),) = pieces
    return np.full((1, 2), np.nan) if points is None else points


def compute(noise: float, width: int, dropout: float, penalty: str, strength: float) -> Result:
    """Take the trained network of these values and trace its boundary."""
    index = settings().index((noise, dropout, penalty, strength))
    row = index - LAMBDAS.index(strength)
    losses = stored()[f"losses_{width}"][row : row + len(LAMBDAS)]
    network = ensembles.Ensemble(stored()[f"theta_{width}"][index : index + 1], 2, width)
    return Result(
        noise, dropout, penalty, strength, width, training_data(noise),
        boundary(network), losses[:, 0], losses[:, 1], lowest_fresh_loss(noise),
    )  # fmt: skip


def outcome(result: Result) -> str:
    """Judge a network: one of `OUTCOMES`.

    It fits well if no network of the lab has a fresh loss that is lower by more than 0.02. What
    is worse overfits if fresh dots cost much more than the training dots, else it underfits.
    """
    training, fresh = result.training[result.here], result.fresh[result.here]
    if fresh <= result.best + 0.02:
        return "fits well"
    return "overfits" if fresh - training > 0.05 else "underfits"


def describe(result: Result) -> str:
    """Say in one sentence what the network costs, and why."""
    training, fresh = result.training[result.here], result.fresh[result.here]
    penalty = f"{result.penalty} with λ = {result.strength:g}" if result.strength else "no penalty"
    dropout = f"dropout {result.dropout:g}" if result.dropout else "no dropout"
    pieces = f"{result.width} neurons, {penalty}, {dropout}, noise {100 * result.noise:g} %"
    one_colour = " The whole plane has one colour." if np.isnan(result.boundary).all() else ""
    losses = f"training loss {training:.3f}, fresh loss {fresh:.3f}"
    return f"{pieces}: {losses}. It {outcome(result)}.{one_colour}"


def paint(figure: Any) -> dict[str, Any]:
    """Paint the plane and the loss axes; return the artists that move."""
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1, 1.05]})
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)])
    plots.tidy(left).plot(*circle, color=plots.GREY, linewidth=1.5, label="true circle")
    left.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal", xlabel="x₀", ylabel="x₁",
             title="100 training dots and the 0.5 contour")  # fmt: skip
    plots.tidy(right).set(xlim=(-0.4, len(LAMBDAS) - 0.6), ylim=(0, 0.3), xlabel="λ",
                          ylabel="mean squared error", xticks=range(len(LAMBDAS)),
                          title="Loss for every λ")  # fmt: skip
    right.set_xticklabels(["0", "10⁻⁴", "", "10⁻³", "", "10⁻²", "", "10⁻¹"])
    (contour,) = left.plot([], [], "-", color=plots.GREEN, linewidth=2.2, label="0.5 contour")
    (red,) = left.plot([], [], "o", color=plots.VERMILION, markersize=4, label="red, 1")
    (blue,) = left.plot([], [], "s", color=plots.BLUE, markersize=4, label="blue, 0")
    (fresh,) = right.plot([], [], "--", color=plots.VERMILION, marker="s", markersize=4,
                          label="fresh dots")  # fmt: skip
    (training,) = right.plot([], [], "-", color=plots.BLUE, marker="o", markersize=4,
                             label="training dots")  # fmt: skip
    (floor,) = right.plot([], [], ":", color=plots.GREY, linewidth=1.5, label="noise alone")
    (now,) = right.plot([], [], "D", color=plots.GREEN, markersize=9, markeredgecolor="white",
                        label="this λ")  # fmt: skip
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    return {"contour": contour, "red": red, "blue": blue, "fresh": fresh, "training": training,
            "floor": floor, "now": now}  # fmt: skip


def draw(result: Result, artists: dict[str, Any]) -> None:
    """Put dots, contour and losses where `result` says."""
    x, y = result.samples
    artists["red"].set_data(*x[y[:, 0] == 1].T)
    artists["blue"].set_data(*x[y[:, 0] == 0].T)
    artists["contour"].set_data(*result.boundary.T)
    steps = np.arange(len(LAMBDAS))
    artists["fresh"].set_data(steps, result.fresh)
    artists["training"].set_data(steps, result.training)
    floor = result.noise * (1 - result.noise)  # of the best possible output, 1 − noise or noise
    artists["floor"].set_data([-0.4, len(LAMBDAS) - 0.6], [floor, floor])
    here = result.here
    artists["now"].set_data([here, here], [result.training[here], result.fresh[here]])


def explore(predict: bool = False, sweep: bool = True) -> Lab:
    """Open the lab.

    Parameters
    ----------
    predict : bool
        Lock the picture until the student has predicted whether the network over- or underfits.
    sweep : bool
        Send every position to the browser beforehand; otherwise only the present one.
    """
    question = Prediction("What will this network do?", OUTCOMES, outcome)
    return Lab(
        title="Regularisation on the ring",
        alt="Left: training dots in two colours, the true circle, and the boundary that a trained "
        "network draws. Right: its loss on training dots and on fresh dots for every λ.",
        controls=[
            Control("width", "hidden neurons", WIDTHS, 50),
            Control("noise", "wrong colours", NOISES, 0.2, "{:.0%}".format),
            Control("dropout", "dropout", DROPOUTS, 0.0),
            Control("penalty", "penalty", PENALTIES, "L2", str, "choice"),
            Control("strength", "strength λ", LAMBDAS, 0.0),
        ],
        presets=PRESETS,
        compute=compute,
        paint=paint,
        draw=draw,
        describe=describe,
        pinned=("contour", "fresh"),
        prediction=question if predict else None,
        sweep=sweep,
        size=(9, 4.6),
    )


if __name__ == "__main__":
    make()
