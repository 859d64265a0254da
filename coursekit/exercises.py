"""What the tests of the exercises share."""

from __future__ import annotations

import os

import numpy as np


def rng() -> np.random.Generator:
    """Make the generator that draws the fresh inputs of an exercise's tests.

    Students and graders get the same inputs every time. An instructor who wants other inputs
    sets the environment variable ``COURSEKIT_SEED`` to a whole number.

    Returns
    -------
    numpy.random.Generator
        Seeded by ``COURSEKIT_SEED``, or by 0 where it is not set.

    Raises
    ------
    ValueError
        If ``COURSEKIT_SEED`` is not a whole number, 0 or above.
    """
    text = os.environ.get("COURSEKIT_SEED", "").strip() or "0"
    if not text.isdecimal():
        raise ValueError(f"Set COURSEKIT_SEED to a whole number, 0 or above, not to {text!r}")
    return np.random.default_rng(int(text))
