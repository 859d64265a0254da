"""The commands of instructors: grade, merge, feedback, report, export."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coursekit.grading.limits import DEFAULT_LEVEL, LEVELS, GradingError, Limits
from coursekit.terminal import plain_errors, stop

if TYPE_CHECKING:
    from coursekit.grading.results import Result, Store
    from coursekit.grading.runner import Settings
    from coursekit.grading.submissions import Submission

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `grade --out` made.")]
FAILED = 1  # exit code when the run itself failed; a user's mistake gives 2
INTERRUPTED = 130


@app.command()
def grade(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE.ipynb", help="Your notebook, with solutions and tests."),
    ],
    submissions: Annotated[
        Path,
        typer.Argument(help="Folder in nbgrader's layout or of STUDENT.ipynb, or a ZIP of an LMS."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for grades.csv, results.jsonl, feedback/.")],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Submissions at the same time. Default: one per core.")
    ] = None,
    gradebook: Annotated[
        Path | None, typer.Option(help="nbgrader's gradebook.db, to write the marks into.")
    ] = None,
    manual: Annotated[
        Path | None, typer.Option(help="CSV of marks by hand: student,grade_id,points,comment.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what is graded and has not changed.")
    ] = False,
    task: Annotated[
        str, typer.Option(metavar="GRADE_ID", help="Run only this test cell again.")
    ] = "",
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Only the I-th of N parts; see coursekit merge.")
    ] = "",
    dask: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Use the workers of this Dask cluster.")
    ] = "",
    isolation: Annotated[
        str, typer.Option(metavar="LEVEL", help=f"The least to accept: {', '.join(LEVELS)}.")
    ] = DEFAULT_LEVEL,
    in_process: Annotated[
        bool,
        typer.Option(
            "--in-process",
            help="Run tests inside the student's process. Students could then forge their marks.",
        ),
    ] = False,
    files: Annotated[
        list[Path] | None, typer.Option("--file", help="A data file that the notebook reads.")
    ] = None,
    cell_seconds: Annotated[float, typer.Option(min=0.1, help="Limit of one cell.")] = 30,
    seconds: Annotated[float, typer.Option(min=1, help="Limit of one submission.")] = 300,
    memory: Annotated[float, typer.Option(min=0.1, help="Limit of one submission, in GiB.")] = 4,
) -> None:
    """Grade submissions. None can stop the run, or see or change anything of others."""
    from coursekit.grading import manual as by_hand
    from coursekit.grading import results, runner
    from coursekit.grading.assignment import read_assignment
    from coursekit.grading.gradebook import Book, write
    from coursekit.grading.submissions import find

    with plain_errors(GradingError):
        _check_level(isolation)
        settings = runner.Settings(
            read_assignment(source),
            Limits(cell_seconds=cell_seconds, seconds=seconds, memory=int(memory * 2**30)),
            isolation,
            in_process,
            runner.read_files(files or []),
        )
        _check_task(settings, task)
        part = results.shard(shard) if shard else None
        found = find(submissions, settings.assignment.name, settings.assignment.notebook)
        chosen = [submission for submission in found if part is None or submission.student in part]
        marks = by_hand.read(manual) if manual else []
        worth = {cell.grade_id: cell.points for cell in settings.assignment.graded}
        by_hand.check(marks, [submission.student for submission in found], worth)
        if gradebook:  # say what is wrong with it before hours of grading
            Book(gradebook, settings.assignment).close()
        store = results.Store(out, resume=resume or bool(task))
    with _plain_interrupt(), plain_errors(GradingError, code=FAILED), store:
        work = _work(settings, store, chosen, task)
        if work:
            with _graded(settings, work, jobs, dask) as graded:
                for result in _with_progress(graded, len(work)):
                    store.add(result)
        for result in by_hand.apply(list(store), marks) if marks else ():
            store.add(result)
        _write_feedback(store, out)
        if gradebook:
            for note in write(store, chosen, gradebook, settings.assignment, marks):
                typer.echo(note)
        _summarise(store, out, len(work))


@contextlib.contextmanager
def _plain_interrupt() -> Iterator[None]:
    """Say in one line what Ctrl-C leaves."""
    try:
        yield
    except KeyboardInterrupt:
        stop("Stopped. Results so far are safe: go on with --resume.", code=INTERRUPTED)


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise GradingError(
            f"There is no isolation level {level!r}; levels are {', '.join(LEVELS)}."
        )


def _check_task(settings: Settings, task: str) -> None:
    names = [cell.grade_id for cell in settings.assignment.cells if cell.kind == "tests"]
    if task and task not in names:
        raise GradingError(f"There is no test cell {task!r}; there are {', '.join(names)}.")


def _work(
    settings: Settings, store: Store, submissions: Iterable[Submission], task: str
) -> list[tuple[Any, ...]]:
    """List what is to be graded, as arguments of `runner.Grader.grade`."""
    work: list[tuple[Any, ...]] = []
    for submission in submissions:
        key = settings.key(submission)
        if task and submission.student in store:
            previous = store[submission.student]
            if previous.key.partition(":")[0] == key.partition(":")[0]:
                work.append((submission, previous, task))
                continue
        if not store.has(submission.student, key):
            work.append((submission,))
    return work


@contextlib.contextmanager
def _graded(
    settings: Settings, work: list[tuple[Any, ...]], jobs: int | None, dask: str
) -> Iterator[Iterator[Result]]:
    """Give the results as they come, from this machine or from a cluster."""
    from coursekit.grading import runner

    if dask:
        try:
            from coursekit.grading import cluster
        except ImportError:
            raise GradingError('--dask needs Dask: pip install "coursekit[dask]".') from None
        with cluster.connected(dask, settings) as client:
            yield cluster.grade_all(client, work)
        return
    with _start(settings) as grader:
        grade = functools.partial(_unpacked, grader)
        yield runner.grade_all(grade, work, jobs or os.cpu_count() or 1)


def _unpacked(grader: Any, arguments: tuple[Any, ...]) -> Result:
    result: Result = grader.grade(*arguments)
    return result


def _start(settings: Settings) -> Any:
    """Start the fork server; say how well students are shut in, and why not better."""
    from rich.console import Console

    from coursekit.grading import launch, runner

    with Console(stderr=True).status("Starting ...") as status:
        levels = launch.probe()
        grader = runner.Grader(
            settings, lambda name: status.update(f"Importing {name} ..."), levels
        )
    for level, _, why in levels[: LEVELS.index(grader.isolation)]:
        typer.echo(f"Isolation {level} can't be had: {why}.", err=True)
    typer.echo(f"Isolation: {grader.isolation}.", err=True)
    if settings.in_process:
        typer.echo("Tests run inside the students' processes: marks can be forged.", err=True)
    return grader


def _with_progress(graded: Iterable[Result], total: int) -> Iterator[Result]:
    """Show how far the run is: rate, remaining time and the number of each status."""
    from rich import progress
    from rich.console import Console

    columns = (
        *(progress.TextColumn("Grading"), progress.BarColumn(), progress.MofNCompleteColumn()),
        *(progress.TextColumn("{task.fields[rate]}"), progress.TimeRemainingColumn()),
        progress.TextColumn("{task.fields[counts]}"),
    )
    counts: Counter[str] = Counter()
    console = Console(stderr=True)
    hidden = not console.is_terminal
    with progress.Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        shown = bar.add_task("", total=total, counts="", rate="")
        for result in graded:
            yield result
            counts[result.status] += 1
            speed = bar.tasks[0].speed
            rate = f"{60 * speed:.0f} a minute" if speed else ""
            bar.update(shown, advance=1, counts=_counted(counts), rate=rate)


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{status} {number}" for status, number in sorted(counts.items()))


def _write_feedback(results: Iterable[Result], out: Path) -> int:
    from coursekit.grading import feedback
    from coursekit.grading.results import FEEDBACK, plain_disk_errors

    with plain_disk_errors(out):
        return sum(1 for result in results if feedback.write(result, out / FEEDBACK).name)


def _summarise(store: Store, out: Path, graded: int) -> None:
    """Say what came out, and what a person has to look at."""
    results = list(store)
    if not results:
        typer.echo("No submissions.")
        return
    counts = Counter(result.status for result in results)
    mean = sum(result.score for result in results) / len(results)
    typer.echo(f"Graded now: {graded}; kept from before: {len(results) - graded}.")
    typer.echo(f"{len(results)} students: {_counted(counts)}.")
    typer.echo(f"Mean score {mean:.2f} of {results[0].max_score:g}.")
    odd = [result.student for result in results if result.tampering]
    if odd:
        names = ", ".join(odd[:10]) + (" ..." if len(odd) > 10 else "")
        typer.echo(f"Looks tampered with ({len(odd)}): {names}.")
    typer.echo(f"Marks: {out / 'grades.csv'}. Next: coursekit report {out}")


@app.command()
def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders that `grade --shard` made.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the whole.")],
) -> None:
    """Put the parts that were graded with --shard together."""
    from coursekit.grading import results

    with plain_errors(GradingError):
        count = results.merge(folders, out)
    typer.echo(f"{count} students: {out / 'grades.csv'}")


@app.command()
def feedback(folder: Folder) -> None:
    """Write the feedback pages again, for example after marks by hand."""
    from coursekit.grading import results

    with plain_errors(GradingError):
        count = _write_feedback(results.read(folder), folder)
    typer.echo(f"{count} pages: {folder / 'feedback'}")


@app.command()
def report(folder: Folder) -> None:
    """Write one page on the whole batch: scores, tasks, mistakes, and what needs a person."""
    from coursekit.grading import report, results

    with plain_errors(GradingError):
        path = folder / "report.html"
        with results.plain_disk_errors(folder):
            report.write(list(results.read(folder)), path)
    typer.echo(f"{path}")


@app.command()
def export(
    folder: Folder,
    format: Annotated[str, typer.Option(help="csv, canvas or moodle.")] = "csv",
    column: Annotated[
        str, typer.Option(help="Title of the marks, for example Canvas's 'Sheet 1 (4711)'.")
    ] = "",
    to: Annotated[Path | None, typer.Option(help="File to write. Default: the terminal.")] = None,
) -> None:
    """Give the marks in the form that a learning platform imports."""
    from coursekit.grading import export, results

    with plain_errors(GradingError):
        text = export.export(results.read(folder), format, column)
        if to is None:
            sys.stdout.write(text)
            return
        with results.plain_disk_errors(to.parent):
            results.write_atomically(to, text.encode())
    typer.echo(f"{to}")
