"""Gradient descent and its relatives, one small class for each.

An optimiser is a set of constants and never changes. What it remembers between steps, its state,
is made by ``begin`` and handed from step to step::

    state = optimizer.begin(w)
    w, state = optimizer.step(w, g, state, t, lr)

with parameters w, gradient g, step number t = 1, 2, … and learning rate lr (η). The arrays may
have any shape; every coordinate is treated alike. `minimize` is that loop. Names and defaults of
the constants are those of Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coursekit import _check
from coursekit.landscapes import Landscape

Array = NDArray[np.float64]
State = tuple[Any, ...]


class Optimizer(Protocol):
    """What `minimize` expects of an optimiser."""

    @property
    def learning_rate(self) -> float:
        """Learning rate η where no schedule gives another."""

    def begin(self, w: Array) -> State:
        """Make the state before the first step."""

    def step(self, w: Array, g: Array, state: State, t: int, lr: float) -> tuple[Array, State]:
        """Take step number `t`: give the new parameters and the new state."""


@dataclass(frozen=True)
class SGD:
    """Gradient descent, optionally with momentum μ: w ← w − η g.

    The three ways to write momentum differ in what the velocity v contains:

    ============= ==================== ============
    form          velocity             parameters
    ============= ==================== ============
    ``classical`` v ← μ v + g          w ← w − η v
    ``ewma``      v ← μ v + (1 − μ) g  w ← w − η v
    ``keras``     v ← μ v − η g        w ← w + v
    ============= ==================== ============

    With a fixed η, ``keras`` takes the same path as ``classical``, and ``ewma`` with η the same
    path as ``classical`` with (1 − μ) η. While a schedule lowers η, ``keras`` still moves on with
    steps that were scaled by the earlier η.

    Nesterov's momentum measures the gradient ahead, where the velocity is about to carry w, at
    w − η μ v (``classical``, ``ewma``). Keras measures it at w and jumps ahead in the update
    instead, w ← w + μ v − η g: the parameters it stores are the look-ahead points.

    Parameters
    ----------
    learning_rate : float
        η.
    momentum : float
        μ in [0, 1).
    nesterov : bool
    form : {"classical", "ewma", "keras"}

    Raises
    ------
    ValueError
        If a constant lies outside its range.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods" (1964).
    Y. Nesterov, "A method of solving a convex programming problem with convergence rate
    O(1/k²)" (1983).
    I. Sutskever et al., "On the importance of initialization and momentum in deep learning",
    ICML 2013.
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    form: str = "classical"

    def __post_init__(self) -> None:
        _check.positive(learning_rate=self.learning_rate)
        _check.decay(momentum=self.momentum)
        _check.one_of(("classical", "ewma", "keras"), form=self.form)

    def begin(self, w: Array) -> State:
        """Start at rest."""
        return (np.zeros_like(w),)

    def look_ahead(self, w: Array, state: State, lr: float) -> Array:
        """Give the point where the gradient is measured: w, or Nesterov's point ahead of it."""
        if not self.nesterov or self.form == "keras":
            return w
        (v,) = state
        return w - lr * self.momentum * v

    def step(self, w: Array, g: Array, state: State, t: int, lr: float) -> tuple[Array, State]:
        """Take one step."""
        mu = self.momentum
        if mu == 0:
            return w - lr * g, state
        (v,) = state
        if self.form == "keras":
            v = mu * v - lr * g
            return (w + mu * v - lr * g if self.nesterov else w + v), (v,)
        v = mu * v + (g if self.form == "classical" else (1 - mu) * g)
        return w - lr * v, (v,)


@dataclass(frozen=True)
class Adagrad:
    """Divide by the root of all squared gradients so far: G ← G + g², w ← w − η g / √(G + ε).

    Parameters
    ----------
    learning_rate : float
        η.
    initial_accumulator_value : float
        G before the first step. Keras starts at 0.1, the paper at 0.
    epsilon : float
        ε, under the root as in Keras.

    Raises
    ------
    ValueError
        If a constant lies outside its range.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12 (2011).
    """

    learning_rate: float = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        _check.positive(learning_rate=self.learning_rate)
        _check.not_negative(
            initial_accumulator_value=self.initial_accumulator_value, epsilon=self.epsilon
        )

    def begin(self, w: Array) -> State:
        """Fill the accumulator G."""
        return (np.full_like(w, self.initial_accumulator_value),)

    def step(self, w: Array, g: Array, state: State, t: int, lr: float) -> tuple[Array, State]:
        """Take one step."""
        (G,) = state
        G = G + g**2
        return w - lr * g / np.sqrt(G + self.epsilon), (G,)


@dataclass(frozen=True)
class Adadelta:
    """Divide by a running RMS of the gradients, multiply by a running RMS of the steps.

    E[g²] ← ρ E[g²] + (1 − ρ) g², then Δ = −√(E[Δ²] + ε) / √(E[g²] + ε) · g, w ← w + η Δ and
    E[Δ²] ← ρ E[Δ²] + (1 − ρ) Δ².

    Parameters
    ----------
    learning_rate : float
        η. The paper has none: set 1 to follow it. Keras's default is 0.001, which is slow.
    rho : float
        ρ in [0, 1).
    epsilon : float
        ε. It also sets the size of the first steps. The paper uses 1e-6.

    Raises
    ------
    ValueError
        If a constant lies outside its range.

    References
    ----------
    M. D. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701 (2012).
    """

    learning_rate: float = 0.001
    rho: float = 0.95
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        _check.positive(learning_rate=self.learning_rate)
        _check.decay(rho=self.rho)
        _check.not_negative(epsilon=self.epsilon)

    def begin(self, w: Array) -> State:
        """Start both averages at zero."""
        return np.zeros_like(w), np.zeros_like(w)

    def step(self, w: Array, g: Array, state: State, t: int, lr: float) -> tuple[Array, State]:
        """Take one step."""
        mean_g2, mean_delta2 = state
        rho, epsilon = self.rho, self.epsilon
        mean_g2 = rho * mean_g2 + (1 - rho) * g**2
        delta = -np.sqrt(mean_delta2 + epsilon) / np.sqrt(mean_g2 + epsilon) * g
        mean_delta2 = rho * mean_delta2 + (1 - rho) * delta**2
        return w + lr * delta, (mean_g2, mean_delta2)


@dataclass(frozen=True)
class RMSprop:
    """Divide by a running root mean square: v ← ρ v + (1 − ρ) g², w ← w − η g / √(v + ε).

    The division does not make η decay: where the gradient keeps its size, so does the step.

    Parameters
    ----------
    learning_rate : float
        η.
    rho : float
        ρ in [0, 1).
    momentum : float
        μ in [0, 1). With momentum b ← μ b + η g / √(v + ε) and w ← w − b.
    epsilon : float
        ε, under the root as in Keras. Without it (0), a gradient that has always been zero
        gives 0 / 0 = NaN.
    centered : bool
        Divide by a running standard deviation instead, √(v − m² + ε) with m the running mean
        of g.

    Raises
    ------
    ValueError
        If a constant lies outside its range.

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning (2012).
    A. Graves, "Generating sequences with recurrent neural networks", arXiv:1308.0850 (2013),
    for the centred variant.
    """

    learning_rate: float = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    def __post_init__(self) -> None:
        _check.positive(learning_rate=self.learning_rate)
        _check.decay(rho=self.rho, momentum=self.momentum)
        _check.not_negative(epsilon=self.epsilon)

    def begin(self, w: Array) -> State:
        """Start mean square, mean and momentum at zero."""
        return np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)

    def step(self, w: Array, g: Array, state: State, t: int, lr: float) -> tuple[Array, State]:
        """Take one step."""
        v, m, b = state
        v = self.rho * v + (1 - self.rho) * g**2
        if self.centered:
            m = self.rho * m + (1 - self.rho) * g
        b = self.momentum * b + lr * g / np.sqrt(v - m**2 + self.epsilon)
        return w - b, (v, m, b)


@dataclass(frozen=True)
class Adam:
    """Momentum divided by a running RMS, both corrected for their start at zero.

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², corrected to m̂ = m / (1 − β₁ᵗ) and
    v̂ = v / (1 − β₂ᵗ) with t = 1 in the first step. v is the mean *square*: no mean is subtracted.

    Parameters
    ----------
    learning_rate : float
        η.
    beta_1, beta_2 : float
        β₁ and β₂ in [0, 1).
    epsilon : float
        ε.
    form : {"keras", "paper"}
        Where ε stands. ``"paper"``, Algorithm 1: w ← w − η m̂ / (√v̂ + ε). ``"keras"``, the
        paper's faster variant (end of its section 2), adds ε before the correction of v:
        w ← w − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε). In the first step that is as if the
        paper's ε were 1 / √(1 − β₂) ≈ 32 times as large.

    Raises
    ------
    ValueError
        If a constant lies outside its range.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    form: str = "keras"

    def __post_init__(self) -> None:
        _check.positive(learning_rate=self.learning_rate)
        _check.decay(beta_1=self.beta_1, beta_2=self.beta_2)
        _check.not_negative(epsilon=self.epsilon)
        _check.one_of(("keras", "paper"), form=self.form)

    def begin(self, w: Array) -> State:
        """Start both moments at zero."""
        return np.zeros_like(w), np.zeros_like(w)

    def step(self, w: Array, g: Array, state: State, t: int, lr: float) -> tuple[Array, State]:
        """Take one step; `t` starts at 1."""
        m, v = state
        m = self.beta_1 * m + (1 - self.beta_1) * g
        v = self.beta_2 * v + (1 - self.beta_2) * g**2
        m_correction = 1 - self.beta_1**t
        v_correction = 1 - self.beta_2**t
        if self.form == "paper":
            m_hat, v_hat = m / m_correction, v / v_correction
            return w - lr * m_hat / (np.sqrt(v_hat) + self.epsilon), (m, v)
        lr = lr * v_correction**0.5 / m_correction
        return w - lr * m / (np.sqrt(v) + self.epsilon), (m, v)


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay: first w ← w − η λ w, then Adam's step.

    Unlike a penalty λ w² / 2 in the loss, the decay does not pass through Adam's division, so it
    shrinks all weights at the same rate.

    Parameters
    ----------
    learning_rate : float
        η.
    weight_decay : float
        λ.
    beta_1, beta_2, epsilon, form
        As in `Adam`.

    Raises
    ------
    ValueError
        If a constant lies outside its range.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    learning_rate: float = 0.001
    weight_decay: float = 0.004
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    form: str = "keras"

    def __post_init__(self) -> None:
        _check.not_negative(weight_decay=self.weight_decay)
        _ = self.adam  # checks the other constants

    @cached_property
    def adam(self) -> Adam:
        """The same optimiser without the decay."""
        return Adam(self.learning_rate, self.beta_1, self.beta_2, self.epsilon, self.form)

    def begin(self, w: Array) -> State:
        """Start both moments at zero."""
        return self.adam.begin(w)

    def step(self, w: Array, g: Array, state: State, t: int, lr: float) -> tuple[Array, State]:
        """Take one step; `t` starts at 1."""
        return self.adam.step(w - lr * self.weight_decay * w, g, state, t, lr)


class Trace(NamedTuple):
    """The path of a descent.

    Attributes
    ----------
    points : numpy.ndarray, shape (steps + 1, d)
        Where it was; the start comes first.
    losses : numpy.ndarray, shape (steps + 1,)
        The height of the landscape there.
    """

    points: Array
    losses: Array


def minimize(
    landscape: Landscape,
    optimizer: Optimizer,
    start: ArrayLike,
    steps: int,
    schedule: Callable[[int], float] | None = None,
) -> Trace:
    """Descend a landscape.

    Divergence is a result: numbers that grow out of range become ``inf`` or ``nan`` and stay so.

    Parameters
    ----------
    landscape : Landscape
    optimizer : SGD, Adagrad, Adadelta, RMSprop, Adam or AdamW
        Left as it is.
    start : array_like, shape (d,)
        Where to begin; a plain number will do where d = 1.
    steps : int
        How many steps to take.
    schedule : callable, optional
        From the step number 0, 1, … to the learning rate, in place of the optimiser's own.
        See `coursekit.schedules`.

    Returns
    -------
    Trace
        ``points`` and ``losses``.

    Raises
    ------
    ValueError
        If `start` is not one finite point of the landscape or `steps` is not a whole number.

    Examples
    --------
    >>> from coursekit.landscapes import parabola
    >>> minimize(parabola(), SGD(learning_rate=0.2), start=5, steps=3).points[:, 0]
    array([5.   , 2.6  , 1.16 , 0.296])
    """
    _check.whole(steps=steps)
    w = landscape.points(start)
    if w.ndim != 1 or not np.isfinite(w).all():
        raise ValueError(f"start must be one point of {landscape.dimension} finite numbers")
    points = np.empty((steps + 1, landscape.dimension))
    points[0] = w
    state = optimizer.begin(w)
    look_ahead = getattr(optimizer, "look_ahead", None)
    gradient, lr = landscape.gradient_formula, optimizer.learning_rate
    with np.errstate(all="ignore"):
        for t in range(1, steps + 1):
            if schedule is not None:
                lr = schedule(t - 1)
            g = gradient(look_ahead(w, state, lr) if look_ahead else w)
            w, state = optimizer.step(w, g, state, t, lr)
            points[t] = w
    return Trace(points, landscape.value(points))
