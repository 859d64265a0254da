"""Lab of lecture 05: a schedule, the walk that it makes on a noisy parabola, and its loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from coursekit import plots, schedules
from coursekit.labs.lab import Control, Lab, Prediction, Time
from coursekit.labs.learning_rate import number

STEPS = 100
START, MINIMUM = 5.0, -1.0
RATES = (0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.2)
PERIODS = (4, 10, 20, 50, 100)
LATE = 10  # the last steps, over which the end is judged
# The error of the slope in each step. All runs meet the same noise: only the schedule differs.
NOISE = {
    "none": [0.0] * STEPS,
    "mini-batches": np.random.default_rng(30).normal(0, 2, STEPS).tolist(),
}
OUTCOMES = ("stays far away", "jitters around −1", "settles near −1", "diverges")

# η₀ and the one decay parameter T to a schedule. What T means, `MEANING` says.
SCHEDULES: dict[str, Callable[[float, int], schedules.Schedule]] = {
    "constant": lambda rate, T: schedules.piecewise_constant([], [rate]),
    "exponential": lambda rate, T: schedules.exponential_decay(rate, T, 0.5),
    "staircase": lambda rate, T: schedules.exponential_decay(rate, T, 0.5, staircase=True),
    "piecewise": lambda rate, T: schedules.piecewise_constant(
        [T, 2 * T], [rate, rate / 10, rate / 100]
    ),
    "inverse time": lambda rate, T: schedules.inverse_time_decay(rate, T, 1),
    "cosine": lambda rate, T: schedules.cosine_decay(rate, T),
    "cosine with restarts": lambda rate, T: schedules.cosine_restarts(rate, T, t_mul=1),
    "cyclical": lambda rate, T: schedules.cyclical(rate / 10, rate, T / 2),
    "warm-up, then cosine": lambda rate, T: schedules.with_warmup(
        schedules.cosine_decay(rate, STEPS), T
    ),
}
MEANING = {
    "constant": "no decay",
    "exponential": "halves every {} steps",
    "staircase": "halves in a jump every {} steps",
    "piecewise": "a tenth after {} steps, a hundredth after twice as many",
    "inverse time": "half after {} steps, a third after twice as many",
    "cosine": "down to 0 in {} steps",
    "cosine with restarts": "down to 0 every {} steps, then up again",
    "cyclical": "up and down every {} steps",
    "warm-up, then cosine": "climbs for {} steps, then falls",
}

PRESETS = {
    "constant": {"schedule": "constant", "initial_rate": 0.4, "period": 20},
    "exponential": {"schedule": "exponential", "initial_rate": 0.4, "period": 10},
    "staircase": {"schedule": "staircase", "initial_rate": 0.4, "period": 10},
    "piecewise": {"schedule": "piecewise", "initial_rate": 0.4, "period": 20},
    "inverse time": {"schedule": "inverse time", "initial_rate": 0.4, "period": 4},
    "cosine": {"schedule": "cosine", "initial_rate": 0.4, "period": 100},
    "restarts": {"schedule": "cosine with restarts", "initial_rate": 0.4, "period": 50},
    "cyclical": {"schedule": "cyclical", "initial_rate": 0.4, "period": 20},
    "warm-up": {"schedule": "warm-up, then cosine", "initial_rate": 0.4, "period": 10},
    "frozen": {"schedule": "exponential", "initial_rate": 0.03, "period": 4},
}


class Result(NamedTuple):
    """One noisy descent on the loss (w + 1)² with a schedule.

    Attributes
    ----------
    head : str
        The schedule in words.
    initial_rate : float
        η₀, the highest rate.
    rates : ndarray, shape (STEPS + 1,)
        Learning rate of step 0, 1, …; the last one is not used.
    w, loss : ndarray, shape (STEPS + 1,)
        The start first.
    late : float
        Mean distance to the minimum over the last steps.
    """

    head: str
    initial_rate: float
    rates: np.ndarray
    w: np.ndarray
    loss: np.ndarray
    late: float


def compute(schedule: str, initial_rate: float, period: int, noise: str, steps: int) -> Result:
    """Descend from 5 with the same noise in every run; `steps` only says how much is shown."""
    rates = SCHEDULES[schedule](initial_rate, period)(np.arange(STEPS + 1))
    visited = [START]
    for rate, error in zip(rates.tolist(), NOISE[noise], strict=False):
        w = visited[-1]
        visited.append(w - rate * (2 * (w + 1) + error))
    path = np.array(visited)
    late = float(np.abs(path[-LATE:] - MINIMUM).mean())
    head = f"{schedule}, η₀ = {initial_rate:g}, {MEANING[schedule].format(period)}: "
    return Result(head, initial_rate, rates, path, (path + 1) ** 2, late)


def outcome(result: Result) -> str:
    """Name how the run ends: one of `OUTCOMES`."""
    if result.late > abs(START - MINIMUM):
        return "diverges"
    # Who has ever crossed the minimum has arrived. Jitter crosses it again and again.
    if result.late > 0.5 and (result.w > MINIMUM).all():
        return "stays far away"
    return "jitters around −1" if result.late > 0.25 else "settles near −1"


def describe(result: Result, steps: int) -> str:
    """Say in one sentence where `steps` steps have led."""
    w = number(result.w[steps])
    if steps == 0:
        return f"{result.head}starts at w = {w}."
    here = f"{result.head}after {steps} steps w = {w}, last η = {result.rates[steps - 1]:.3g}"
    if steps < STEPS:
        return f"{here}."
    ending = {
        "diverges": "it diverges",
        "stays far away": f"still {number(result.late)} away from −1, it never arrived",
    }
    mean = f"the last {LATE} weights lie {number(result.late)} from −1 on average"
    return f"{here}; {ending.get(outcome(result), mean)}."


def paint(figure: Any) -> dict[str, Any]:
    """Paint the axes for rate, path and loss; return the artists that move."""
    rate, path, loss = figure.subplots(1, 3)
    for axes in (rate, path, loss):
        plots.tidy(axes).set(xlim=(-2, STEPS + 2), xlabel="step k")
    rate.set(ylim=(-0.03, 1.06), ylabel="learning rate, as a part of η₀", title="The schedule")
    path.axhline(MINIMUM, color=plots.GREEN, linestyle="--", linewidth=1.2)
    path.set(ylim=(-5, 6), ylabel="weight w (minimum at −1)", title="The path")
    loss.set(ylim=(1e-6, 1e3), yscale="log", yticks=[1e-6, 1e-4, 1e-2, 1, 100],
             title="The loss (log scale)")  # fmt: skip
    (plan,) = rate.plot([], [], ":", color=plots.GREY, linewidth=1.5)
    (rates,) = rate.plot([], [], "-", color=plots.BLUE, linewidth=2)
    (walk,) = path.plot([], [], "-", color=plots.VERMILION, marker="o", markersize=3, linewidth=1)
    (curve,) = loss.plot([], [], "-", color=plots.VERMILION, linewidth=1.5)
    ends = {
        name: axes.plot([], [], "D", color=plots.BLUE, markersize=8, markeredgecolor="white")[0]
        for name, axes in (("now", rate), ("here", path), ("last", loss))
    }
    return {"plan": plan, "rates": rates, "walk": walk, "curve": curve, **ends}


def draw(result: Result, artists: dict[str, Any]) -> None:
    """Put schedule, path, loss and their ends where `result` says."""
    step = np.arange(STEPS + 1)
    loss = np.maximum(result.loss, 1e-30)  # a logarithmic axis has no place for 0
    part = result.rates / result.initial_rate
    artists["plan"].set_data(step, part)
    lines = (("rates", "now", part), ("walk", "here", result.w), ("curve", "last", loss))
    for line, end, values in lines:
        artists[line].set_data(step, values)
        artists[end].set_data(step[-1:], values[-1:])


def explore(predict: bool = False) -> Lab:
    """Open the lab.

    Parameters
    ----------
    predict : bool
        Lock the picture until the student has predicted how the run ends.
    """
    question = Prediction(f"How will the run end, after {STEPS} steps?", OUTCOMES, outcome)
    return Lab(
        title="Learning-rate schedules on a noisy parabola",
        alt="Left: the learning rate of each step. Middle: the weight after each step, from 5 "
        "towards the minimum at −1. Right: the loss (w + 1)² after each step.",
        controls=[
            Control("schedule", "schedule", tuple(SCHEDULES), "constant", str, kind="choice"),
            Control("initial_rate", "highest rate η₀", RATES, 0.4),
            Control("period", "decay period T", PERIODS, 20),
            Control("noise", "noise of the slope", tuple(NOISE), "mini-batches", str, "choice"),
            Control("steps", "steps", range(STEPS + 1), STEPS),
        ],
        presets=PRESETS,
        compute=compute,
        paint=paint,
        draw=draw,
        describe=describe,
        time=Time(
            "steps",
            grows=("rates", "walk", "curve"),
            follows={"now": "rates", "here": "walk", "last": "curve"},
        ),
        pinned=("plan", "walk", "curve"),
        prediction=question if predict else None,
        size=(9.6, 3.6),
    )
