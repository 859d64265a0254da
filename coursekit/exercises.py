"""What the tests of the exercises share."""

from __future__ import annotations

import os

import numpy as np


def rng() -> np.random.Generator:
    """Make the generator that draws the fresh inputs of an exercise's tests.

    In a notebook the inputs are the same every time. The grader draws others for each student, by
    setting the environment variable ``COURSEKIT_SEED`` to a whole number, which it records.

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
