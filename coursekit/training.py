"""Helpers around Keras training. Keras is imported only when a function is called."""

from __future__ import annotations

from coursekit import _check


def make_deterministic(seed: int) -> None:
    """Make what follows repeatable: the same seed gives the same weights and the same losses.

    Seeds Python, NumPy and Keras, and asks TensorFlow for operations that add up in a fixed
    order. That costs some speed. The last digits may still differ between machines.

    Parameters
    ----------
    seed : int
        From 0 to 2³² − 1.

    Raises
    ------
    ValueError
        If `seed` is not such a number.
    """
    _check.whole(seed=seed)
    if seed >= 2**32:
        raise ValueError(f"seed must be below 2**32, not {seed!r}")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(int(seed))
    tf.config.experimental.enable_op_determinism()
