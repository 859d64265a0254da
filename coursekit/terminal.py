"""How commands say what went wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import typer


def stop(message: str, code: int = 2) -> NoReturn:
    """End the command with one plain line on stderr; exit code 2 is for a user's mistake."""
    typer.echo(f"coursekit: {' '.join(message.split())}", err=True)
    raise SystemExit(code)


@contextlib.contextmanager
def plain_errors(*kinds: type[Exception], code: int = 2) -> Iterator[None]:
    """Say the errors that a user can mend in one line; any other keeps its traceback."""
    try:
        yield
    except kinds as error:
        stop(str(error), code)
