"""Learning-rate schedules: functions that return a function of the step.

Every schedule takes the step number 0, 1, 2, … and gives the learning rate of that step; an array
of steps gives an array of rates. Names, arguments and values are those of Keras's schedules.

>>> rate = exponential_decay(0.1, decay_steps=10, decay_rate=0.99, staircase=True)
>>> rate(0), rate(10)
(0.1, 0.099)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from coursekit import _check

Schedule = Callable[[Any], Any]


def exponential_decay(
    initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
) -> Schedule:
    """Multiply by `decay_rate` every `decay_steps` steps: η₀ · rate^(step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
        η₀.
    decay_steps : float
        Often samples / batch size, the steps of one epoch.
    decay_rate : float
    staircase : bool
        Round the exponent down, so that η falls in jumps.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If a number is not above 0.
    """
    _check.positive(
        initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, decay_rate=decay_rate
    )

    @_of_step
    def schedule(step: Any) -> Any:
        exponent = step / decay_steps
        if staircase:
            exponent = np.floor(exponent)
        return initial_learning_rate * decay_rate**exponent

    return schedule


def piecewise_constant(boundaries: Sequence[float], values: Sequence[float]) -> Schedule:
    """Hold ``values[0]`` up to and with step ``boundaries[0]``, then ``values[1]``, and so on.

    Parameters
    ----------
    boundaries : sequence of float
        Rising step numbers.
    values : sequence of float
        Learning rates, one more than boundaries.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If the lengths do not fit, boundaries do not rise or a rate is not above 0.
    """
    edges, rates = np.array(boundaries, dtype=float), np.array(values, dtype=float)
    if edges.ndim != 1 or rates.shape != (len(edges) + 1,):
        raise ValueError("values must be a list with one entry more than boundaries")
    if not (np.diff(edges) > 0).all():
        raise ValueError("boundaries must rise from one to the next")
    for value in rates:
        _check.positive(values=float(value))

    @_of_step
    def schedule(step: Any) -> Any:
        return rates[np.searchsorted(edges, step, side="left")]

    return schedule


def inverse_time_decay(
    initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
) -> Schedule:
    """Divide by a growing number: η₀ / (1 + rate · step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
        η₀.
    decay_steps, decay_rate : float
    staircase : bool
        Round step / decay_steps down.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If a number is not above 0.

    References
    ----------
    H. Robbins, S. Monro, "A stochastic approximation method" (1951): steps that shrink like
    1 / step reach the minimum in spite of noise, for convex problems.
    """
    _check.positive(
        initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, decay_rate=decay_rate
    )

    @_of_step
    def schedule(step: Any) -> Any:
        periods = step / decay_steps
        if staircase:
            periods = np.floor(periods)
        return initial_learning_rate / (1 + decay_rate * periods)

    return schedule


def polynomial_decay(
    initial_learning_rate: float,
    decay_steps: float,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
) -> Schedule:
    """Fall from η₀ to an end value: (η₀ − end) · (1 − step / decay_steps)^power + end.

    Parameters
    ----------
    initial_learning_rate : float
        η₀.
    decay_steps : float
    end_learning_rate : float
        Reached at `decay_steps` and kept after it.
    power : float
        1 gives a straight line.
    cycle : bool
        At every multiple of `decay_steps`, stretch the curve to the next multiple instead of
        staying at the end value: η jumps up and falls again.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If `end_learning_rate` is negative or another number is not above 0.
    """
    _check.positive(
        initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, power=power
    )
    _check.not_negative(end_learning_rate=end_learning_rate)

    @_of_step
    def schedule(step: Any) -> Any:
        length = decay_steps
        if cycle:
            length = decay_steps * np.maximum(1, np.ceil(step / decay_steps))
        left = 1 - np.minimum(step, length) / length
        return (initial_learning_rate - end_learning_rate) * left**power + end_learning_rate

    return schedule


def cosine_decay(initial_learning_rate: float, decay_steps: float, alpha: float = 0.0) -> Schedule:
    """Fall along half a cosine wave, from η₀ at step 0 to α η₀ at `decay_steps`.

    η₀ · ((1 − α) · (1 + cos(π · step / decay_steps)) / 2 + α). Keras's warm-up arguments are
    `with_warmup` here.

    Parameters
    ----------
    initial_learning_rate : float
        η₀.
    decay_steps : float
    alpha : float
        The part of η₀ that remains.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If a number is not above 0, or `alpha` is negative.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """
    _check.positive(initial_learning_rate=initial_learning_rate, decay_steps=decay_steps)
    _check.not_negative(alpha=alpha)

    @_of_step
    def schedule(step: Any) -> Any:
        wave = (1 + np.cos(np.pi * np.minimum(step, decay_steps) / decay_steps)) / 2
        return initial_learning_rate * ((1 - alpha) * wave + alpha)

    return schedule


def cosine_restarts(
    initial_learning_rate: float,
    first_decay_steps: float,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> Schedule:
    """Cosine decay that starts anew: period i is t_mulⁱ times as long and m_mulⁱ times as high.

    Parameters
    ----------
    initial_learning_rate : float
        η₀.
    first_decay_steps : float
        Steps in the first period.
    t_mul : float
        Growth of the length, 1 or above.
    m_mul : float
        Growth of the height.
    alpha : float
        The part of η₀ that remains at the end of every period.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If a number lies outside its range.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """
    _check.positive(
        initial_learning_rate=initial_learning_rate, first_decay_steps=first_decay_steps
    )
    _check.not_negative(m_mul=m_mul, alpha=alpha)
    _check.positive(t_mul=t_mul)
    if t_mul < 1:
        raise ValueError(f"t_mul must be 1 or above, not {t_mul!r}: periods may not shrink")

    @_of_step
    def schedule(step: Any) -> Any:
        periods = step / first_decay_steps
        # Period i starts at 1 + t_mul + … + t_mul^(i − 1) first periods. The logarithm may fall
        # short of a whole number by rounding; without the 1e-9 a restart would come a step late.
        if t_mul == 1:
            i = np.floor(periods)
            begin = i
        else:
            i = np.floor(np.log1p(periods * (t_mul - 1)) / np.log(t_mul) + 1e-9)
            begin = (t_mul**i - 1) / (t_mul - 1)
        wave = (1 + np.cos(np.pi * (periods - begin) / t_mul**i)) / 2
        return initial_learning_rate * ((1 - alpha) * m_mul**i * wave + alpha)

    return schedule


def cyclical(
    initial_learning_rate: float,
    maximal_learning_rate: float,
    step_size: float,
    mode: str = "triangular",
    gamma: float = 1.0,
) -> Schedule:
    """Go up and down in a triangle: low, high after `step_size` steps, low after twice as many.

    Parameters
    ----------
    initial_learning_rate, maximal_learning_rate : float
        The low and the high value.
    step_size : float
        Steps in half a cycle.
    mode : {"triangular", "triangular2", "exp_range"}
        The height of the triangles: constant, halved after each cycle, or times gamma^step.
    gamma : float
        For ``"exp_range"``, above 0 and up to 1.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If a number lies outside its range.

    References
    ----------
    L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017.
    """
    _check.positive(
        initial_learning_rate=initial_learning_rate,
        maximal_learning_rate=maximal_learning_rate,
        step_size=step_size,
        gamma=gamma,
    )
    _check.one_of(("triangular", "triangular2", "exp_range"), mode=mode)
    if maximal_learning_rate < initial_learning_rate:
        raise ValueError("maximal_learning_rate must not be below initial_learning_rate")
    if gamma > 1:
        raise ValueError(f"gamma must not be above 1, not {gamma!r}: the triangles would grow")

    @_of_step
    def schedule(step: Any) -> Any:
        cycle = np.floor(step / (2 * step_size))
        height = 1 - np.abs(step / step_size - 2 * cycle - 1)
        if mode == "triangular2":
            height = height / 2**cycle
        elif mode == "exp_range":
            height = height * gamma**step
        return initial_learning_rate + (maximal_learning_rate - initial_learning_rate) * height

    return schedule


def with_warmup(
    schedule: Schedule, warmup_steps: float, initial_learning_rate: float = 0.0
) -> Schedule:
    """Climb in a straight line to where `schedule` begins, then follow it.

    Parameters
    ----------
    schedule : callable
        From step to learning rate; its step 0 is at step `warmup_steps`.
    warmup_steps : float
    initial_learning_rate : float
        Where the climb begins.

    Returns
    -------
    callable
        From step to learning rate.

    Raises
    ------
    ValueError
        If `schedule` is not a function, or a number lies outside its range.

    References
    ----------
    P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    arXiv:1706.02677 (2017).
    """
    if not callable(schedule):
        raise ValueError("schedule must be a function of the step, such as cosine_decay(0.1, 40)")
    _check.positive(warmup_steps=warmup_steps)
    _check.not_negative(initial_learning_rate=initial_learning_rate)

    @_of_step
    def warmed(step: Any) -> Any:
        slope = (schedule(0) - initial_learning_rate) / warmup_steps
        climb = initial_learning_rate + slope * step
        return np.where(step < warmup_steps, climb, schedule(np.maximum(step - warmup_steps, 0)))

    return warmed


def _of_step(formula: Schedule) -> Schedule:
    """Let `formula` take one step or an array of steps; one step gives a plain float."""

    @wraps(formula)
    def schedule(step: Any) -> Any:
        step = np.asarray(step, dtype=np.float64)
        if not (step >= 0).all():  # false for nan, too
            raise ValueError("step must be 0 or above: schedules count 0, 1, 2, …")
        rate = formula(step)
        return float(rate) if np.ndim(rate) == 0 else rate

    return schedule
