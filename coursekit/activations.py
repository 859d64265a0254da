"""Activation functions: ``f(x)`` and its slope ``f.derivative(x)``, elementwise.

All take numbers or arrays of any shape and return float64. None overflows: where a formula holds
e to a large power, the code uses an equal form that does not. Names, extra arguments and defaults
are those of Keras.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Activation:
    """A function that carries its derivative along."""

    def __init__(self, function: Callable[..., Any], derivative: Callable[..., Any]) -> None:
        self._function = function
        self._derivative = derivative
        update_wrapper(self, function)

    def __call__(self, x: ArrayLike, *args: float, **kwargs: float) -> Array:
        """Give the value f(x)."""
        with np.errstate(all="ignore"):
            return self._function(np.asarray(x, dtype=np.float64), *args, **kwargs)[()]

    def derivative(self, x: ArrayLike, *args: float, **kwargs: float) -> Array:
        """Give the slope f′(x); a corner counts to the flatter side, as in TensorFlow."""
        with np.errstate(all="ignore"):
            return self._derivative(np.asarray(x, dtype=np.float64), *args, **kwargs)[()]

    def __repr__(self) -> str:
        return f"<activation {self._function.__name__}>"


def with_derivative(derivative: Callable[..., Any]) -> Callable[[Callable[..., Any]], Activation]:
    """Turn the function below the decorator into an `Activation` with this derivative."""
    return lambda function: Activation(function, derivative)


@with_derivative(lambda x: np.ones_like(x))
def linear(x: Array) -> Array:
    """Pass through: f(x) = x. A stack of layers with this activation is one linear layer."""
    return x.copy()


@with_derivative(lambda x: np.where(x > 0, 1.0, 0.0))
def relu(x: Array) -> Array:
    """Rectify: f(x) = max(0, x).

    Range [0, ∞). The slope is 0 for all x ≤ 0: a neuron that is negative on every input learns
    nothing more ("dead ReLU").

    References
    ----------
    V. Nair, G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines",
    ICML 2010.
    """
    return np.maximum(x, 0)


@with_derivative(lambda x, negative_slope=0.2: np.where(x > 0, 1.0, negative_slope))
def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """Rectify but leak: f(x) = x for x > 0, else a · x with a = `negative_slope`.

    References
    ----------
    A. L. Maas, A. Y. Hannun, A. Y. Ng, "Rectifier nonlinearities improve neural network acoustic
    models", ICML 2013 (with a = 0.01; Keras's default is 0.2).
    """
    return np.where(x > 0, x, negative_slope * x)


@with_derivative(lambda x, alpha=1.0: np.where(x < 0, alpha * np.exp(np.minimum(x, 0)), 1.0))
def elu(x: Array, alpha: float = 1.0) -> Array:
    """Bend smoothly towards −α: f(x) = x for x ≥ 0, else α (eˣ − 1).

    References
    ----------
    D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by
    exponential linear units (ELUs)", ICLR 2016.
    """
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def _sigmoid_slope(x: Array) -> Array:
    return sigmoid(x) * sigmoid(-x)


@with_derivative(_sigmoid_slope)
def sigmoid(x: Array) -> Array:
    """Squash into (0, 1): f(x) = 1 / (1 + e⁻ˣ), with f′ = f (1 − f) ≤ 1/4.

    For negative x the equal form eˣ / (1 + eˣ) is used: e⁻ˣ would overflow.
    """
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


@with_derivative(sigmoid)
def softplus(x: Array) -> Array:
    """Smooth ReLU: f(x) = ln(1 + eˣ), with the sigmoid as its slope.

    References
    ----------
    C. Dugas et al., "Incorporating second-order functional knowledge for better option pricing",
    NIPS 2000.
    """
    return np.logaddexp(0, x)


@with_derivative(lambda x: 4 * _sigmoid_slope(2 * x))
def tanh(x: Array) -> Array:
    """Squash into (−1, 1): f(x) = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ) = 2 sigmoid(2x) − 1, with f′ = 1 − f².

    Unlike the sigmoid it is centred on zero.
    """
    return np.tanh(x)


def _silu_slope(x: Array) -> Array:
    return sigmoid(x) + x * _sigmoid_slope(x)


@with_derivative(_silu_slope)
def silu(x: Array) -> Array:
    """Gate by the sigmoid: f(x) = x · sigmoid(x), also called swish.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", Neural Networks 107 (2018).
    """
    return x * sigmoid(x)


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _gelu_slope(x: Array, approximate: bool = False) -> Array:
    if approximate:
        c = math.sqrt(2 / math.pi)
        u = c * (x + 0.044715 * x**3)
        return tanh(u) / 2 + 0.5 + x / 2 * tanh.derivative(u) * c * (1 + 3 * 0.044715 * x**2)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return _erfc(-x / math.sqrt(2)) / 2 + x * density


@with_derivative(_gelu_slope)
def gelu(x: Array, approximate: bool = False) -> Array:
    """Gate by the normal distribution: f(x) = x · Φ(x), where Φ(x) = P(a standard normal ≤ x).

    With ``approximate=True``, x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.

    References
    ----------
    D. Hendrycks, K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415 (2016).
    """
    if approximate:
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * _erfc(-x / math.sqrt(2)) / 2


def softmax(logits: ArrayLike, axis: int = -1) -> Array:
    """Turn scores into probabilities: pᵢ = e^zᵢ / Σⱼ e^zⱼ.

    The largest score is subtracted first: that changes no probability and prevents overflow.

    Parameters
    ----------
    logits : array_like, shape (..., classes)
    axis : int
        The axis of the classes.

    Returns
    -------
    numpy.ndarray
        Same shape; sums to 1 along `axis`.

    Raises
    ------
    ValueError
        If `logits` has no such axis or no classes along it.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, *Deep Learning* (2016), sections 4.1 and 6.2.2.3.
    """
    z = np.asarray(logits, dtype=np.float64)
    if not -z.ndim <= axis < z.ndim or z.shape[axis] == 0:
        raise ValueError(f"softmax needs at least one class along axis {axis}, shape is {z.shape}")
    with np.errstate(all="ignore"):
        exp = np.exp(z - z.max(axis=axis, keepdims=True))
        return exp / exp.sum(axis=axis, keepdims=True)
