"""Losses: how far predictions are from the truth."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coursekit import _check

Array = NDArray[np.float64]


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of (y_pred − y_true)² over all elements.

    Parameters
    ----------
    y_true, y_pred : array_like, equal shapes

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ. NumPy would stretch (32, 1) and (32,) to 32 × 32 differences.

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning* (2006), section 1.1.
    """
    truth, prediction = _same_shape(y_true, y_pred)
    with np.errstate(all="ignore"):
        return float(np.mean((prediction - truth) ** 2))


def asymmetric_loss(y_true: ArrayLike, y_pred: ArrayLike, cost: float, profit: float) -> float:
    """Money lost: `cost` for each unit made too much, `profit` for each unit made too little.

    Σ cost · (y_pred − y_true) where y_pred > y_true, and profit · (y_true − y_pred) elsewhere.
    Its optimum is a quantile of the truth, profit / (cost + profit), not the mean.

    Parameters
    ----------
    y_true, y_pred : array_like, equal shapes
    cost, profit : float
        Per unit, 0 or above.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ or `cost` or `profit` is negative.

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978).
    """
    _check.not_negative(cost=cost, profit=profit)
    truth, prediction = _same_shape(y_true, y_pred)
    with np.errstate(all="ignore"):
        too_much = prediction - truth
        return float(np.where(too_much > 0, cost * too_much, -profit * too_much).sum())


def cross_entropy(
    y_true: ArrayLike, y_pred: ArrayLike, base: float = math.e, clip: float = 1e-12
) -> Array:
    """Surprise at the truth when `y_pred` was expected: −Σ y_true · log y_pred, per sample.

    Parameters
    ----------
    y_true, y_pred : array_like, shape (..., classes)
        Probabilities. One `y_true` may stand for many predictions.
    base : float
        Of the logarithm: e gives nats, 2 bits; some old course notes use 10.
    clip : float
        Predictions below it are lifted to it, so that one sample costs at most −log(clip).
        Keras uses 1e-7, and 1 − 1e-7 as an upper limit. 0 switches this off.

    Returns
    -------
    numpy.ndarray, shape (...)

    Raises
    ------
    ValueError
        If the shapes do not fit, or the last axis does not hold probabilities that sum to 1.

    References
    ----------
    C. E. Shannon, "A mathematical theory of communication" (1948), for the logarithm.
    C. M. Bishop, *Pattern Recognition and Machine Learning* (2006), section 4.3.4.
    """
    if not 1 < base < math.inf:
        raise ValueError(f"base must be above 1 (2, 10, math.e), not {base!r}")
    _check.decay(clip=clip)
    truth, prediction = _distributions(y_true=y_true, y_pred=y_pred)
    with np.errstate(all="ignore"):
        logs = np.log(np.clip(prediction, clip, 1)) / math.log(base)
        return _expect(truth, -logs)


def softmax_cross_entropy(labels: ArrayLike, logits: ArrayLike) -> Array:
    """Cross entropy straight from scores, per sample: ln Σⱼ e^zⱼ − z_label.

    Softmax and logarithm in one formula, so that no probability is rounded to 0 on the way. Pass
    scores, not probabilities: softmax twice is a bug that only flattens the result.

    Parameters
    ----------
    labels : array_like
        Class numbers of shape (...), or one-hot rows (or other distributions) of shape
        (..., classes).
    logits : array_like, shape (..., classes)

    Returns
    -------
    numpy.ndarray, shape (...)

    Raises
    ------
    ValueError
        If the shapes do not fit, a class number is not among the classes, or a row of
        probabilities does not sum to 1.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, *Deep Learning* (2016), section 6.2.2.3.
    """
    z = np.asarray(logits, dtype=np.float64)
    y = np.asarray(labels)
    if z.ndim == 0 or z.shape[-1] == 0:
        raise ValueError(f"logits need a last axis with the classes, but their shape is {z.shape}")
    classes = z.shape[-1]
    with np.errstate(all="ignore"):
        shifted = z - z.max(axis=-1, keepdims=True)
        surprise = np.log(np.exp(shifted).sum(axis=-1, keepdims=True)) - shifted
        if y.shape == z.shape:
            return _expect(_distribution("labels", y), surprise)
        if y.shape != z.shape[:-1]:
            raise ValueError(
                f"labels must have shape {z.shape[:-1]} (class numbers) or {z.shape} (one-hot) "
                f"for logits of shape {z.shape}, not {y.shape}"
            )
        if not ((y >= 0) & (y < classes) & (y == np.floor(y))).all():
            raise ValueError(f"labels must be whole class numbers from 0 to {classes - 1}")
        index = y.astype(np.intp)[..., np.newaxis]
        return np.take_along_axis(surprise, index, axis=-1)[..., 0]


def kl_divergence(p: ArrayLike, q: ArrayLike) -> Array:
    """Extra surprise when `q` was expected and `p` is true: Σ p · ln(p / q), per sample.

    Nothing is clipped: where p is 0 the term is 0, and where only q is 0 the result is ``inf``
    (Keras clips both to 1e-7 instead).

    Parameters
    ----------
    p, q : array_like, shape (..., classes)
        Probabilities.

    Returns
    -------
    numpy.ndarray, shape (...)
        In nats; 0 where p equals q, else above 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the last axis does not hold probabilities that sum to 1.

    References
    ----------
    S. Kullback, R. A. Leibler, "On information and sufficiency" (1951).
    """
    true, expected = _distributions(p=p, q=q)
    with np.errstate(all="ignore"):
        return _expect(true, np.log(true) - np.log(expected))


def _expect(p: Array, values: Array) -> Array:
    """Mean of `values` under the probabilities `p`; what never happens does not count."""
    return np.where(p == 0, 0, p * values).sum(axis=-1)


def _same_shape(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    truth = np.asarray(y_true, dtype=np.float64)
    prediction = np.asarray(y_pred, dtype=np.float64)
    if truth.shape != prediction.shape:
        raise ValueError(
            f"y_true and y_pred must have equal shapes, not {truth.shape} and {prediction.shape}: "
            "reshape one of them"
        )
    if truth.size == 0:
        raise ValueError("y_true and y_pred are empty: pass at least one value")
    return truth, prediction


def _distributions(**pair: ArrayLike) -> tuple[Array, Array]:
    first, second = (_distribution(name, values) for name, values in pair.items())
    try:
        np.broadcast_shapes(first.shape, second.shape)
        fits = first.shape[-1] == second.shape[-1]
    except ValueError:
        fits = False
    if not fits:
        names = " and ".join(pair)
        raise ValueError(
            f"{names} must have equal shapes, not {first.shape} and {second.shape}: "
            "one row of probabilities for each sample"
        )
    return first, second


def _distribution(name: str, values: ArrayLike) -> Array:
    """Read probabilities. NaN passes: a diverged network has a loss of NaN, not an error."""
    p = np.asarray(values, dtype=np.float64)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(f"{name} needs a last axis with one probability for each class")
    # float32 probabilities of many classes add up to 1 only within some 1e-6.
    if (p < 0).any() or (np.abs(p.sum(axis=-1) - 1) > 1e-4).any():
        raise ValueError(
            f"{name} must hold probabilities, 0 or above, that sum to 1 along the last axis"
        )
    return p
