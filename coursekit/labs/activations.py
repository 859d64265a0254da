"""Labs of lecture 01: one neuron and its activation; a layer of neurons that imitates a curve."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from coursekit import activations, plots
from coursekit.activations import Activation
from coursekit.labs.lab import Control, Lab, Prediction
from coursekit.network import count_parameters

# ---------------------------------------------------------------- one neuron

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "silu", "linear")
WEIGHTS = (-8, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 8)
BIASES = range(-4, 5)
INPUTS = np.linspace(-4, 4, 129)
MIDDLES = (INPUTS[1:] + INPUTS[:-1]) / 2  # never exactly on the corner of a ReLU
FLAT = 0.01  # a neuron with a smaller slope counts as saturated
SHARES = ("for all inputs", "for half or more", "for less than half", "for none")

NEURON_PRESETS = {
    "plain sigmoid": {"activation": "sigmoid", "weight": 1, "bias": 0},
    "saturated": {"activation": "sigmoid", "weight": 8, "bias": 0},
    "tanh": {"activation": "tanh", "weight": 1, "bias": 0},
    "plain ReLU": {"activation": "relu", "weight": 1, "bias": 0},
    "dead ReLU": {"activation": "relu", "weight": 0.5, "bias": -3},
    "saved by a leak": {"activation": "leaky_relu", "weight": 0.5, "bias": -3},
}


class Neuron(NamedTuple):
    """One neuron y = f(w x + b) over the inputs from −4 to 4.

    Attributes
    ----------
    activation : str
    weight, bias : float
    output, slope : ndarray, shape (129,)
        y, and f′ at w x + b.
    flat : ndarray of bool, shape (128,)
        Where, between the inputs, the neuron is saturated.
    """

    activation: str
    weight: float
    bias: float
    output: np.ndarray
    slope: np.ndarray
    flat: np.ndarray


def compute(activation: str, weight: float, bias: float) -> Neuron:
    """Pass all inputs through the neuron."""
    f: Activation = getattr(activations, activation)
    z = weight * INPUTS + bias
    flat = np.abs(f.derivative(weight * MIDDLES + bias)) < FLAT
    return Neuron(activation, weight, bias, f(z), f.derivative(z), flat)


def outcome(neuron: Neuron) -> str:
    """Name for how many inputs the neuron can learn: one of `SHARES`."""
    learns = 1 - neuron.flat.mean()
    if learns == 1:
        return SHARES[0]
    if learns == 0:
        return SHARES[3]
    return SHARES[1] if learns >= 0.5 else SHARES[2]


def describe(neuron: Neuron) -> str:
    """Say in one sentence what the neuron gives and where it is saturated."""
    low, high = neuron.output.min(), neuron.output.max()
    head = f"{neuron.activation}, w = {_number(neuron.weight, 'g')}, b = {neuron.bias:g}: "
    head = head.replace("-", "−")
    outputs = f"outputs from {_number(low)} to {_number(high)}"
    if low == high:
        outputs = f"the output is always {_number(low)}"
    if not neuron.flat.any():
        return f"{head}{outputs}; it can learn from every input."
    if not neuron.flat.all():
        share = f"{neuron.flat.mean():.0%}".replace("%", " %")
        return f"{head}{outputs}; saturated, |f′| < 0.01, for {share} of the inputs."
    if neuron.activation == "relu":
        return f"{head}{outputs} and its slope is 0: a dead ReLU, it learns nothing."
    return f"{head}{outputs}; saturated, |f′| < 0.01, for all inputs: it hardly learns."


def _number(value: float, style: str = ".3f") -> str:
    text = format(value, style)
    return text.replace("-", "" if float(text) == 0 else "−")


def paint(figure: Any) -> dict[str, Any]:
    """Paint the axes of output and slope; return the artists that move."""
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        plots.tidy(axes).axhline(0, color=plots.GREY, linewidth=1)
        axes.set(xlim=(-4, 4), xlabel="input x", xticks=range(-4, 5, 2))
    left.set(ylim=(-2.2, 4.2), ylabel="output y = f(wx + b)", title="What the neuron says")
    right.set(ylim=(-0.3, 1.3), ylabel="slope f′(wx + b)", title="How much it can learn")
    (output,) = left.plot([], [], color=plots.BLUE, linewidth=2.5)
    (slope,) = right.plot([], [], "--", color=plots.VERMILION, linewidth=2.5)
    (flat,) = right.plot([], [], color=plots.ORANGE, linewidth=7, solid_capstyle="butt")
    right.text(0, -0.24, "bar: saturated, |f′| < 0.01", ha="center", fontsize=9)
    return {"output": output, "slope": slope, "flat": flat}


def draw(neuron: Neuron, artists: dict[str, Any]) -> None:
    """Put curve, slope and the bar of the saturated inputs where `neuron` says."""
    artists["output"].set_data(INPUTS, neuron.output)
    artists["slope"].set_data(INPUTS, neuron.slope)
    # One short piece for each flat stretch between two inputs, separated by NaN.
    flat = np.append(neuron.flat, False) | np.append(False, neuron.flat)
    artists["flat"].set_data(INPUTS, np.where(flat, -0.1, np.nan))


def explore(predict: bool = False) -> Lab:
    """Open the lab: weight, bias and activation of a neuron → its curve and its slope.

    Parameters
    ----------
    predict : bool
        Lock the picture until the student has predicted for how many inputs the neuron learns.
    """
    question = Prediction(
        "Inputs from −4 to 4: for how many of them can this neuron learn (|f′| at least 0.01)?",
        SHARES,
        outcome,
    )
    return Lab(
        title="One neuron",
        alt="Left: the output of a neuron against its input. Right: the slope of its activation, "
        "with a bar under the inputs for which it is saturated.",
        controls=[
            Control("activation", "activation f", NAMES, "sigmoid", str, "choice"),
            Control("weight", "weight w", WEIGHTS, 1),
            Control("bias", "bias b", BIASES, 0),
        ],
        presets=NEURON_PRESETS,
        compute=compute,
        paint=paint,
        draw=draw,
        describe=describe,
        pinned=("output", "slope"),
        prediction=question if predict else None,
    )


# ---------------------------------------------------------------- a layer that imitates a curve

WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
HIDDEN = ("relu", "tanh", "square", "linear")
TARGETS = ("sin x", "a jump")
EDGE = math.pi
INSIDE = np.concatenate([np.linspace(-EDGE, EDGE, 400), [-1e-9, 1e-9]])  # both sides of the jump
INSIDE.sort()
SHOWN = np.linspace(-2 * EDGE, 2 * EDGE, 241)

WIDTH_PRESETS = {
    "2 neurons": {"hidden": "relu", "target": "sin x", "width": 2},
    "8 neurons": {"hidden": "relu", "target": "sin x", "width": 8},
    "64 neurons": {"hidden": "relu", "target": "sin x", "width": 64},
    "a polynomial": {"hidden": "square", "target": "sin x", "width": 64},
    "not continuous": {"hidden": "relu", "target": "a jump", "width": 64},
}


class Fit(NamedTuple):
    """A layer of neurons that imitates a curve on [−π, π].

    Attributes
    ----------
    width : int
        Hidden neurons.
    hidden, target : str
        Activation of the hidden neurons; the curve to imitate.
    curve : ndarray, shape (241,)
        The imitation at `SHOWN`, from −2π to 2π.
    errors : ndarray, shape (12,)
        Largest error on [−π, π] for each of `WIDTHS`.
    """

    width: int
    hidden: str
    target: str
    curve: np.ndarray
    errors: np.ndarray


def target_values(target: str, x: np.ndarray) -> np.ndarray:
    """Compute the curve that is imitated."""
    return np.sin(x) if target == "sin x" else np.sign(x)


def neuron_outputs(x: np.ndarray, width: int, hidden: str) -> np.ndarray:
    """Pass inputs through `width` neurons f(x − kᵢ); shape (inputs, width + 1), the last all 1.

    The corners kᵢ lie evenly on [−π, π), the first at its left end. A tanh is made steeper as the
    neurons get closer, so that each does its own part.
    """
    corners = np.linspace(-EDGE, EDGE, width, endpoint=False)
    z = x[:, None] - corners
    if hidden == "tanh":
        z = z * max(1.0, width / (2 * EDGE))
    f = np.square if hidden == "square" else getattr(activations, hidden)
    return np.column_stack([f(z), np.ones(len(x))])


@cache
def fit(width: int, hidden: str) -> tuple[np.ndarray, np.ndarray]:
    """Find the best output weights by least squares, for each of `TARGETS`.

    Returns
    -------
    curves : ndarray, shape (241, 2)
        The imitations at `SHOWN`.
    errors : ndarray, shape (2,)
        Their largest errors on [−π, π].
    """
    features = neuron_outputs(INSIDE, width, hidden)
    truth = np.column_stack([target_values(target, INSIDE) for target in TARGETS])
    weights = np.linalg.lstsq(features, truth, rcond=1e-10)[0]
    errors = np.abs(features @ weights - truth).max(axis=0)
    return neuron_outputs(SHOWN, width, hidden) @ weights, errors


def approximate_compute(hidden: str, target: str, width: int) -> Fit:
    """Fit the layer of this width, and the layers of all other widths to compare."""
    column = TARGETS.index(target)
    errors = np.array([fit(each, hidden)[1][column] for each in WIDTHS])
    return Fit(width, hidden, target, fit(width, hidden)[0][:, column], errors)


def approximate_describe(result: Fit) -> str:
    """Say in one sentence how large the largest error is."""
    error = result.errors[WIDTHS.index(result.width)]
    away = abs(result.curve[-1] - target_values(result.target, SHOWN[-1:])[0])
    parameters = count_parameters([1, result.width, 1])
    neurons = f"{result.width} {result.hidden} neuron{'s' * (result.width > 1)}"
    return (
        f"{neurons}, {parameters} parameters: {result.target} with a largest error of {error:.2g} "
        f"inside [−π, π]; outside, at 2π, wrong by {away:.1f}."
    )


def approximate_paint(figure: Any) -> dict[str, Any]:
    """Paint the axes of curve and errors; return the artists that move."""
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
    plots.tidy(left).axvspan(-EDGE, EDGE, color=plots.GREY, alpha=0.15, linewidth=0)
    left.set(xlim=(-2 * EDGE, 2 * EDGE), ylim=(-2.4, 2.4), xlabel="input x", ylabel="output",
             title="Fitted only inside the grey band",
             xticks=[-2 * EDGE, -EDGE, 0, EDGE, 2 * EDGE],
             xticklabels=["−2π", "−π", "0", "π", "2π"])  # fmt: skip
    plots.tidy(right).set(xlim=(0.9, 75), ylim=(3e-4, 4), xscale="log", yscale="log",
                          xlabel="hidden neurons (log scale)", ylabel="largest error (log scale)",
                          xticks=[1, 2, 4, 8, 16, 32, 64], yticks=[1e-3, 1e-2, 1e-1, 1],
                          xticklabels=["1", "2", "4", "8", "16", "32", "64"],
                          yticklabels=["0.001", "0.01", "0.1", "1"],
                          title="More neurons, smaller error?")  # fmt: skip
    right.minorticks_off()
    (curve,) = left.plot([], [], color=plots.BLUE, linewidth=3, label="the layer")
    (target,) = left.plot([], [], "--", color=plots.VERMILION, linewidth=1.8, label="to imitate")
    (errors,) = right.plot([], [], color=plots.BLUE, marker="o", markersize=4, linewidth=1.5)
    (here,) = right.plot([], [], "D", color=plots.VERMILION, markersize=9, markeredgecolor="white")
    left.legend(loc="upper center", ncols=2, frameon=False)
    return {"curve": curve, "target": target, "errors": errors, "here": here}


def approximate_draw(result: Fit, artists: dict[str, Any]) -> None:
    """Put both curves, the errors and the mark of this width where `result` says."""
    index = WIDTHS.index(result.width)
    artists["curve"].set_data(SHOWN, result.curve)
    artists["target"].set_data(SHOWN, target_values(result.target, SHOWN))
    artists["errors"].set_data(WIDTHS, result.errors)
    artists["here"].set_data(WIDTHS[index : index + 1], result.errors[index : index + 1])


def approximate() -> Lab:
    """Open the lab: number of hidden neurons → how well the layer imitates a curve."""
    return Lab(
        title="A layer imitates a curve",
        alt="Left: a curve and its imitation by one hidden layer, fitted between −π and π. "
        "Right: the largest error against the number of hidden neurons.",
        controls=[
            Control("hidden", "hidden neurons", HIDDEN, "relu", str, "choice"),
            Control("target", "curve to imitate", TARGETS, "sin x", str, "choice"),
            Control("width", "neurons n", WIDTHS, 4),
        ],
        presets=WIDTH_PRESETS,
        compute=approximate_compute,
        paint=approximate_paint,
        draw=approximate_draw,
        describe=approximate_describe,
        pinned=("curve", "errors"),
    )
