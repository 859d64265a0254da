"""How fast the course is, measured side by side."""

from __future__ import annotations


def rounded(value: object) -> object:
    """Cut numbers to three digits after the point."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value
