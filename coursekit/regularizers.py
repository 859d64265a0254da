"""Penalties on the weights, to be added to a loss as λ times one of these.

Leave biases out: they shift the output but do not make it wiggle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def l1(w: ArrayLike) -> float:
    """Σ |w|: pulls every weight with equal force, so that small ones become exactly 0.

    Parameters
    ----------
    w : array_like, any shape

    Returns
    -------
    float

    References
    ----------
    R. Tibshirani, "Regression shrinkage and selection via the lasso" (1996).
    """
    with np.errstate(all="ignore"):
        return float(np.abs(np.asarray(w, dtype=np.float64)).sum())


def l2(w: ArrayLike) -> float:
    """Σ w², as ``keras.regularizers.l2`` counts: its gradient is 2 w.

    Parameters
    ----------
    w : array_like, any shape

    Returns
    -------
    float

    References
    ----------
    A. E. Hoerl, R. W. Kennard, "Ridge regression" (1970).
    """
    with np.errstate(all="ignore"):
        return float((np.asarray(w, dtype=np.float64) ** 2).sum())


def l2_loss(w: ArrayLike) -> float:
    """Σ w² / 2, as ``tf.nn.l2_loss`` counts: its gradient is w.

    The same λ penalises half as much as with `l2`.

    Parameters
    ----------
    w : array_like, any shape

    Returns
    -------
    float
    """
    return l2(w) / 2
