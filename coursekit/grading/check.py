"""Check an exercise before handing it in: the visible tests, run as the grader runs them."""

from __future__ import annotations

import concurrent.futures
import io
import itertools
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit import course
from coursekit.grading import words
from coursekit.grading.assignment import (
    Assignment,
    InvalidSubmissionError,
    plan,
    read_assignment,
    read_submission,
)
from coursekit.grading.limits import LEVELS, GradingError, Limits
from coursekit.grading.results import Result, Task
from coursekit.grading.submissions import Submission

WIDTH = 88
# Set in the process that runs a notebook for a check: the check in that notebook must not start
# another one.
INSIDE = "COURSEKIT_GRADING"
TICK_SECONDS = 0.5
SPARE_SECONDS = 60.0  # beyond the limits, for starting up
PLACE = re.compile(r"\(<[^>]*>, line (\d+)\)")  # in Python's message; the name says nothing
PASSES, FAILS, DAMAGED = 0, 1, 2  # exit codes
FRESH_COPY = (
    "rename the file, start 'coursekit lab' for a fresh copy, and copy your answers into that."
)


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Parameters
    ----------
    notebook : Path
        The file that was checked.
    result : Result
        What the tests said.
    damage : list of str
        How the notebook differs from the exercise where it must not, in sentences.
    unseen : float
        Points of the tests that are hidden altogether; they are not among the result's tasks.
    """

    notebook: Path
    result: Result
    damage: list[str]
    unseen: float = 0.0

    @property
    def code(self) -> int:
        """Exit code: 0 if everything passes, 1 if not, 2 if the notebook is damaged."""
        if self.damage:
            return DAMAGED
        return PASSES if all(map(_is_done, self.result.tasks)) else FAILS


def check(
    notebook: Path,
    exercises: Path | None = None,
    limits: Limits | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Checked:
    """Run the visible tests of an exercise on the answers in a notebook.

    Tests, texts and points come from the exercise as it was handed out, found by the names of
    the cells (``grade_id``); from the notebook come the answers alone.

    Parameters
    ----------
    notebook : Path
        The student's file, as it was last saved.
    exercises : Path, optional
        Folder that holds the exercises as handed out; the course's if left out.
    limits : Limits, optional
        What the notebook may use.
    progress : callable
        Is told, twice a second, what happens.

    Returns
    -------
    Checked
        What was found.

    Raises
    ------
    GradingError
        If the file is no notebook, or not one of the exercises; one sentence.
    """
    content = _read(notebook)
    if exercises is None:
        try:
            exercises = course.find_course().root / "exercises"
        except course.CourseError as error:
            raise GradingError(str(error)) from None
    try:
        exercise = find_exercise(notebook, content, exercises)
        planned = plan(exercise, content)
    except InvalidSubmissionError as error:
        raise GradingError(f"{notebook}: {error} If you can't mend it, {FRESH_COPY}") from None
    work = Submission("you", notebook.name, content=lambda: content)
    result = _grade(exercise, work, limits or Limits(), progress)
    hidden = [cell for cell in exercise.graded if cell.kind == "tests" and not cell.statements]
    names = {cell.grade_id for cell in hidden}
    result.tasks = [task for task in result.tasks if task.grade_id not in names]
    unseen = sum(cell.points for cell in hidden)
    return Checked(notebook, result, [*planned.tampering, *planned.notes], unseen)


def _read(notebook: Path) -> bytes:
    try:
        content = notebook.read_bytes()
    except FileNotFoundError:
        raise GradingError(
            f"{notebook}: there is no such file. If the notebook is open, save it first."
        ) from None
    except OSError as error:
        raise GradingError(f"{notebook}: can't be read ({error.strerror}).") from None
    return content


def find_exercise(notebook: Path, content: bytes, exercises: Path) -> Assignment:
    """Find the exercise that a notebook was made from: the one with which it shares most cells.

    Parameters
    ----------
    notebook : Path
        The student's file; its name decides between equals.
    content : bytes
        What is in it.
    exercises : Path
        Folder with ``NN_slug/slug.ipynb``.

    Raises
    ------
    InvalidSubmissionError
        If the content is no notebook.
    GradingError
        If there is nothing in it, or it is made from none of them.
    """
    cells = read_submission(content) if content.strip() else []
    if not any(cell.source.strip() for cell in cells):
        raise GradingError(f"{notebook}: nothing is in it. If you wrote into it, save it first.")
    mine = {cell.grade_id for cell in cells} - {""}
    best: tuple[int, bool] = (0, False)
    found = None
    for path in sorted(exercises.glob("*/*.ipynb")):
        exercise = read_assignment(path)
        shared = len(mine & {cell.grade_id for cell in exercise.cells})
        if (shared, path.stem == notebook.stem) > best:
            best, found = (shared, path.stem == notebook.stem), exercise
    # one name in common, as "explain", is chance
    if found is None or not (best[1] or best[0] > len(mine) / 2):
        raise GradingError(
            f"{notebook}: this is no exercise of the course. Give the notebook from exercises/ in "
            "which you wrote your answers."
        )
    if not mine:
        raise GradingError(
            f"{notebook}: the names of all cells are gone, so your answers can't be found. To mend "
            f"it, {FRESH_COPY}"
        )
    return found


def _grade(
    exercise: Assignment, work: Submission, limits: Limits, progress: Callable[[str], None]
) -> Result:
    """Run the tests, and tell every half second that they still run.

    They run in another thread: in a notebook this one must stay free for the stop button.
    """
    from coursekit.grading import runner

    stage = "Starting"
    stopped = threading.Event()
    graders: list[Any] = []

    def tell(text: str) -> None:
        nonlocal stage
        stage = text

    def run() -> Result | None:
        # one's own work is no danger, so any isolation will do
        settings = runner.Settings(exercise, limits, least=LEVELS[-1])
        with runner.Grader(settings, lambda module: tell(f"Loading {module}")) as grader:
            graders.append(grader)
            tell("Running your notebook and the tests")
            return None if stopped.is_set() else grader.grade(work)

    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(run)
    began = time.monotonic()
    try:
        while not future.done():
            taken = time.monotonic() - began
            if taken > limits.seconds + SPARE_SECONDS:
                raise GradingError(
                    f"The check did not end after {taken:.0f} seconds. Run all your cells and look "
                    "for one that does not end."
                )
            progress(f"{stage} ({taken:.0f} s)")
            concurrent.futures.wait([future], TICK_SECONDS)
        result = future.result()
        assert result is not None  # only who was stopped gives none
        return result
    finally:
        # Who presses stop does not wait for the tests.
        stopped.set()
        if not future.done():
            for grader in graders:
                grader.close()
        pool.shutdown(wait=False)


# --- What is printed -----------------------------------------------------------------------------


def _is_done(task: Task) -> bool:
    """Tell whether there is nothing left to do: it passes, or it waits for a human."""
    if task.kind == "tests":
        return task.verdict == "passed"
    return task.points is None


def show(checked: Checked, console: Any = None) -> None:
    """Print what a check found, task by task.

    Parameters
    ----------
    checked : Checked
        What `check` gave.
    console : rich.console.Console, optional
        Where to; stdout if left out.
    """
    from rich.console import Console

    console = console or Console(highlight=False)
    result = checked.result
    for sentence in checked.damage:
        _print(console, f"! {words.line(sentence, 400)}", "yellow")
    if checked.damage:
        _print(console, f"The original tests and texts were used. To mend it, {FRESH_COPY}")
    for title, tasks in itertools.groupby(result.tasks, key=lambda task: task.title):
        console.print()
        _print(console, words.line(title), "bold")
        for task in tasks:
            _show_task(task, console)
    _show_cells(result, console)
    console.print()
    if result.status in words.TROUBLE:
        _print(console, words.TROUBLE[result.status], "yellow")
    _print(console, _summary(checked), "bold green" if checked.code == PASSES else "bold")


def _show_task(task: Task, console: Any) -> None:
    symbol, verdict = words.verdict(task.verdict, task.points, task.max_points)
    if task.kind != "tests" and not _is_done(task):
        symbol, verdict = words.VERDICTS["wrong"][0], "Not answered yet"
    points = f"{words.number(task.points)} of {words.number(task.max_points)}"
    line = f"{symbol} {words.line(task.grade_id)}: {verdict}"
    if task.points is not None:
        line += f", {points}"
    colour = "red" if not _is_done(task) else "green" if task.kind == "tests" else "blue"
    _print(console, line, colour, 2)
    if _is_done(task):
        return
    if task.kind == "tests":
        _print(console, words.visible(task.message, 2000), "", 6)
        for name in ("tried", "expected", "got"):
            if getattr(task, name):
                _print(console, f"{name}: {words.visible(getattr(task, name), 1000)}", "", 6)
    if task.hint:
        _print(console, f"Hint: {words.visible(task.hint, 2000)}", "italic", 6)


def _show_cells(result: Result, console: Any) -> None:
    """Say which cells of the student failed; stubs that were not filled in are said above."""
    failed = [cell for cell in result.cells if cell.get("error")]
    failed = [cell for cell in failed if not str(cell["error"]).startswith("NotImplementedError")]
    if failed:
        console.print()
        _print(console, "Cells of yours that stopped", "bold")
    for cell in failed[:20]:
        name = words.line(cell.get("grade_id") or "A cell of your own")
        _print(console, f"! {name}: {_reason(str(cell['error']))}", "red", 2)


def _reason(error: str) -> str:
    """Put the error of a cell into one line, with advice where a beginner needs it."""
    said = PLACE.sub(r"(line \1)", words.line(error, 300))
    if error.startswith(("SyntaxError", "IndentationError", "TabError")):
        return f"this is not valid Python, so nothing in the cell was run. {said}"
    return said


def _summary(checked: Checked) -> str:
    tasks = checked.result.tasks
    tests = [task for task in tasks if task.kind == "tests"]
    passed = sum(map(_is_done, tests))
    waiting = sum(task.max_points for task in tasks if task.points is None)
    text = (
        f"{passed} of {len(tests)} tests pass: {words.number(checked.result.score)} of "
        f"{words.number(sum(task.max_points for task in tests))} points."
    )
    if waiting:
        text += f" A person gives up to {words.number(waiting)} more."
    if checked.unseen:
        text += f" Tests that you can't see give {words.number(checked.unseen)} more."
    elif passed == len(tests):
        text += " Your instructor may have more tests."
    return text


def _print(console: Any, text: str, style: str = "", indent: int = 0) -> None:
    """Print a text that may come from anywhere, so nothing in it is markup."""
    from rich.padding import Padding
    from rich.text import Text

    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:  # the terminal of an old Windows
        text = text.encode("ascii", "replace").decode()
    console.print(Padding.indent(Text(text, style), indent))


# --- In the terminal and in a notebook -----------------------------------------------------------


def in_terminal(notebook: Path) -> int:
    """Check a notebook, print what was found, and give the exit code.

    Raises
    ------
    GradingError
        See `check`.
    """
    from rich.console import Console

    with Console(stderr=True).status("Looking at the file") as status:
        checked = check(notebook, progress=lambda text: status.update(text))
    show(checked)
    return checked.code


def in_notebook(notebook: str | os.PathLike[str] | None = None) -> None:
    """Check the notebook in which this is called; see `coursekit.check`."""
    from rich.console import Console

    if os.environ.get(INSIDE):
        print("coursekit.check() does nothing while the notebook is being checked.")
        return
    try:
        path = Path(notebook) if notebook else this_notebook()
        print(_saved(path))
        with _Line("Looking at the file") as line:
            checked = check(path, progress=line.show)
    except GradingError as error:
        print(error)
        return
    except KeyboardInterrupt:
        print("The check was stopped.")
        return
    # one plain text: it stays readable in the saved notebook
    text = io.StringIO()
    show(checked, Console(file=text, width=WIDTH, color_system=None, force_jupyter=False))
    print(text.getvalue(), end="")


def _saved(path: Path) -> str:
    """Say which state of a notebook is checked: what is on the screen may be newer."""
    try:
        saved = time.strftime("%H:%M:%S", time.localtime(path.stat().st_mtime))
    except OSError:
        return f"Checking {path.name}."
    return f"Checking {path.name} as it was saved at {saved}. Changed since? Save, check again."


def this_notebook() -> Path:
    """Find the file of the running notebook, as JupyterLab and VS Code tell it to the kernel.

    Raises
    ------
    GradingError
        If neither does.
    """
    from IPython import get_ipython

    shell = get_ipython()
    told = shell.user_ns.get("__vsc_ipynb_file__") if shell else None
    path = Path(told or os.environ.get("JPY_SESSION_NAME") or "")
    if path.suffix != ".ipynb" or not path.is_file():
        raise GradingError(
            "Which notebook is this? Say its name: coursekit.check('learning_rate.ipynb')"
        )
    return path


class _Line:
    """A line in a notebook's output that changes, and goes at the end; nothing elsewhere."""

    def __init__(self, text: str) -> None:
        from IPython import get_ipython
        from IPython.display import display

        self.handle = None
        if hasattr(get_ipython(), "kernel"):
            self.handle = display({"text/plain": text}, raw=True, display_id=True)

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *about: object) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Show another text."""
        if self.handle:
            self.handle.update({"text/plain": text}, raw=True)
