"""Bring inputs, or the signals between layers, to mean 0 and variance 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coursekit import _check

Array = NDArray[np.float64]


def standardize(x: ArrayLike) -> Array:
    """Subtract each feature's mean and divide by its standard deviation.

    A feature that never changes has no spread to divide by and becomes 0.

    Parameters
    ----------
    x : array_like, shape (n, ...)
        One sample for each row.

    Returns
    -------
    numpy.ndarray, same shape

    Raises
    ------
    ValueError
        If there is no sample.

    References
    ----------
    Y. LeCun et al., "Efficient BackProp" (1998), section 4.3.
    """
    x = _samples(x)
    with np.errstate(all="ignore"):
        centred = x - x.mean(axis=0)
        # The mean of equal numbers can miss them by rounding; their spread is 0 all the same.
        constant = (x == x[0]).all(axis=0)
        return np.where(constant, 0.0, centred / np.where(constant, 1.0, x.std(axis=0)))


def batch_norm(
    x: ArrayLike,
    gamma: ArrayLike = 1.0,
    beta: ArrayLike = 0.0,
    epsilon: float = 1e-3,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
) -> Array:
    """Normalise over the batch, then scale and shift: γ · (x − μ) / √(σ² + ε) + β.

    Parameters
    ----------
    x : array_like, shape (n,), (n, features) or (n, height, width, channels)
        μ and σ² are taken for each entry of the last axis, over all the others.
    gamma, beta : float or array_like, shape of the last axis
        γ and β, which a network learns.
    epsilon : float
        ε; 1e-3 in Keras, 1e-5 in PyTorch.
    mean, variance : array_like, optional
        Running statistics. In training each batch supplies its own; for a prediction, which may
        not depend on its neighbours, the averages gathered in training are passed here.

    Returns
    -------
    numpy.ndarray, same shape

    Raises
    ------
    ValueError
        If there is no sample, `epsilon` is negative, or `gamma`, `beta`, `mean` or `variance`
        does not fit the last axis.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", ICML 2015.
    """
    _check.not_negative(epsilon=epsilon)
    x = _samples(x)
    axes = tuple(range(max(1, x.ndim - 1)))
    features = x.shape[-1] if x.ndim > 1 else 1
    with np.errstate(all="ignore"):
        mu = x.mean(axis=axes) if mean is None else np.asarray(mean, dtype=np.float64)
        sigma2 = x.var(axis=axes) if variance is None else np.asarray(variance, dtype=np.float64)
        gamma, beta = np.asarray(gamma, dtype=np.float64), np.asarray(beta, dtype=np.float64)
        for name, values in {"gamma": gamma, "beta": beta, "mean": mu, "variance": sigma2}.items():
            if values.shape not in ((), (1,), (features,)):
                raise ValueError(
                    f"{name} must be one number or {features}, one for each entry of the last "
                    f"axis, but its shape is {values.shape}"
                )
        return gamma * (x - mu) / np.sqrt(sigma2 + epsilon) + beta


def _samples(x: ArrayLike) -> Array:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim == 0 or x.size == 0:
        raise ValueError("x must hold at least one sample along its first axis")
    return x
