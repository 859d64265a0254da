"""Lab of lecture 04: one learning rate, its path on a parabola and its loss curve."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from coursekit import landscapes, optimizers, plots
from coursekit.labs.lab import Control, Lab, Prediction, Time, logarithmic

STEPS = 60
MINIMUM = -1.0
REACHED = 5e-4  # w rounds to −1.000
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
OUTCOMES = ("creeps", "converges", "arrives in one step", "oscillates for ever", "diverges")

# Close to 1, where the behaviour changes, the positions lie closer together.
RATES = (*(rate for rate in logarithmic(1e-4, 1.0) if rate < 0.6),
         0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0, 1.01, 1.05, 1.1, 1.2, 1.5)  # fmt: skip

PRESETS = {
    "too slow": {"learning_rate": 1e-4, "start": 5, "steps": 40},
    "good": {"learning_rate": 0.2, "start": 5, "steps": 40},
    "one step": {"learning_rate": 0.5, "start": 5, "steps": 40},
    "oscillates": {"learning_rate": 1.0, "start": 5, "steps": 40},
    "diverges": {"learning_rate": 1.1, "start": 5, "steps": 40},
}


class Result(NamedTuple):
    """One run of gradient descent on the loss (w + 1)².

    Attributes
    ----------
    learning_rate : float
    w, loss : ndarray, shape (steps + 1,)
        The start first.
    """

    learning_rate: float
    w: np.ndarray
    loss: np.ndarray


def compute(learning_rate: float, start: float, steps: int) -> Result:
    """Run gradient descent from `start`."""
    sgd = optimizers.SGD(learning_rate)
    trace = optimizers.minimize(landscapes.parabola(), sgd, start, steps)
    return Result(learning_rate, trace.points[:, 0], trace.losses)


def outcome(result: Result) -> str:
    """Name how the run behaves: one of `OUTCOMES`."""
    factor = 1 - 2 * result.learning_rate  # each step multiplies the distance to −1 by it
    if abs(factor) > 1 + 1e-9:
        return "diverges"
    if abs(factor) > 1 - 1e-9:
        return "oscillates for ever"
    if abs(factor) < 1e-9:
        return "arrives in one step"
    return "creeps" if factor > 0.9 else "converges"


def describe(result: Result, steps: int) -> str:
    """Say in one sentence where `steps` steps have led."""
    w, loss = result.w[steps], result.loss[steps]
    head = f"η = {result.learning_rate:g}: "
    near = np.abs(result.w[: steps + 1] - MINIMUM) < REACHED
    if result.w[0] == MINIMUM:
        return head + "starts at the minimum, where the gradient is 0 and nothing moves."
    if steps == 0:
        return head + f"starts at w = {number(w)}, loss {number(loss)}."
    if near.any():
        first = int(near.argmax())
        return head + f"reaches w = −1.000 in {first} step{'s' * (first > 1)}."
    here = f"after {steps} step{'s' * (steps > 1)} w = {number(w)}, loss {number(loss)}"
    ending = {
        "diverges": ", farther away with every step: it diverges.",
        "oscillates for ever": f", jumping between {number(result.w[0])} and "
        f"{number(-2 - result.w[0])} for ever.",
        "creeps": ", still creeping.",
    }
    return head + here + ending.get(outcome(result), ".")


def number(value: float) -> str:
    """Write a number with three decimals, a large one as 2.6 × 10⁴."""
    if not np.isfinite(value):
        return "beyond all numbers"
    if abs(value) < 1e4:
        return f"{value:.3f}".replace("-", "−")
    mantissa, exponent = f"{value:.1e}".replace("-", "−").split("e+")
    return f"{mantissa} × 10" + exponent.lstrip("0").translate(SUPERSCRIPTS)


def paint(figure: Any) -> dict[str, Any]:
    """Paint parabola and loss axes; return the artists that move."""
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
    w = np.linspace(-9, 7, 200)
    plots.tidy(left).plot(w, (w + 1) ** 2, color=plots.GREY, linewidth=1.5, label="loss (w + 1)²")
    left.plot(MINIMUM, 0, "+", color=plots.GREEN, markersize=12, markeredgewidth=2,
              label="minimum w = −1")  # fmt: skip
    left.set(xlim=(-9, 7), ylim=(-3, 66), xlabel="parameter w", ylabel="loss",
             title="Where the steps lead")  # fmt: skip
    left.legend(loc="upper center", frameon=False)
    plots.tidy(right).set(xlim=(-1.5, STEPS + 1.5), ylim=(1e-8, 1e8), yscale="log", xlabel="step",
                          yticks=[1e-8, 1e-4, 1, 1e4, 1e8],
                          title="Loss after each step (log scale)")  # fmt: skip
    (path,) = left.plot([], [], "-", color=plots.VERMILION, marker="o", markersize=4, linewidth=1.2)
    (here,) = left.plot([], [], "D", color=plots.BLUE, markersize=9, markeredgecolor="white")
    (curve,) = right.plot([], [], "-", color=plots.VERMILION, linewidth=2)
    (now,) = right.plot([], [], "D", color=plots.BLUE, markersize=8, markeredgecolor="white")
    return {"path": path, "curve": curve, "here": here, "now": now}


def draw(result: Result, artists: dict[str, Any]) -> None:
    """Put path, curve and their ends where `result` says."""
    step = np.arange(len(result.w))
    # A logarithmic axis has no place for the exact 0 that η = 0.5 reaches.
    loss = np.maximum(result.loss, 1e-30)
    artists["path"].set_data(result.w, result.loss)
    artists["curve"].set_data(step, loss)
    artists["here"].set_data(result.w[-1:], result.loss[-1:])
    artists["now"].set_data(step[-1:], loss[-1:])


def explore(predict: bool = False, sweep: bool = True) -> Lab:
    """Open the lab.

    Parameters
    ----------
    predict : bool
        Lock the picture until the student has predicted what the learning rate will do.
    sweep : bool
        Compute every position beforehand; otherwise Python computes while a slider moves.
    """
    question = Prediction("What will this learning rate do?", OUTCOMES, outcome)
    return Lab(
        title="Learning rate on a parabola",
        alt="Left: the parabola (w + 1)² with the steps of gradient descent. "
        "Right: the loss after each step.",
        controls=[
            Control("learning_rate", "learning rate η", RATES, 0.2),
            Control("start", "start w₀", range(-8, 7), 5),
            Control("steps", "steps", range(STEPS + 1), 40),
        ],
        presets=PRESETS,
        compute=compute,
        paint=paint,
        draw=draw,
        describe=describe,
        time=Time("steps", grows=("path", "curve"), follows={"here": "path", "now": "curve"}),
        pinned=("path", "curve"),
        prediction=question if predict else None,
        sweep=sweep,
    )
