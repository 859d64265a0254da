"""Exponentially weighted moving averages, of data and of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coursekit import _check

Array = NDArray[np.float64]


def ewma(values: ArrayLike, beta: float, bias_correction: bool = False) -> Array:
    """Smooth a series: S_t = β S_{t−1} + (1 − β) v_t with S_0 = 0.

    It averages over about 1 / (1 − β) values and lags behind by as many. The start at zero pulls
    the first results down; dividing by 1 − βᵗ corrects that.

    Parameters
    ----------
    values : array_like, shape (n, ...)
        v_1 … v_n along the first axis.
    beta : float
        β in [0, 1).
    bias_correction : bool

    Returns
    -------
    numpy.ndarray, shape (n, ...)
        S_1 … S_n.

    Raises
    ------
    ValueError
        If `beta` lies outside [0, 1) or `values` is a single number or empty.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 3, for
    the correction.
    """
    _check.decay(beta=beta)
    v = np.asarray(values, dtype=np.float64)
    if v.ndim == 0:
        raise ValueError("values must be a series: pass a list or an array, not one number")
    if not len(v):
        raise ValueError("values must hold at least one number, but the series is empty")
    averages = np.empty_like(v)
    s = np.zeros(v.shape[1:])
    with np.errstate(all="ignore"):
        for i in range(len(v)):
            s = beta * s + (1 - beta) * v[i]
            averages[i] = s / (1 - beta ** (i + 1)) if bias_correction else s
    return averages


def ewma_weights(beta: float, n: int) -> Array:
    """Give the weights of the last `n` values in the average: (1 − β) βⁱ for the value i steps ago.

    They sum to 1 − βⁿ. After 1 / (1 − β) steps a weight has fallen to about 1/e of the first.

    Parameters
    ----------
    beta : float
        β in [0, 1).
    n : int

    Returns
    -------
    numpy.ndarray, shape (n,)
        Newest value first.

    Raises
    ------
    ValueError
        If `beta` lies outside [0, 1) or `n` is negative.
    """
    _check.decay(beta=beta)
    _check.whole(n=n)
    return (1 - beta) * beta ** np.arange(n, dtype=np.float64)


class ShadowAverage:
    """Moving average of a parameter: shadow ← d · shadow + (1 − d) · value.

    The shadow follows the parameter; the parameter itself does not change. A young average
    follows faster: when the number of updates n is given, d = min(decay, (1 + n) / (10 + n)).

    Parameters
    ----------
    decay : float
        In [0, 1), often 0.99 or more.
    value : float or array_like
        Where the shadow starts.

    Attributes
    ----------
    shadow : float or numpy.ndarray
        The average so far.

    Raises
    ------
    ValueError
        If `decay` lies outside [0, 1).

    References
    ----------
    B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
    The rule with n is that of ``tf.train.ExponentialMovingAverage``.

    Examples
    --------
    >>> average = ShadowAverage(0.99, 0)
    >>> average.update(1, num_updates=0)
    0.9
    """

    def __init__(self, decay: float, value: ArrayLike) -> None:
        _check.decay(decay=decay)
        self.decay = decay
        self.shadow = _plain(np.array(value, dtype=np.float64))

    def update(self, value: ArrayLike, num_updates: int | None = None) -> Any:
        """Move the shadow towards `value`.

        Parameters
        ----------
        value : float or array_like
            The parameter now, in the shape of the first one.
        num_updates : int, optional
            n, usually the number of training steps so far.

        Returns
        -------
        float or numpy.ndarray
            The new shadow.

        Raises
        ------
        ValueError
            If the shape is another one or `num_updates` is negative.
        """
        new = np.asarray(value, dtype=np.float64)
        if new.shape != np.shape(self.shadow):
            raise ValueError(
                f"value must keep its shape {np.shape(self.shadow)}, but now it has {new.shape}"
            )
        d = self.decay
        if num_updates is not None:
            _check.whole(num_updates=num_updates)
            d = min(d, (1 + num_updates) / (10 + num_updates))
        with np.errstate(all="ignore"):
            self.shadow = _plain(d * self.shadow + (1 - d) * new)
        return self.shadow


def _plain(value: Any) -> Any:
    """Turn an array of one number without shape into a float."""
    return float(value) if np.ndim(value) == 0 else value
