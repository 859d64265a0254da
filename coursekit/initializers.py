"""First values of the weights: functions of a shape and a random generator.

Weights of a layer have shape (inputs, outputs), kernels of a convolution (height, width, inputs,
outputs). The *fan-in* is how many numbers a neuron adds up, the *fan-out* how many neurons a
number feeds. Defaults are those of Keras.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coursekit import _check

Array = NDArray[np.float64]
Shape = int | Sequence[int]


def zeros(shape: Shape, rng: np.random.Generator | None = None) -> Array:
    """All zero: right for biases; in weights it makes all neurons of a layer equal for ever.

    Parameters
    ----------
    shape : int or sequence of int
    rng : numpy.random.Generator, optional
        Not used.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If `shape` holds something else than positive whole numbers.
    """
    return np.zeros(_sizes(shape))


def uniform(
    shape: Shape, rng: np.random.Generator, minval: float = -0.05, maxval: float = 0.05
) -> Array:
    """Draw uniformly from [minval, maxval).

    Parameters
    ----------
    shape : int or sequence of int
    rng : numpy.random.Generator
    minval, maxval : float

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If `shape` or `rng` is unusable or `minval` exceeds `maxval`.
    """
    if not -math.inf < minval <= maxval < math.inf:
        raise ValueError(f"minval must not exceed maxval, but they are {minval!r} and {maxval!r}")
    return _generator(rng).uniform(minval, maxval, _sizes(shape))


def normal(
    shape: Shape, rng: np.random.Generator, mean: float = 0.0, stddev: float = 0.05
) -> Array:
    """Draw from the normal distribution.

    Parameters
    ----------
    shape : int or sequence of int
    rng : numpy.random.Generator
    mean, stddev : float

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If `shape` or `rng` is unusable or `stddev` is negative.
    """
    _check.not_negative(stddev=stddev)
    return _generator(rng).normal(mean, stddev, _sizes(shape))


def glorot_uniform(shape: Shape, rng: np.random.Generator) -> Array:
    """Draw uniformly from ±√(6 / (fan_in + fan_out)), also called Xavier; Keras's default.

    Keeps the size of signals and of gradients about equal through layers of tanh.

    Parameters
    ----------
    shape : int or sequence of int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray
        Standard deviation √(2 / (fan_in + fan_out)).

    Raises
    ------
    ValueError
        If `shape` or `rng` is unusable.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    """
    fan_in, fan_out = _fans(shape)
    limit = math.sqrt(6 / (fan_in + fan_out))
    return uniform(shape, rng, -limit, limit)


def glorot_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Draw from a truncated normal with standard deviation √(2 / (fan_in + fan_out)).

    Parameters
    ----------
    shape : int or sequence of int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If `shape` or `rng` is unusable.

    References
    ----------
    As `glorot_uniform`.
    """
    fan_in, fan_out = _fans(shape)
    return _truncated_normal(shape, rng, math.sqrt(2 / (fan_in + fan_out)))


def he_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Draw from a truncated normal with standard deviation √(2 / fan_in): made for ReLU.

    ReLU zeroes half of the signal; the factor 2 makes up for it.

    Parameters
    ----------
    shape : int or sequence of int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If `shape` or `rng` is unusable.

    References
    ----------
    K. He et al., "Delving deep into rectifiers", ICCV 2015.
    """
    fan_in, _ = _fans(shape)
    return _truncated_normal(shape, rng, math.sqrt(2 / fan_in))


def orthogonal(shape: Shape, rng: np.random.Generator, gain: float = 1.0) -> Array:
    """Draw a random rotation: it keeps the length of every signal (times `gain`).

    Parameters
    ----------
    shape : sequence of int
        Two axes or more; all but the last count as one.
    rng : numpy.random.Generator
    gain : float

    Returns
    -------
    numpy.ndarray
        As a matrix, its columns are orthonormal, or its rows where they are fewer.

    Raises
    ------
    ValueError
        If `shape` has fewer than two axes or is unusable, or `rng` is.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014.
    """
    sizes = _sizes(shape)
    if len(sizes) < 2:
        raise ValueError(f"shape must have two axes or more for orthogonal, not {shape!r}")
    rows, columns = math.prod(sizes[:-1]), sizes[-1]
    a = _generator(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(a)
    # QR leaves the signs open. Those of R's diagonal make every rotation equally likely.
    q = q * np.sign(np.diag(r))
    return gain * (q if rows >= columns else q.T).reshape(sizes)


def _truncated_normal(shape: Shape, rng: np.random.Generator, stddev: float) -> Array:
    """Draw normal numbers, those beyond two standard deviations anew, `stddev` wide in the end."""
    z = _generator(rng).normal(size=_sizes(shape))
    while (outside := np.abs(z) > 2).any():
        z[outside] = rng.normal(size=int(outside.sum()))
    # Cutting the tails off leaves a standard deviation of only 0.8796.
    return z * (stddev / 0.87962566103423978)


def _fans(shape: Shape) -> tuple[int, int]:
    sizes = _sizes(shape)
    if len(sizes) == 1:
        return sizes[0], sizes[0]
    field = math.prod(sizes[:-2])  # 1 for a dense layer, height · width for a convolution
    return field * sizes[-2], field * sizes[-1]


def _sizes(shape: Shape) -> tuple[int, ...]:
    sizes = tuple(shape) if np.iterable(shape) else (shape,)
    if not sizes:
        raise ValueError("shape must hold at least one number")
    for size in sizes:
        _check.whole(minimum=1, shape=size)
    return sizes


def _generator(rng: np.random.Generator) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise ValueError("rng must be a generator: pass np.random.default_rng(0)")
    return rng
