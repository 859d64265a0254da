"""Answers that would satisfy a test without being right, made harmless.

NumPy says yes to some questions about values that say nothing:

- An empty array goes together with any other, and all of nothing is true:
  ``np.allclose(np.zeros((0, 1)), anything)``. An `EmptyAnswer` goes together with nothing but empty
  arrays, and in `strict_numpy` comparing functions take no empty side.
- The square of a complex number may be below any bound: ``np.mean((1e9j - right) ** 2) < 1e-9``.
  Complex answers are accepted if the assignment speaks of complex numbers (see `proxies`), and
  `strict_numpy` refuses those whose size is infinite, to which everything is close.
- A dtype equals every NumPy number of that type. A `TypeAnswer` equals types only.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

COMPARING = (
    *((np, name) for name in ("allclose", "isclose")),
    *((np.testing, name) for name in ("assert_allclose", "assert_equal", "assert_almost_equal")),
    *((np.testing, name) for name in ("assert_array_equal", "assert_array_almost_equal")),
)


class EmptyAnswer(np.ndarray):
    """An empty array that does not compute with arrays and numbers that are not empty."""

    __array_priority__ = 1e6  # before TensorFlow's tensors

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        """Compute with empty arrays only."""
        if len({np.size(value) == 0 for value in inputs}) > 1:
            raise ValueError("the answer is an empty array")
        plain = [v.view(np.ndarray) if isinstance(v, EmptyAnswer) else v for v in inputs]
        result = getattr(ufunc, method)(*plain, **named)
        return result.view(EmptyAnswer) if isinstance(result, np.ndarray) else result


class TypeAnswer:
    """A type of arrays."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype  # where NumPy looks for it

    @property
    def __class__(self) -> type:
        return np.dtype

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError("an answer keeps its class")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, np.dtype | type | str) and self.dtype == other

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return repr(self.dtype)

    def __str__(self) -> str:
        return str(self.dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dtype, name)


@contextlib.contextmanager
def strict_numpy() -> Iterator[None]:
    """Let NumPy's comparing functions refuse what is empty on one side only."""
    before = [(place, name, getattr(place, name)) for place, name in COMPARING]
    for place, name, function in before:
        setattr(place, name, _strict(function))
    try:
        yield
    finally:
        for place, name, function in before:
            setattr(place, name, function)


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def strict(*arguments: Any, **named: Any) -> Any:
        sides = [*arguments, *named.values()][:2]
        if len({_is_empty(side) for side in sides}) > 1:
            raise AssertionError("One side of the comparison is empty.")
        if any(map(_is_huge, sides)):
            raise AssertionError("A complex number is too large to be compared.")
        return function(*arguments, **named)

    return strict


def _is_empty(value: Any) -> bool:
    try:
        return np.size(value) == 0
    except (TypeError, ValueError):
        return False


def _is_huge(value: Any) -> bool:
    """Tell whether there are complex numbers with finite parts and infinite size."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return False
    return array.dtype.kind == "c" and bool(np.any(np.isfinite(array) & np.isinf(np.abs(array))))
