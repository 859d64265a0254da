"""Checks of arguments: one-line messages that say what to do. They sit below every floor."""

from __future__ import annotations

import math
import operator
from typing import Any


def positive(**values: Any) -> None:
    """Raise `ValueError` unless every value is a finite number above zero."""
    for name, value in values.items():
        if not (_is_number(value) and 0 < value < math.inf):
            raise ValueError(f"{name} must be a finite number above 0, not {value!r}")


def not_negative(**values: Any) -> None:
    """Raise `ValueError` unless every value is a finite number, zero or above."""
    for name, value in values.items():
        if not (_is_number(value) and 0 <= value < math.inf):
            raise ValueError(f"{name} must be a finite number, 0 or above, not {value!r}")


def decay(**values: Any) -> None:
    """Raise `ValueError` unless every value lies in [0, 1), where a running average forgets."""
    for name, value in values.items():
        if not (_is_number(value) and 0 <= value < 1):
            raise ValueError(f"{name} must lie in [0, 1): 0 or above and below 1, not {value!r}")


def whole(minimum: int = 0, **values: Any) -> None:
    """Raise `ValueError` unless every value is a whole number, `minimum` or above."""
    for name, value in values.items():
        try:
            good = operator.index(value) >= minimum
        except TypeError:
            good = False
        if not good:
            raise ValueError(f"{name} must be a whole number, {minimum} or above, not {value!r}")


def one_of(choices: tuple[str, ...], **values: Any) -> None:
    """Raise `ValueError` unless every value is among `choices`."""
    for name, value in values.items():
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)
