"""Surfaces to descend: functions of one or two parameters with their derivatives.

A point has its coordinates on the last axis, so an array of shape ``(..., d)`` holds many points
and is evaluated at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coursekit import _check

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Landscape:
    """A loss surface f over d parameters, with gradient and Hessian.

    Parameters
    ----------
    name : str
    value_formula, gradient_formula, hessian_formula : callable
        From points ``(..., d)`` to arrays ``(...)``, ``(..., d)`` and ``(..., d, d)``.
    minimum : numpy.ndarray, shape (d,)
        A global minimum; where several are equally deep, one of them.
    bounds : tuple of (low, high), one for each parameter
        The part worth looking at.

    Examples
    --------
    >>> parabola().value([[5.0], [-1.0]])
    array([36.,  0.])
    """

    name: str
    value_formula: Callable[[Array], Array]
    gradient_formula: Callable[[Array], Array]
    hessian_formula: Callable[[Array], Array]
    minimum: Array
    bounds: tuple[tuple[float, float], ...]

    @property
    def dimension(self) -> int:
        """Number of parameters d."""
        return len(self.bounds)

    def value(self, p: ArrayLike) -> Array:
        """Height f(p): points ``(..., d)`` to heights ``(...)``."""
        with np.errstate(all="ignore"):
            return self.value_formula(self.points(p))

    def gradient(self, p: ArrayLike) -> Array:
        """Direction and rate of steepest ascent: points ``(..., d)`` to ``(..., d)``."""
        with np.errstate(all="ignore"):
            return self.gradient_formula(self.points(p))

    def hessian(self, p: ArrayLike) -> Array:
        """Matrix of second derivatives: points ``(..., d)`` to ``(..., d, d)``."""
        with np.errstate(all="ignore"):
            return self.hessian_formula(self.points(p))

    def points(self, p: ArrayLike) -> Array:
        """Read `p` as points ``(..., d)``; with d = 1 a plain number is a point, too.

        Raises
        ------
        ValueError
            If the last axis does not have length d.
        """
        p = np.asarray(p, dtype=np.float64)
        d = len(self.bounds)
        if p.shape[-1:] == (d,):
            return p
        if d == 1 and p.ndim == 0:
            return p.reshape(1)
        hint = "; add it with w[..., np.newaxis]" if d == 1 else ""
        raise ValueError(
            f"{self.name} has {d} parameter{'s' * (d > 1)}: the last axis of the points must have "
            f"length {d}, but their shape is {p.shape}{hint}"
        )


def parabola() -> Landscape:
    """Bowl with one parameter, f(w) = (w + 1)²: the first surface of the course.

    Returns
    -------
    Landscape
        d = 1, minimum −1, f″ = 2 everywhere, so gradient descent converges for 0 < η < 1.
    """
    return Landscape(
        name="parabola",
        value_formula=lambda p: ((p + 1) ** 2)[..., 0],
        gradient_formula=lambda p: 2 * (p + 1),
        hessian_formula=lambda p: np.full((*p.shape, 1), 2.0),
        minimum=_constant(-1),
        bounds=((-8.0, 6.0),),
    )


def ravine(condition: float = 100) -> Landscape:
    """Long valley, f(x, y) = (x² + condition · y²) / 2: gentle along x, steep across it.

    Parameters
    ----------
    condition : float
        Curvature across the valley over curvature along it, κ. Gradient descent converges for
        0 < η < 2 / κ.

    Returns
    -------
    Landscape
        d = 2, minimum (0, 0).

    Raises
    ------
    ValueError
        If `condition` is not a number above 0.
    """
    _check.positive(condition=condition)
    curvature = np.array([1.0, condition])
    return Landscape(
        name="ravine",
        value_formula=lambda p: (curvature * p**2).sum(axis=-1) / 2,
        gradient_formula=lambda p: curvature * p,
        hessian_formula=lambda p: np.broadcast_to(np.diag(curvature), (*p.shape, 2)).copy(),
        minimum=_constant(0, 0),
        bounds=((-11.0, 11.0), (-2.0, 2.0)),
    )


def rosenbrock() -> Landscape:
    """Curved valley, f(x, y) = (1 − x)² + 100 (y − x²)²: easy to reach, slow to follow.

    Returns
    -------
    Landscape
        d = 2, minimum (1, 1). The classic start is (−1.2, 1).

    References
    ----------
    H. H. Rosenbrock, "An automatic method for finding the greatest or least value of a
    function", The Computer Journal 3 (1960).
    """

    def value(p: Array) -> Array:
        x, y = p[..., 0], p[..., 1]
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    def gradient(p: Array) -> Array:
        x, y = p[..., 0], p[..., 1]
        return _stack(-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2))

    def hessian(p: Array) -> Array:
        x, y = p[..., 0], p[..., 1]
        return _symmetric(2 - 400 * y + 1200 * x**2, -400 * x, np.full_like(x, 200))

    return Landscape(
        "rosenbrock", value, gradient, hessian, _constant(1, 1), ((-2.0, 2.0), (-1.0, 3.0))
    )


def saddle() -> Landscape:
    """Pass between two hollows, f(x, y) = x²/2 − y²/2 + y⁴/4.

    The origin is a saddle: a minimum along x, a maximum along y. The gradient vanishes there,
    so a descent that starts on the line y = 0 stays on it; Newton's method is even drawn to it.

    Returns
    -------
    Landscape
        d = 2, minima (0, 1), which `minimum` names, and (0, −1), both −1/4 high.
    """

    def value(p: Array) -> Array:
        x, y = p[..., 0], p[..., 1]
        return x**2 / 2 - y**2 / 2 + y**4 / 4

    def gradient(p: Array) -> Array:
        x, y = p[..., 0], p[..., 1]
        return _stack(x, y**3 - y)

    def hessian(p: Array) -> Array:
        x, y = p[..., 0], p[..., 1]
        return _symmetric(np.ones_like(x), np.zeros_like(x), 3 * y**2 - 1)

    return Landscape(
        "saddle", value, gradient, hessian, _constant(0, 1), ((-1.5, 1.5), (-1.5, 1.5))
    )


def double_well() -> Landscape:
    """Two valleys of unequal depth with one parameter, f(w) = (w² − 1)² + 0.3 w.

    The deep one lies near −1, a shallow one near +1: where a descent ends depends on where it
    starts.

    Returns
    -------
    Landscape
        d = 1, minimum ≈ −1.0355; the local minimum is ≈ 0.9602, the hill between ≈ 0.0754.
    """
    # f′ = 4w³ − 4w + 0.3 has three real roots; the leftmost one is the deep valley.
    deepest = np.roots([4, 0, -4, 0.3]).real.min()
    return Landscape(
        name="double_well",
        value_formula=lambda p: ((p**2 - 1) ** 2 + 0.3 * p)[..., 0],
        gradient_formula=lambda p: 4 * p**3 - 4 * p + 0.3,
        hessian_formula=lambda p: (12 * p**2 - 4)[..., np.newaxis],
        minimum=_constant(deepest),
        bounds=((-1.6, 1.6),),
    )


def _constant(*coordinates: float) -> Array:
    """Make a point that nobody can change by accident."""
    point = np.array(coordinates, dtype=np.float64)
    point.flags.writeable = False
    return point


def _stack(*components: Array) -> Array:
    return np.stack(components, axis=-1)


def _symmetric(xx: Array, xy: Array, yy: Array) -> Array:
    """Build the Hessians ((xx, xy), (xy, yy))."""
    return _stack(_stack(xx, xy), _stack(xy, yy))
