"""The ``coursekit`` command."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The course on neural-network optimisation.")


@app.command()
def refresh(
    notebooks: Annotated[
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
    """Execute notebooks and bring them into canonical form (for authors)."""
    import time

    from coursekit import notebooks as course

    failed = False
    try:
        if not notebooks:
            root = course.source_root()
            notebooks = course.lectures(root) + course.solutions(root)
        for path in notebooks:
            started = time.perf_counter()
            if check:
                if course.is_canonical(path):
                    continue
                failed = True
                typer.echo(f"{path.name}: not in canonical form; run coursekit refresh {path}")
                continue
            try:
                state = course.refresh(path, pictures=pictures)
                typer.echo(f"{path.name}: {state} ({time.perf_counter() - started:.1f} s)")
            except course.NotebookError as error:
                failed = True
                typer.echo(str(error), err=True)
    except course.NotebookError as error:
        typer.echo(str(error), err=True)
        failed = True
    if failed:
        raise typer.Exit(1)


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
    from coursekit import notebooks as course
    from coursekit.grading import release as exercises

    failed = False
    try:
        root = course.source_root()
        names = [path.stem for path in course.solutions(root)] if every else chapters or []
        if not every and not names:
            raise course.NotebookError("Name a chapter, as in coursekit release 04, or use --all.")
        for chapter in [course.chapter(name, root) for name in names]:
            if check:
                current = exercises.is_released(chapter)
                failed |= not current
                state = "up to date" if current else "out of date; run coursekit release"
            else:
                state = "released" if exercises.release_chapter(chapter) else "unchanged"
            typer.echo(f"{chapter.name}: {state}")
    except course.NotebookError as error:
        typer.echo(str(error), err=True)
        failed = True
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
