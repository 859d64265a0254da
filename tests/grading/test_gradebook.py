"""nbgrader's gradebook: its own programs must find in it what they know."""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from coursekit.grading.assignment import Assignment, plan, read_assignment
from coursekit.grading.gradebook import Book, autograded_notebook, write
from coursekit.grading.limits import GradingError
from coursekit.grading.manual import Mark
from coursekit.grading.results import Result, Task
from coursekit.grading.submissions import Submission

EXAMPLE = Path(pytest.importorskip("nbgrader").__file__).parent / "docs/source/user_guide"
ANSWER = "Some text of mine"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def assignment(tmp_path_factory: pytest.TempPathFactory) -> Assignment:
    """Give nbgrader's example, problem 1."""
    folder = tmp_path_factory.mktemp("course") / "source/ps1"
    shutil.copytree(EXAMPLE / "source/ps1", folder)
    return read_assignment(folder / "problem1.ipynb")


def essay(assignment: Assignment) -> str:
    return next(cell.grade_id for cell in assignment.cells if cell.kind == "manual")


def submission(assignment: Assignment, answer: str = ANSWER, code: str = "x = 1") -> bytes:
    """Make a notebook with every answer cell filled in, and a cell of the student's own."""
    cells: list[Any] = []
    for cell in assignment.cells:
        source = {"answer": code, "manual": answer}.get(cell.kind, cell.released)
        new = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
        node = new[cell.cell_type](source)
        if cell.grade_id:
            node.metadata["nbgrader"] = {"grade_id": cell.grade_id, "points": 99, "grade": True}
        cells.append(node)
    cells.insert(0, nbformat.v4.new_markdown_cell(f"# Mine {SCRIPT}"))
    cells.insert(1, nbformat.v4.new_code_cell("print('own')"))
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


def graded(
    assignment: Assignment, student: str = "bitdiddle", content: bytes | None = None, **about: Any
) -> Result:
    """Make a result in which every test gave half its points."""
    tasks = [
        Task(cell.grade_id, cell.title, cell.kind, "wrong", cell.points / 2, cell.points, "Nearly.")
        if cell.kind == "tests"
        else Task(cell.grade_id, cell.title, cell.kind, "manual", None, cell.points)
        for cell in assignment.graded
    ]
    steps = plan(assignment, content).steps if content else []
    cells = [
        {
            "index": index,
            "grade_id": step["grade_id"],
            "error": None,
            "outputs": [
                {"output_type": "stream", "name": "stderr", "text": f"output {index}\n"},
                {
                    "output_type": "display_data",
                    "data": {"text/html": SCRIPT, "text/plain": "t", "image/png": f'">{SCRIPT}'},
                },
            ],
        }
        for index, step in enumerate(steps)
        if step["kind"] == "cell"
    ]
    return Result(student, assignment.name, "needs_manual", tasks, cells=cells, **about)


def handed_in(content: bytes, student: str = "bitdiddle", submitted: str = "") -> Submission:
    return Submission(student, "origin", submitted=submitted, content=lambda: content)


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Any]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{file}") as book:
        yield book


@pytest.fixture
def no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.usefixtures("no_path")
def test_gradebook_is_what_nbgrader_would_have_made(
    assignment: Assignment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own tool, with the commands on PATH, makes the same rows from the same source."""
    with Book(tmp_path / "gradebook.db", assignment) as book:
        book.write(graded(assignment), submission(assignment))
    course = tmp_path / "course"
    shutil.copytree(assignment.path.parent, course / "source/ps1")
    (course / "source/ps1/problem2.ipynb").unlink()
    scripts = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.defpath}")
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "ps1"]
    subprocess.run(command, cwd=course, check=True, capture_output=True)
    tables = {
        "grade_cells": "max_score, grade_cells.cell_type",
        "solution_cells": "name",
        "task_cells": "name",
    }
    for table, columns in tables.items():
        query = f"SELECT name, {columns} FROM base_cell JOIN {table} USING (id) ORDER BY name"
        assert rows(tmp_path, query) == rows(course, query)
    query = "SELECT name, cell_type, locked, source, checksum FROM source_cell ORDER BY name"
    assert rows(tmp_path, query) == rows(course, query)
    for query in ("SELECT * FROM alembic_version", "SELECT name, kernelspec FROM notebook"):
        assert rows(tmp_path, query) == rows(course, query)
    # and what nbgrader made is taken as it is
    ids = rows(course, "SELECT id FROM base_cell ORDER BY id")
    write([graded(assignment)], [handed_in(b"")], course / "gradebook.db", assignment)
    assert rows(course, "SELECT id FROM base_cell ORDER BY id") == ids


def rows(course: Path, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(course / "gradebook.db")) as database:
        return database.execute(query).fetchall()


def test_scores_and_what_waits_for_a_human(assignment: Assignment, tmp_path: Path) -> None:
    file = tmp_path / "gradebook.db"
    with Book(file, assignment) as book:
        book.write(graded(assignment, student_id="77"), submission(assignment))
        untouched = graded(assignment, "hacker")
        for task in untouched.tasks:
            task.points = 0.0
        book.write(untouched, submission(assignment))
    with opened(file) as book:
        half = sum(task.max_points for task in untouched.tasks if task.kind == "tests") / 2
        found = book.find_submission("ps1", "bitdiddle")
        assert (found.score, found.needs_manual_grade) == (half, True)
        assert found.student.lms_user_id == "77"
        assert found.max_score == untouched.max_score
        grade = book.find_grade(essay(assignment), "problem1", "ps1", "bitdiddle")
        assert (grade.auto_score, grade.needs_manual_grade) == (None, True)
        assert not book.find_submission("ps1", "hacker").needs_manual_grade
        comment = book.find_comment(essay(assignment), "problem1", "ps1", "hacker")
        assert comment.comment == "No response."


def mark(file: Path, assignment: Assignment, score: float) -> None:
    """Give points and a comment as the formgrader does."""
    with opened(file) as book:
        grade = book.find_grade(essay(assignment), "problem1", "ps1", "bitdiddle")
        grade.manual_score, grade.needs_manual_grade = score, False
        comment = book.find_comment(essay(assignment), "problem1", "ps1", "bitdiddle")
        comment.manual_comment = "Good."
        book.db.commit()


def marked(file: Path, assignment: Assignment) -> tuple[Any, ...]:
    with opened(file) as book:
        grade = book.find_grade(essay(assignment), "problem1", "ps1", "bitdiddle")
        comment = book.find_comment(essay(assignment), "problem1", "ps1", "bitdiddle")
        return grade.manual_score, grade.needs_manual_grade, comment.manual_comment


def test_marks_by_hand_stay_unless_the_answer_changed(
    assignment: Assignment, tmp_path: Path
) -> None:
    file = tmp_path / "gradebook.db"
    result = graded(assignment)
    with Book(file, assignment) as book:
        book.write(result, submission(assignment))
    mark(file, assignment, 1.5)
    with Book(file, assignment) as book:
        assert book.write(result, submission(assignment)) == []
        assert marked(file, assignment) == (1.5, False, "Good.")
        # another cell changed, not this answer
        assert book.write(result, submission(assignment, code="x = 2")) == []
        assert marked(file, assignment) == (1.5, False, "Good.")
        notes = book.write(result, submission(assignment, answer="Another one."))
        assert "1.5 by hand" in notes[0]
        assert marked(file, assignment) == (None, True, None)


def test_marks_from_a_file_go_into_the_gradebook(assignment: Assignment, tmp_path: Path) -> None:
    result = graded(assignment)
    for task in result.tasks:
        if task.grade_id == essay(assignment):
            task.points, task.comment, task.by_hand = 2.0, "Fine.", True
    file, handed = tmp_path / "gradebook.db", [handed_in(submission(assignment))]
    write([result], handed, file, assignment)
    assert marked(file, assignment) == (2.0, False, "Fine.")
    mark(file, assignment, 1.5)
    write([result], handed, file, assignment)  # what the formgrader says now is newer
    assert marked(file, assignment) == (1.5, False, "Good.")
    write([result], handed, file, assignment, [Mark("bitdiddle", essay(assignment), 2.0)])
    assert marked(file, assignment) == (2.0, False, "Fine.")


def test_a_failed_submission_leaves_nothing_half_written(
    assignment: Assignment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gradebook.db"
    with Book(file, assignment) as book:
        monkeypatch.setattr(book, "_penalize", lambda notebook: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            book.write(graded(assignment), submission(assignment))
    assert rows(tmp_path, "SELECT * FROM student") == []
    assert rows(tmp_path, "SELECT * FROM grade") == []
    assert not (tmp_path / "autograded").exists()


def test_two_notebooks_of_an_assignment(assignment: Assignment, tmp_path: Path) -> None:
    second = read_assignment(assignment.path.parent / "problem2.ipynb")
    file = tmp_path / "gradebook.db"
    for one in (assignment, second):
        write([graded(one)], [handed_in(submission(one))], file, one)
    with opened(file) as book:
        half = (
            sum(
                cell.points
                for one in (assignment, second)
                for cell in one.graded
                if cell.kind == "tests"
            )
            / 2
        )
        assert book.find_submission("ps1", "bitdiddle").score == half


def test_late_penalty_of_the_courses_own_plugin(assignment: Assignment, tmp_path: Path) -> None:
    import datetime

    (tmp_path / "mylate.py").write_text(
        "from nbgrader.plugins import BasePlugin\n"
        "class PerHour(BasePlugin):\n"
        "    def late_submission_penalty(self, student_id, score, total_seconds_late):\n"
        "        return total_seconds_late / 3600\n"
    )
    (tmp_path / "nbgrader_config.py").write_text(
        "c = get_config()\nc.AssignLatePenalties.plugin_class = 'mylate.PerHour'\n"
    )
    file = tmp_path / "gradebook.db"
    with Book(file, assignment):
        pass
    with opened(file) as book:
        due = datetime.datetime(2015, 2, 2, 13)
        book.update_or_create_assignment("ps1", duedate=due)
        book.db.commit()
    handed = handed_in(submission(assignment), submitted="2015-02-02 14:00:00.000000 UTC")
    write([graded(assignment)], [handed], file, assignment)
    with opened(file) as book:
        assert book.find_submission("ps1", "bitdiddle").late_submission_penalty == 1
    sys.modules.pop("mylate", None)


def other_points(course: Path) -> None:
    with contextlib.closing(sqlite3.connect(course / "gradebook.db")) as database:
        database.execute("UPDATE grade_cells SET max_score = 17")
        database.commit()


def no_database(course: Path) -> None:
    (course / "gradebook.db").write_text("text" * 1000)


def old_version(course: Path) -> None:
    with contextlib.closing(sqlite3.connect(course / "gradebook.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'old'")
        database.commit()


def bad_config(course: Path) -> None:
    (course / "nbgrader_config.py").write_text("c = get_config(\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (other_points, "17 points there"),
        (no_database, "not a database"),
        (old_version, "nbgrader db upgrade"),
        (bad_config, "nbgrader_config.py"),
    ],
)
def test_what_does_not_fit_is_one_plain_line(
    assignment: Assignment, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    with Book(tmp_path / "gradebook.db", assignment):
        pass
    damage(tmp_path)
    with pytest.raises(GradingError, match=message) as caught:
        Book(tmp_path / "gradebook.db", assignment)
    assert "\n" not in str(caught.value)


def test_no_folder(assignment: Assignment, tmp_path: Path) -> None:
    with pytest.raises(GradingError, match="no folder"):
        Book(tmp_path / "none/gradebook.db", assignment)


# ---- The notebook


def test_autograded_notebook(assignment: Assignment) -> None:
    content = submission(assignment, answer=ANSWER + SCRIPT)
    made = autograded_notebook(assignment, content, graded(assignment, content=content))
    nbformat.validate(made)
    assert "print('own')" in [cell.source for cell in made.cells]
    own = next(cell for cell in made.cells if cell.source == "print('own')")
    assert own.outputs[0].text == "output 0\n"
    for cell in made.cells:
        about = cell.metadata.get("nbgrader", {})
        source = next((c for c in assignment.cells if c.grade_id == about.get("grade_id")), None)
        if source and source.kind == "tests":
            assert cell.source == source.source
            half = f"{source.points / 2:g} of {source.points:g} points"
            assert half in cell.outputs[0].text
            assert "Nearly." in cell.outputs[0].text
            assert about.points == source.points
    shown = [cell.source for cell in made.cells if cell.cell_type != "code"]
    shown += [json.dumps(cell.outputs) for cell in made.cells if cell.cell_type == "code"]
    assert not any("<script" in text or "<img" in text or "html" in text for text in shown)
    assert "&lt;script" in shown[0]


def test_missing_doubled_and_unreadable(assignment: Assignment) -> None:
    notebook = json.loads(submission(assignment))
    graded_cells = [cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    notebook["cells"] = [*graded_cells[1:], graded_cells[-1]]
    for content in (json.dumps(notebook).encode(), b"no notebook", None):
        result = graded(assignment)
        result.status = "invalid" if content is None else "graded"
        made = autograded_notebook(assignment, content, result)
        nbformat.validate(made)
        names = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in made.cells]
        for cell in assignment.cells:
            assert not cell.grade_id or names.count(cell.grade_id) == 1


# ---- nbgrader's programs


def test_nbgrader_exports_it(assignment: Assignment, tmp_path: Path) -> None:
    write([graded(assignment)], [handed_in(b"")], tmp_path / "gradebook.db", assignment)
    command = [sys.executable, "-m", "nbgrader", "export", "--to", "out.csv"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    line = (tmp_path / "out.csv").read_text().splitlines()[1]
    assert line.startswith("ps1,,,bitdiddle,")


@pytest.fixture
def server(assignment: Assignment, tmp_path: Path) -> Iterator[str]:
    """Run a Jupyter server with the formgrader in a course folder; give its address."""
    content = submission(assignment)
    handed = [handed_in(content), handed_in(b"", "Å'b c")]
    results = [graded(assignment, content=content), graded(assignment, "Å'b c")]
    write(results, handed, tmp_path / "gradebook.db", assignment)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "jupyter_server", f"--port={port}", "--no-browser",
            "--allow-root", "--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}",
            "--ServerApp.jpserver_extensions={'nbgrader.server_extensions.formgrader': True,"
            " 'jupyterlab': False, 'notebook': False, 'jupyter_lsp': False}",
        ],
        cwd=tmp_path,
        env={**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "HOME": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                get(f"{address}api")
                break
            except urllib.error.URLError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.status == 200
        return answer.read().decode()


def test_formgrader_opens_it(server: str) -> None:
    get(f"{server}formgrader/gradebook/ps1/problem1")
    listed = json.loads(get(f"{server}formgrader/api/submitted_notebooks/ps1/problem1"))
    assert {one["student"] for one in listed} == {"bitdiddle", "Å'b c"}
    assert all(one["needs_manual_grade"] for one in listed)
    for one in listed:
        page = get(f"{server}formgrader/submissions/{one['id']}/")
        if one["student"] == "bitdiddle":
            assert "Some text of mine" in page.replace('<span class="n">', "")
            assert "Nearly." in page
            assert "<script>alert(1)" not in page
        grades = json.loads(get(f"{server}formgrader/api/grades?submission_id={one['id']}"))
        assert {grade["needs_manual_grade"] for grade in grades} == {True, False}
