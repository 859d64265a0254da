"""The ``coursekit`` command."""

import typer

app = typer.Typer(no_args_is_help=True, help="The course on neural-network optimisation.")


if __name__ == "__main__":
    app()
