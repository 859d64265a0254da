"""Bring any drawn digit into the form that MNIST's pictures have."""

from __future__ import annotations

import numpy as np


def resize(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a grey picture by linear interpolation; shrinking averages over all pixels.

    Parameters
    ----------
    picture : ndarray, shape (height, width)
    shape : tuple of int
        New height and width.

    Returns
    -------
    ndarray, shape `shape`, float64
    """
    rows, columns = (_weights(old, new) for old, new in zip(picture.shape, shape, strict=True))
    return rows @ picture @ columns.T


def _weights(old: int, new: int) -> np.ndarray:
    """Give the (new, old) matrix that resizes a line of pixels with a triangle filter."""
    scale = old / new
    centers = (np.arange(new)[:, None] + 0.5) * scale - 0.5
    distance = np.abs(centers - np.arange(old)) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


def crop(picture: np.ndarray) -> np.ndarray:
    """Cut away empty rows and columns around the ink; an empty picture stays as it is."""
    rows, columns = np.nonzero(picture > 0)
    if not rows.size:
        return picture
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def mnist_like(picture: np.ndarray, size: int = 28, box: int = 20) -> np.ndarray:
    """Crop, scale into a 20×20 box and put the centre of mass in the middle, as MNIST does.

    Parameters
    ----------
    picture : ndarray, shape (height, width)
        Bright ink on dark paper: values from 0 to 1, or ``uint8`` from 0 to 255.
    size : int
        Side of the finished picture.
    box : int
        The longer side of the digit in it.

    Returns
    -------
    ndarray, shape (size, size), float32
        Values in [0, 1]; all 0 if there is no ink. MNIST's own pictures come out unchanged.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits":
       "normalized to fit in a 20x20 pixel box while preserving their aspect ratio", then centred
       by "the center of mass of the pixels".
    """
    picture = np.asarray(picture)
    if picture.ndim != 2 or not picture.size:
        raise ValueError(f"Give one grey picture, height × width; this has shape {picture.shape}.")
    scale = 255.0 if picture.dtype == np.uint8 else 1.0
    digit = crop(picture / scale)
    finished = np.zeros((size, size), np.float32)
    if digit.max() <= 0:
        return finished
    factor = box / max(digit.shape)
    height, width = (max(1, round(side * factor)) for side in digit.shape)
    digit = np.clip(resize(digit, (height, width)), 0.0, 1.0)
    top = _offset(digit.sum(axis=1), size)
    left = _offset(digit.sum(axis=0), size)
    finished[top : top + height, left : left + width] = digit
    return finished


def _offset(ink: np.ndarray, size: int) -> int:
    """Find where a line of `ink` starts if its centre of mass is to lie on pixel `size` / 2."""
    center = np.average(np.arange(len(ink)), weights=ink)
    return int(np.clip(round(size / 2 - center), 0, size - len(ink)))
