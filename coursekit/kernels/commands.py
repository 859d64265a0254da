"""The commands ``coursekit kernel …``."""

from __future__ import annotations

import os
from typing import Any

import typer

from coursekit import kernels

HELP = """Warm kernels: notebooks that start at once, because TensorFlow is imported already.

`coursekit lab` switches them on by itself. For any other Jupyter program of this environment, set

    JUPYTER_DEFAULT_PROVISIONER_NAME=coursekit-warm

before you start it, or write into jupyter_server_config.py

    c.KernelProvisionerFactory.default_provisioner_name = "coursekit-warm"

They need Linux; elsewhere a normal kernel starts. To switch them off, unset the variable.
"""

app = typer.Typer(no_args_is_help=True, help=HELP.replace("\n\n    ", "\n\n\b\n    "))


@app.command()
def status() -> None:
    """Say whether warm kernels work here and which are running."""
    if reason := kernels.unsupported():
        typer.echo(f"Warm kernels can't be used on this machine: {reason}.")
        return
    if not kernels.environment():
        typer.echo("Warm kernels are not registered with Jupyter. Install coursekit again.")
        raise typer.Exit(1)
    name = os.environ.get("JUPYTER_DEFAULT_PROVISIONER_NAME")
    switched = "on" if name == kernels.PROVISIONER else "off (`coursekit kernel --help`)"
    typer.echo(f"Warm kernels work here. For programs started from this shell they are {switched}.")
    answers = _ask_all("status")
    for answer in answers:
        typer.echo(_describe(answer))
    if not answers:
        typer.echo("No server is running. It starts with the first kernel.")


@app.command()
def stop() -> None:
    """End the servers that keep TensorFlow in memory. Open notebooks go on working."""
    if kernels.unsupported():
        typer.echo("There is nothing to stop: warm kernels can't be used on this machine.")
        return
    answers = _ask_all("stop")
    for answer in answers:
        count = len(answer["kernels"])
        later = f" and ends with the last of its kernels ({count})" if count else ""
        typer.echo(f"The server with process number {answer['pid']} takes no new kernels{later}.")
    if not answers:
        typer.echo("No server is running.")


def _ask_all(what: str) -> list[dict[str, Any]]:
    """Ask every server of this user; those that don't answer are left out."""
    from coursekit.kernels import client

    answers = []
    for place in client.servers():
        try:
            answers.append(client.ask(place.socket, what))
        except OSError:
            continue
    return answers


def _describe(answer: dict[str, Any]) -> str:
    minutes = answer["seconds"] / 60
    running = len(answer["kernels"])
    return (
        f"Server {answer['pid']} of {answer['prefix']}: {running} kernel{'s' * (running != 1)}, "
        f"up for {minutes:.0f} min, ends {answer['idle_seconds'] / 60:.0f} min after the last one."
    )
