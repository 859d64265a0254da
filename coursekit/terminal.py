"""How commands say what went wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import typer


def stop(message: str) -> NoReturn:
    """End the command on a user's mistake: one plain line on stderr, exit code 2."""
    typer.echo(f"coursekit: {' '.join(message.split())}", err=True)
    raise SystemExit(2)


@contextlib.contextmanager
def plain_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Say the errors that a user can mend in one line; any other keeps its traceback."""
    try:
        yield
    except kinds as error:
        stop(str(error))
