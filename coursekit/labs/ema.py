"""Lab of lecture 06: one β, its average of the noisy cosine, and the weights behind it."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from coursekit import averages, datasets, plots
from coursekit.labs.lab import Control, Lab, Prediction

# Spaced evenly in the window 1 / (1 − β), about: 0.9, 0.99 and 0.999 are equally easy to reach.
BETAS = (0.0, 0.2, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95,
         0.96, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.998, 0.999)  # fmt: skip
SAMPLES = (1, 2, 5, 10, 20, 50, 100, 200, 300, 400, 500)
AGES = 120  # samples of the past in the picture of the weights
CURVE = datasets.noisy_cosine()
OUTCOMES = ("less than half the error", "a smaller error", "the same error", "a larger error")

PRESETS = {
    "β = 0.5": {"beta": 0.5, "correction": False, "sample": 300},
    "β = 0.9": {"beta": 0.9, "correction": False, "sample": 300},
    "β = 0.98": {"beta": 0.98, "correction": False, "sample": 300},
    "β = 0.999": {"beta": 0.999, "correction": False, "sample": 300},
    "the start": {"beta": 0.98, "correction": False, "sample": 10},
    "the start, corrected": {"beta": 0.98, "correction": True, "sample": 10},
}


class Result(NamedTuple):
    """One average of the noisy cosine.

    Attributes
    ----------
    beta : float
    correction : bool
    sample : int
        The sample at which the window and the weights are shown, 1 … 500.
    average : ndarray, shape (500,)
    error, noise : float
        Root of the mean squared distance to the clean cosine: of the average, of the data.
    lag : int
        How many samples after the clean cosine's the valley of its own average comes. The noise
        is left out: it would shake the ruler.
    """

    beta: float
    correction: bool
    sample: int
    average: np.ndarray
    error: float
    noise: float
    lag: int

    @property
    def window(self) -> float:
        """How many samples the average remembers, about."""
        return 1 / (1 - self.beta)


@cache
def smooth(beta: float, correction: bool) -> tuple[np.ndarray, float, float, int]:
    """Average the noisy cosine; give the average, its error, the data's error and the lag."""
    average = averages.ewma(CURVE.noisy, beta, correction)
    lag = valley(averages.ewma(CURVE.clean, beta, correction)) - valley(CURVE.clean)
    return average, distance(average), distance(CURVE.noisy), lag


def valley(curve: np.ndarray) -> int:
    """Find the lowest sample; of two that differ by rounding only, the first."""
    return int(np.argmin(np.round(curve, 9)))


def distance(curve: np.ndarray) -> float:
    """Root of the mean squared distance to the clean cosine."""
    return float(np.sqrt(np.mean((curve - CURVE.clean) ** 2)))


def compute(beta: float, correction: bool, sample: int) -> Result:
    """Average all samples; `sample` only says where to look."""
    return Result(beta, correction, sample, *smooth(beta, correction))


def outcome(result: Result) -> str:
    """Compare the error with that of the data: one of `OUTCOMES`."""
    if result.error < result.noise / 2:
        return OUTCOMES[0]
    if np.isclose(result.error, result.noise):
        return OUTCOMES[2]
    return OUTCOMES[1] if result.error < result.noise else OUTCOMES[3]


def describe(result: Result) -> str:
    """Say what the average costs and gains, and what it knows at the chosen sample."""
    total = 1.0 if result.correction else 1 - result.beta**result.sample
    window = f"{result.window:.{0 if result.window > 9 else 2}f}".removesuffix(".00")
    name = f"β = {result.beta:g}{', corrected' * result.correction}"
    return (
        f"{name}: window {window}, lag {result.lag} samples, "
        f"error {result.error:.3f} (data: {result.noise:.3f}). "
        f"At sample {result.sample} the weights sum to {total:.3f}."
    )


def paint(figure: Any) -> dict[str, Any]:
    """Paint data and axes; return the artists that move."""
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
    number = np.arange(1, len(CURVE.clean) + 1)
    plots.tidy(left).plot(number, CURVE.noisy, ".", color=plots.GREY, markersize=2.5, label="data")
    left.plot(number, CURVE.clean, "--", color=plots.GREEN, linewidth=1.5, label="clean cosine")
    left.set(xlim=(-8, 508), ylim=(-2.0, 2.5), xlabel="sample t", ylabel="value",
             title="The average follows the data")  # fmt: skip
    (window,) = left.plot([], [], "o", color=plots.BLUE, markersize=4, label="data in its window")
    (average,) = left.plot([], [], "-", color=plots.VERMILION, linewidth=2.2, label="average")
    left.legend(loc="upper center", frameon=False, ncols=2)
    (now,) = left.plot([], [], "D", color=plots.BLUE, markersize=8, markeredgecolor="white")
    plots.add_halo(average)
    plots.tidy(right).axhline(np.exp(-1), color=plots.GREY, linestyle="--", linewidth=1.2)
    right.text(AGES, 0.39, "1/e", color=plots.GREY, ha="right")
    right.set(xlim=(-2, AGES), ylim=(0, 1.12), title="What a sample still counts",
              xlabel="age i (0 = newest)", ylabel="weight, as a part of the newest")  # fmt: skip
    (weights,) = right.plot([], [], "-", color=plots.VERMILION, linewidth=2.2, label="on data")
    (missing,) = right.plot([], [], ":", color=plots.PURPLE, linewidth=2.2, label="on the start 0")
    right.legend(loc="upper right", frameon=False)
    (edge,) = right.plot([], [], "D", color=plots.BLUE, markersize=8, markeredgecolor="white")
    return {"window": window, "average": average, "now": now,
            "weights": weights, "missing": missing, "edge": edge}  # fmt: skip


def draw(result: Result, artists: dict[str, Any]) -> None:
    """Put average, window and weights where `result` says."""
    sample, window = result.sample, result.window
    artists["average"].set_data(np.arange(1, len(result.average) + 1), result.average)
    inside = np.arange(max(sample - round(window), 0), sample)
    artists["window"].set_data(inside + 1, CURVE.noisy[inside])
    artists["now"].set_data([sample], [result.average[sample - 1]])
    age = np.arange(AGES + 1)
    share = result.beta ** age.astype(float)
    seen = age < sample
    artists["weights"].set_data(age[seen], share[seen])
    # Before the first sample there are no data: this part of the weights falls on S₀ = 0.
    missing = (age >= sample - 1) & (not result.correction)
    artists["missing"].set_data(age[missing], share[missing])
    artists["edge"].set_data([window], [result.beta**window])


def explore(predict: bool = False, sweep: bool = True) -> Lab:
    """Open the lab.

    Parameters
    ----------
    predict : bool
        Lock the picture until the student has predicted the error of the average.
    sweep : bool
        Compute every position beforehand; otherwise Python computes while a slider moves.
    """
    question = Prediction(
        "Compared with the data themselves, this average has …", OUTCOMES, outcome
    )
    return Lab(
        title="Moving average of a noisy cosine",
        alt="Left: noisy samples of a cosine, the clean cosine, and the moving average with its "
        "window. Right: the weight of each sample by its age.",
        controls=[
            Control("beta", "memory β", BETAS, 0.9),
            Control("correction", "bias correction", (False, True), False,
                    lambda on: "on" if on else "off", "choice"),
            Control("sample", "look at sample t", SAMPLES, 300),
        ],
        presets=PRESETS,
        compute=compute,
        paint=paint,
        draw=draw,
        describe=describe,
        pinned=("average", "weights"),
        prediction=question if predict else None,
        sweep=sweep,
        size=(8.6, 3.8),
    )  # fmt: skip
