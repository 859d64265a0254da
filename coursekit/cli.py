"""The ``coursekit`` command: each function reads its options, calls the course, and prints."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from coursekit import __version__, course
from coursekit.grading.commands import app as grading_commands
from coursekit.kernels.commands import app as kernel_commands
from coursekit.terminal import plain_errors, stop


class _PlainGroup(TyperGroup):
    """Says mistakes on the command line in one line, too."""

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except typer.TyperException as error:
            stop(f"{error.format_message().rstrip('.')}. See 'coursekit --help'.")
        except typer.Abort:
            code = 130
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    cls=_PlainGroup,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The course on neural-network optimisation: lectures, labs and exercises.",
)


app.add_typer(kernel_commands, name="kernel")
app.add_typer(grading_commands)  # coursekit grade, merge, feedback, report, export


@app.callback(invoke_without_command=True)
def _coursekit(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


# --- For students --------------------------------------------------------------------------------


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, start no browser.")
    ] = False,
    source: Annotated[
        bool, typer.Option("--source", help="Open the originals, for authors (needs a clone).")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Your working copy. Default: my-course in a clone, else ./coursekit-course."
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Default: the first free one from 8888 on.")
    ] = None,
) -> None:
    """Open the course in JupyterLab, at the first lecture. Ctrl-C ends it.

    Any other options are passed on to JupyterLab, for example: coursekit lab --ip=0.0.0.0
    """
    from coursekit import server

    with plain_errors(course.CourseError):
        root = _prepare(source, folder)
        first = next((path.relative_to(root) for path in course.lectures(root)), None)
        port = server.choose_port(port)
        if server.is_root():
            typer.echo("Warning: running as root, so JupyterLab gets --allow-root.", err=True)
        command = server.lab_command(root, first, port, not no_browser, context.args)
        _serve(command, root, first)


def _prepare(source: bool, folder: Path | None) -> Path:
    """Find the folder to open: the originals, or a working copy that is up to date."""
    here = course.find_course()
    if source and folder:
        raise course.CourseError("Use --source or --folder, not both.")
    if source and not here.is_clone:
        raise course.CourseError(
            "--source needs a clone of the course; here it is installed as a package."
        )
    if source:
        return here.root
    default = here.root / "my-course" if here.is_clone else Path("coursekit-course")
    folder = (folder or default).expanduser().absolute()
    laid = course.lay_out(here, folder)
    for yours, newer in laid.beside:
        typer.echo(f"{yours} is changed and stays; the newer version is beside it: {newer}")
    if laid.new or laid.updated:
        typer.echo(f"{folder}: files new: {len(laid.new)}, updated: {len(laid.updated)}.")
    return folder


def _serve(command: list[str], root: Path, first: Path | None) -> None:
    """Run JupyterLab until it ends or is interrupted."""
    from coursekit import server

    with server.signals_end_it(), contextlib.suppress(KeyboardInterrupt):
        typer.echo("Starting JupyterLab ...")
        with server.running_lab(command, root) as (process, info):
            typer.echo(f"The course is at {server.page_url(info, first)}")
            typer.echo(f"Your files are in {root}. Ctrl-C ends JupyterLab.")
            sys.stdout.flush()
            process.wait()
    typer.echo("JupyterLab has ended.")


@app.command()
def doctor() -> None:
    """Check that the course can run here, and say how to mend what is wrong."""
    from rich.console import Console

    from coursekit import doctor

    with Console(stderr=True).status("Checking; the first start of TensorFlow takes a while ..."):
        findings = list(doctor.examine())
    doctor.show(findings)
    raise typer.Exit(1 if any(finding.level == doctor.STOPS for finding in findings) else 0)


@app.command()
def data() -> None:
    """Download MNIST (11 MB) into the cache, check it, and say where it is."""
    from coursekit import datasets

    with plain_errors(datasets.DataError):
        path = datasets.find_mnist()
        if path is None:
            path = _download()
            typer.echo(f"MNIST is downloaded and checked: {path}")
        else:
            typer.echo(f"MNIST is there and checked: {path}")


def _download() -> Path:
    """Download MNIST under a progress bar."""
    from rich import progress

    from coursekit import datasets

    columns = (
        *(progress.TextColumn("{task.description}"), progress.BarColumn()),
        *(progress.DownloadColumn(), progress.TimeRemainingColumn()),
    )
    with progress.Progress(*columns, transient=True) as bar:
        task = bar.add_task("MNIST", total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        return datasets.download_mnist(advance)


@app.command()
def check(
    notebook: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="Your exercise.")],
) -> None:
    """Run the visible tests on your answers, as they are graded, before you hand them in.

    Exit code: 0 if everything passes, 1 if not, 2 if the notebook is damaged or no exercise.
    """
    from coursekit.grading import check, limits

    with plain_errors(limits.GradingError):
        code = check.in_terminal(notebook)
    raise typer.Exit(code)


# --- For authors ---------------------------------------------------------------------------------


@app.command()
def refresh(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[NOTEBOOK]...", help="Default: all lectures and solutions."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Execute nothing, only tell whether the form is right.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Renew pictures even where only bytes differ.")
    ] = False,
) -> None:
    """Execute notebooks, bring them into canonical form, renew README's syllabus (for authors)."""
    from coursekit import notebooks

    failed = False
    with plain_errors(notebooks.NotebookError, course.CourseError):
        if not paths:
            root = notebooks.source_root()
            paths = notebooks.lectures(root) + notebooks.solutions(root)
            if not check and course.update_syllabus(root):
                typer.echo("README.md: syllabus renewed")
    for path in paths:
        try:
            failed |= not (_has_form(path) if check else _refreshed(path, pictures))
        except notebooks.NotebookError as error:
            failed = True
            typer.echo(str(error), err=True)
    raise typer.Exit(1 if failed else 0)


def _has_form(path: Path) -> bool:
    """Say so if a notebook is not in canonical form."""
    from coursekit import notebooks

    right = notebooks.is_canonical(path)
    if not right:
        typer.echo(f"{path.name}: not in canonical form; run coursekit refresh {path}")
    return right


def _refreshed(path: Path, pictures: bool) -> bool:
    """Execute a notebook and write it in canonical form."""
    from coursekit import notebooks

    started = time.perf_counter()
    state = notebooks.refresh(path, pictures=pictures)
    typer.echo(f"{path.name}: {state} ({time.perf_counter() - started:.1f} s)")
    return True


@app.command()
def release(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHAPTER]...", help="Slug or number, as in 04 learning_rate."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All chapters with a solution.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, only tell what is out of date.")
    ] = False,
) -> None:
    """Make the student versions of the exercises from the solutions (for authors)."""
    from coursekit import notebooks
    from coursekit.grading import release as exercises

    if not every and not chapters:
        stop("Name a chapter, as in 'coursekit release 04', or use --all.")
    failed = False
    with plain_errors(notebooks.NotebookError):
        root = notebooks.source_root()
        names = [path.stem for path in notebooks.solutions(root)] if every else chapters or []
        for chapter in [notebooks.chapter(name, root) for name in names]:
            if check:
                current = exercises.is_released(chapter)
                failed |= not current
                state = "up to date" if current else "out of date; run coursekit release"
            else:
                state = "released" if exercises.release_chapter(chapter) else "unchanged"
            typer.echo(f"{chapter.name}: {state}")
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    app()
