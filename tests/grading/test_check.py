"""What a student reads before handing in; the runner is a stand-in here."""

import copy
import io
import json
import os
import threading
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

import coursekit
from coursekit import cli
from coursekit.grading import check, runner
from coursekit.grading.limits import GradingError, Limits
from coursekit.grading.results import Result, Task
from tests.grading.notebook import answered, code, dump, find, notebook, text, write

EXERCISE = notebook(
    text("# Descent"),
    code("import numpy as np", "locked", "imports"),
    text("## Task 1: Step"),
    code("raise NotImplementedError()", "answer", "step"),
    code("assert step(1) == 2", "tests", "test_step", 2, coursekit={"hint": "Draw it."}),
    text("## Task 2: Explain"),
    text("YOUR ANSWER HERE", "manual", "explain", 3),
)
OTHER = notebook(
    code("raise NotImplementedError()", "answer", "loss"),
    code("assert loss(1) == 2", "tests", "test_loss", 2),
    text("YOUR ANSWER HERE", "manual", "explain", 3),
)
DONE = answered(EXERCISE, step="def step(x): return 2 * x", explain="Because.")


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    """A course with two exercises, and a student's folder to work in."""
    root = tmp_path / "course"
    write(EXERCISE, root / "exercises" / "01_descent" / "descent.ipynb")
    write(OTHER, root / "exercises" / "02_losses" / "losses.ipynb")
    monkeypatch.setattr(check.course, "find_course", lambda: coursekit.course.Course(root, True))
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")


class Grader:
    """Stands in for the runner: says what the test wants."""

    result = None
    started = closed = 0

    def __init__(self, settings, progress):
        Grader.started += 1
        assert settings.least == "spawned"
        progress("starting the grader")

    def __enter__(self):
        return self

    def __exit__(self, *about):
        self.close()

    is_closed = False

    def close(self):
        self.is_closed = True
        Grader.closed += 1

    def grade(self, submission):
        assert json.loads(submission.read())["cells"]
        return Grader.result or passing()


@pytest.fixture(autouse=True)
def no_runner(monkeypatch, request):
    """Put the stand-in into the runner's place; not for tests that ask for `real`."""
    if "real" in request.fixturenames:
        return
    Grader.result, Grader.started, Grader.closed = None, 0, 0
    monkeypatch.setattr(runner, "Grader", Grader)


def passing(**about):
    tasks = [
        Task("test_step", "Task 1: Step", "tests", "passed", 2.0, 2.0),
        Task("explain", "Task 2: Explain", "manual", "manual", None, 3.0, answer="Because."),
    ]
    return Result("you", "01_descent", "needs_manual", tasks, **about)


def failing(**about):
    result = passing(**about)
    result.tasks[0] = Task(
        "test_step", "Task 1: Step", "tests", "wrong", 0.0, 2.0, "Go [bold]downhill[/].",
        "Draw it.", "step(1)", "2", "-2"
    )  # fmt: skip
    return result


def run(nb, name="descent.ipynb"):
    """Hand a notebook to the command; give exit code and what it printed."""
    with open(name, "wb") as file:  # noqa: PTH123 - relative to the folder of the test
        file.write(nb if isinstance(nb, bytes) else dump(nb))
    done = CliRunner().invoke(cli.app, ["check", name], env={"COLUMNS": "200"})
    return done.exit_code, done.output


# --- Exit codes and what is printed --------------------------------------------------------------


def test_everything_passes():
    exit_code, said = run(DONE)
    assert exit_code == 0
    assert "✓ test_step: Passed, 2 of 2" in said
    assert "✎ explain: A person will grade this" in said
    assert "1 of 1 tests pass: 2 of 2 points. A person gives up to 3 more." in said


def test_a_test_fails():
    Grader.result = failing()
    exit_code, said = run(DONE)
    assert exit_code == 1
    lines = [line.strip() for line in said.splitlines()]
    wanted = ["Task 1: Step", "✗ test_step: Not right yet, 0 of 2", "Go [bold]downhill[/].",
              "tried: step(1)", "expected: 2", "got: -2", "Hint: Draw it."]  # fmt: skip
    place = lines.index(wanted[0])
    assert lines[place : place + len(wanted)] == wanted
    assert "0 of 1 tests pass: 0 of 2 points." in said


def test_an_answer_for_a_human_that_is_not_there_yet():
    Grader.result = passing()
    Grader.result.tasks[1].points = 0.0
    exit_code, said = run(answered(DONE, explain="YOUR ANSWER HERE"))
    assert exit_code == 1
    assert "✗ explain: Not answered yet" in said


def test_text_of_the_notebook_cannot_drive_the_terminal():
    Grader.result = failing(cells=[{"grade_id": "s\x1b[2J", "error": "E\x1b]0;t\x07\x08\u202e"}])
    Grader.result.tasks[0].got = "\x1b[2J\x07 [link=http://x]y[/link]"
    _, said = run(DONE)
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\u202e" not in said
    assert "[link=http://x]y[/link]" in said


@pytest.mark.parametrize(
    ("status", "says"),
    [("timeout", "a loop that never stops"), ("out_of_memory", "too much memory")],
)
def test_a_notebook_that_does_not_end_gets_advice(status, says):
    Grader.result = failing()
    Grader.result.status = Grader.result.tasks[0].verdict = status
    exit_code, said = run(DONE)
    assert exit_code == 1
    assert says in said


def test_cells_that_stopped():
    Grader.result = failing(
        cells=[
            {
                "grade_id": "step",
                "error": "SyntaxError: invalid syntax (<ipython-input-1-f3>, line 3)",
            },
            {"grade_id": None, "error": "NameError: name 'w' is not defined"},
            {"grade_id": "other", "error": "NotImplementedError: "},
            {"grade_id": "fine", "error": None},
        ]
    )
    _, said = run(DONE)
    assert "! step: this is not valid Python, so nothing in the cell was run." in said
    assert "SyntaxError: invalid syntax (line 3)" in said
    assert "! A cell of your own: NameError: name 'w'" in said
    assert "! other" not in said
    assert "! fine" not in said


def test_an_old_terminal_gets_plain_characters():
    file = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    check.show(check.Checked(None, passing(), []), Console(file=file))
    file.flush()
    assert "? test_step: Passed" in file.buffer.getvalue().decode("cp1252")


# --- Damage --------------------------------------------------------------------------------------


def without(nb, *names):
    nb = answered(nb)
    for name in names:
        nb.cells.remove(find(nb, name))
    return nb


def doubled(nb, name):
    nb = answered(nb)
    again = copy.deepcopy(find(nb, name))
    again.id = "copy"
    nb.cells.append(again)
    return nb


@pytest.mark.parametrize(
    ("nb", "says"),
    [
        (without(DONE, "test_step"), "The test cell test_step is missing."),
        (without(DONE, "step"), "The answer cell step is missing."),
        (answered(DONE, test_step="pass"), "The test cell test_step was changed"),
        (answered(DONE, imports="import os"), "The read-only cell imports was changed"),
        (doubled(DONE, "step"), "The cell step is there 2 times."),
        (doubled(DONE, "test_step"), "The cell test_step is there 2 times."),
        (notebook(*DONE.cells, code("", "tests", "test_x", 9)), "a cell 'test_x', which"),
    ],
)
def test_a_damaged_notebook_is_checked_and_named(nb, says):
    exit_code, said = run(nb)
    assert exit_code == 2
    assert says in said
    assert "copy your answers" in said
    assert "1 of 1 tests pass" in said  # the tests are the exercise's own, so they could run


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "nothing is in it"),
        (b" \n", "nothing is in it"),
        (dump(notebook()), "save it first"),
        (b"\xff\xfe\x00", "is not text"),
        (b"PK\x03\x04", "is not a notebook"),
        (b"[1, 2]", "it has no cells"),
        (dump(DONE)[:-40], "is not a notebook"),
        (dump(DONE).replace(b'"cells"', b"<<<<<<< HEAD\n"), "conflict marks of git"),
        (b'{"worksheets": [], "nbformat": 3}', "old format"),
        (b"[" * 100_000, "is nested too deeply"),
        (dump(notebook(code("print(1)"))), "the names of all cells are gone"),
    ],
)
def test_a_file_that_is_no_exercise_gets_one_sentence(content, says):
    exit_code, said = run(content)
    assert exit_code == 2
    assert says in said
    assert said.startswith("coursekit: descent.ipynb: ")
    assert said.count("\n") == 1
    assert Grader.started == 0


def test_a_notebook_of_another_course():
    exit_code, said = run(
        notebook(code("x", "answer", "explain"), code("x", "answer", "y")), "x.ipynb"
    )
    assert exit_code == 2
    assert "no exercise of the course" in said


def test_no_such_file():
    done = CliRunner().invoke(cli.app, ["check", "nowhere.ipynb"])
    assert done.exit_code == 2
    assert "there is no such file" in done.output


def test_a_folder():
    done = CliRunner().invoke(cli.app, ["check", "."])
    assert done.exit_code == 2
    assert "can't be read" in done.output
    assert "Traceback" not in done.output


# --- Which exercise ------------------------------------------------------------------------------


def test_the_exercise_is_found_by_its_cells_not_by_the_file_name(tmp_path):
    exercises = tmp_path / "course" / "exercises"
    path = tmp_path / "losses.ipynb"  # the name of the other one
    assert check.find_exercise(path, dump(DONE), exercises).notebook == "descent"
    renamed = tmp_path / "Kopie von descent (3).ipynb"
    assert check.find_exercise(renamed, dump(DONE), exercises).notebook == "descent"


def test_the_file_name_decides_between_equals(tmp_path):
    exercises = tmp_path / "course" / "exercises"
    both = notebook(text("Because.", "manual", "explain", 3))
    for name in ("descent", "losses"):
        found = check.find_exercise(tmp_path / f"{name}.ipynb", dump(both), exercises)
        assert found.notebook == name


# --- It never hangs, and can be stopped ----------------------------------------------------------


def test_a_grader_that_never_ends_is_given_up(tmp_path, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(check, "SPARE_SECONDS", 0.01)
    monkeypatch.setattr(check, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(Grader, "grade", lambda self, submission: over.wait(30))
    path = write(DONE, tmp_path / "descent.ipynb")
    try:
        with pytest.raises(GradingError, match="did not end"):
            check.check(path, limits=Limits(seconds=0.01))
        assert Grader.closed == 1  # that ends the processes
    finally:
        over.set()


def test_who_is_interrupted_closes_the_grader_at_once(tmp_path, monkeypatch):
    over = threading.Event()
    running = []

    def grade(self, submission):
        running.append(self)
        over.wait(30)

    def interrupted(text):
        if running:
            raise KeyboardInterrupt

    monkeypatch.setattr(check, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(Grader, "grade", grade)
    try:
        with pytest.raises(KeyboardInterrupt):
            check.check(write(DONE, tmp_path / "descent.ipynb"), progress=interrupted)
        assert running[0].is_closed
    finally:
        over.set()


def test_an_error_of_the_grader_comes_through(tmp_path, monkeypatch):
    def broken(self, submission):
        raise GradingError("No isolation here.")

    monkeypatch.setattr(Grader, "grade", broken)
    with pytest.raises(GradingError, match="No isolation here"):
        check.check(write(DONE, tmp_path / "descent.ipynb"))


def test_progress_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(Grader, "grade", lambda self, submission: time.sleep(0.1) or passing())
    told = []
    check.check(write(DONE, tmp_path / "descent.ipynb"), progress=told.append)
    assert "Running your notebook and the tests (0 s)" in told


# --- In a notebook -------------------------------------------------------------------------------


def test_inside_a_notebook_jupyter_tells_the_path(tmp_path, monkeypatch, capsys):
    path = write(DONE, tmp_path / "mine" / "descent.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    assert coursekit.check() is None
    said = capsys.readouterr().out
    assert said.startswith("Checking descent.ipynb as it was saved at ")
    assert "✓ test_step: Passed" in said
    assert "\x1b" not in said


def test_inside_a_notebook_errors_are_sentences(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    coursekit.check()
    assert "coursekit.check('learning_rate.ipynb')" in capsys.readouterr().out
    coursekit.check("nowhere.ipynb")
    assert "nowhere.ipynb: there is no such file." in capsys.readouterr().out
    monkeypatch.setenv("JPY_SESSION_NAME", "console-1-c52c")
    coursekit.check()
    assert "Which notebook is this?" in capsys.readouterr().out


def test_a_notebook_that_checks_itself_does_not_start_again(tmp_path, monkeypatch, capsys):
    path = write(DONE, tmp_path / "mine" / "descent.ipynb")
    monkeypatch.setenv(check.INSIDE, "1")
    coursekit.check(path)
    assert Grader.started == 0
    assert "does nothing" in capsys.readouterr().out


def test_a_kernel_shows_progress_and_the_result(tmp_path, monkeypatch):
    """In a real kernel; the runner is not reached, because the notebook is empty."""
    from nbclient import NotebookClient

    path = write(notebook(), tmp_path / "descent.ipynb")
    nb = notebook(code("import coursekit; coursekit.check()"))
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    client = NotebookClient(nb, resources={"metadata": {"path": str(tmp_path)}}, timeout=60)
    client.execute(env={**os.environ, "JPY_SESSION_NAME": str(path)})
    kinds = [output.output_type for output in nb.cells[0].outputs]
    assert kinds == ["stream", "display_data", "stream"]
    assert nb.cells[0].outputs[1].data == {"text/plain": ""}
    assert "nothing is in it" in nb.cells[0].outputs[2].text


# --- With the real runner ------------------------------------------------------------------------


@pytest.fixture
def real():
    """Asks for the real runner."""


def test_the_real_runner(real):
    own_check = code("import coursekit\nassert coursekit.check('descent.ipynb') is None")
    exit_code, said = run(notebook(*DONE.cells, own_check))
    assert exit_code == 0, said
    assert "A cell of your own" not in said
    assert "1 of 1 tests pass: 2 of 2 points. A person gives up to 3 more." in said
    wrong = answered(DONE, step="def step(x): return 3 * x")
    exit_code, said = run(notebook(*wrong.cells, code("x = (")))
    assert exit_code == 1
    assert "✗ test_step: Not right yet, 0 of 2" in said
    assert "tried: step(1)" in said
    assert "got: 3" in said
    assert "Hint: Draw it." in said
    assert "! A cell of your own: this is not valid Python" in said


def test_tests_without_a_visible_line_are_not_said_to_pass(tmp_path):
    hidden = code("# Hidden: other numbers", "tests", "test_others", 4)
    path = tmp_path / "course" / "exercises" / "01_descent" / "descent.ipynb"
    write(notebook(*EXERCISE.cells, hidden), path)
    Grader.result = passing()
    Grader.result.tasks.append(Task("test_others", "Task 2: Explain", "tests", "passed", 4, 4))
    exit_code, said = run(notebook(*DONE.cells, hidden))
    assert exit_code == 0
    assert "test_others" not in said
    assert "1 of 1 tests pass: 2 of 2 points." in said
    assert "Tests that you can't see give 4 more." in said
