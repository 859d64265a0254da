"""The same course graded by ``nbgrader autograde`` and by ``coursekit grade``.

Graded are the example course of nbgrader's documentation and the notebooks of its own tests, of
which `FILES` says what comes out. In the example, bitdiddle has commented the tests out, and the
hacker returns what the visible tests want.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from typer.testing import CliRunner

from coursekit.cli import app
from coursekit.grading.assignment import read_assignment
from coursekit.grading.limits import GradingError
from tests.grading.notebook import find

NBGRADER = Path(pytest.importorskip("nbgrader").__file__).parent
EXAMPLE = NBGRADER / "docs/source/user_guide"
TESTS = NBGRADER / "tests/apps/files"

# Assignment → its source and who hands in what, all from nbgrader's tests.
SMALL: dict[str, tuple[str, dict[str, str]]] = {
    "cells": (
        "submitted-unchanged",
        {
            "unchanged": "submitted-unchanged",
            "changed": "submitted-changed",
            "cheat": "submitted-cheat-attempt",
            "other_cheat": "submitted-cheat-attempt-alternative",
            "tests_changed": "submitted-grade-cell-changed",
            "locked_changed": "submitted-locked-cell-changed",
        },
    ),
    "course": (
        "test",
        {"right": "test", "outputs": "test-with-output", "warns": "test", "deletes": "test"},
    ),
    "hidden": ("test-hidden-tests", {"right": "test", "guessed": "test-hidden-tests"}),
    "slow": ("timeout", {"asleep": "timeout", "endless": "infinite-loop"}),
    "files": ("open_relative_file", {"reads": "open_relative_file"}),
    "environment": ("validating-environment-variable", {"any": "validating-environment-variable"}),
    "autotest": (
        "autotest-multi-unchanged",
        {"stub": "autotest-multi-unchanged", "some": "autotest-multi-changed"},
    ),
    "hashed": ("autotest-hashed-unchanged", {"right": "autotest-hashed-changed"}),
    "nothing": ("validation-zero-points", {"wrong": "validation-zero-points"}),
}
DATA = ("data.txt", "jupyter.png")
# Intended: points there and here.
DIFFERENT = {
    # text on stderr is no failure: here squares() prints some
    ("course", "warns"): (0.5, 3.0),
    # a deleted test cell still runs; nbgrader gives nothing and asks for a human
    ("course", "deletes"): (2.0, 3.0),
    # as above: nothing but an endless loop was handed in
    ("slow", "endless"): (0.0, 0.0),
    # tests that the source does not have count for nothing; nbgrader stops at them
    ("hidden", "right"): (0.0, 3.0),
}
SECONDS = 2  # for a cell: "timeout" sleeps for five

AUTOGRADE = """
import json, sys
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

config = Config()
config.CourseDirectory.root = "."
config.Execute.timeout = int(sys.argv[1])
api = NbGraderAPI(config=config)
for assignment, students in json.loads(sys.argv[2]).items():
    done = api.generate_assignment(assignment)
    assert done["success"], done
    for student in students:
        api.autograde(assignment, student)
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out a course as nbgrader wants it."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(EXAMPLE / "source/ps1", root / "source/ps1")
    shutil.copytree(EXAMPLE / "submitted", root / "submitted")
    for assignment, (source, students) in SMALL.items():
        place(source, root / "source" / assignment)
        for student, file in students.items():
            place(file, root / "submitted" / student / assignment)
    change(root / "submitted/warns/course/p1.ipynb", add_stderr)
    change(root / "submitted/deletes/course/p1.ipynb", delete_test)
    return root


def change(path: Path, how: Callable[[Any], None]) -> None:
    notebook = nbformat.read(path, 4)
    how(notebook)
    nbformat.write(notebook, path)


def add_stderr(notebook: Any) -> None:
    cell = find(notebook, "squares")
    cell.source = cell.source.replace(
        "    if n", "    import sys\n    print(n, file=sys.stderr)\n    if n", 1
    )


def delete_test(notebook: Any) -> None:
    notebook.cells.remove(find(notebook, "correct_squares"))


def place(file: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(TESTS / f"{file}.ipynb", folder / "p1.ipynb")
    for name in DATA:
        shutil.copy(TESTS / name, folder)


def students(course: Path) -> dict[str, list[str]]:
    """List who hands in what."""
    found: dict[str, list[str]] = {"ps1": ["bitdiddle", "hacker"]}
    return found | {name: list(handed) for name, (_, handed) in SMALL.items()}


def environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    return {**os.environ, "PATH": path, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home)}


Key = tuple[str, str, str]  # assignment, notebook, student
Marks = dict[Key, dict[str, tuple[float | None, bool]]]
Ours = tuple[Marks, dict[Key, dict[str, Any]]]


def marks(gradebook: Path) -> Marks:
    """Read what each cell of each submission got, and whether a human must look at it."""
    from nbgrader.api import Gradebook

    found: Marks = {}
    with Gradebook(f"sqlite:///{gradebook}") as book:
        for assignment in book.assignments:
            for submission in book.assignment_submissions(assignment.name):
                for notebook in submission.notebooks:
                    key = (assignment.name, notebook.name, submission.student.id)
                    found[key] = {
                        grade.name: (grade.score, grade.needs_manual_grade)
                        for grade in notebook.grades
                    }
    return found


@pytest.fixture(scope="module")
def theirs(course: Path) -> Marks:
    """Grade with nbgrader."""
    asked = json.dumps(students(course))
    done = subprocess.run(
        [sys.executable, "-c", AUTOGRADE, str(SECONDS), asked],
        cwd=course,
        env=environment(course),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return marks(course / "gradebook.db")


@pytest.fixture(scope="module")
def ours(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Ours:
    """Grade with this package."""
    root = tmp_path_factory.mktemp("ours")
    results = {}
    for assignment in students(course):
        for source in sorted((course / "source" / assignment).glob("*.ipynb")):
            out = root / f"{assignment}-{source.stem}"
            command: list[Any] = ["grade", source, course / "submitted", "--out", out]
            command += ["--gradebook", root / "gradebook.db", "--cell-seconds", SECONDS]
            command += [part for name in DATA for part in ("--file", TESTS / name)]
            done = CliRunner().invoke(app, list(map(str, command)))
            assert done.exit_code == 0, done.output
            for line in (out / "results.jsonl").read_text().splitlines():
                result = json.loads(line)
                results[assignment, source.stem, result["student"]] = result
    return marks(root / "gradebook.db"), results


def test_same_marks_and_same_cells_for_a_human(theirs: Marks, ours: Ours) -> None:
    mine, _ = ours
    assert set(mine) == set(theirs)
    alike = {key: got for key, got in mine.items() if key[::2] not in DIFFERENT}
    assert alike == {key: theirs[key] for key in alike}
    assert len(alike) == len(theirs) - len(DIFFERENT)
    # and they are not all zero
    assert theirs["ps1", "problem1", "hacker"]["correct_squares"] == (1.0, False)
    assert theirs["ps1", "problem1", "bitdiddle"]["correct_squares"] == (0.0, False)
    assert mine["cells", "p1", "changed"]["baz"] == (0.0, True)


def test_intended_differences(theirs: Marks, ours: Ours) -> None:
    mine, _ = ours
    for (assignment, student), (their_score, score) in DIFFERENT.items():
        key = (assignment, "p1", student)
        got = [sum(points or 0 for points, _ in book[key].values()) for book in (theirs, mine)]
        assert got == [their_score, score], key
        # where nbgrader has given up a human has to look; where tests decide nobody has to
        tests = [name for name, (points, _) in mine[key].items() if points]
        assert not any(mine[key][name][1] for name in tests)


def test_what_was_tampered_with_is_told(ours: Ours) -> None:
    _, results = ours
    assert results["cells", "p1", "tests_changed"]["tampering"] == [
        "The test cell bar was changed; the original was used."
    ]
    assert results["cells", "p1", "locked_changed"]["tampering"] == [
        "The read-only cell ro1 was changed; the original was used.",
        "The read-only cell ro2 was changed; the original was used.",
    ]
    assert results["ps1", "problem1", "bitdiddle"]["tampering"] == [
        "The test cell correct_squares was changed; the original was used.",
        "The test cell squares_invalid_input was changed; the original was used.",
    ]
    assert results["ps1", "problem1", "hacker"]["tampering"] == []


# ---- nbgrader's test notebooks as sources

SAME = "graded above, with the same marks"
FILES: dict[str, str] = {
    **{source: SAME for source, _ in SMALL.values()},
    **{file: SAME for _, handed in SMALL.values() for file in handed.values()},
    # nothing to grade in it; a student hands it in above
    "infinite-loop": "no cell is graded",
    # nbgrader puts tests in the place of these lines when it makes the assignment
    "autotest-hashed": "write plain asserts",
    "autotest-hidden": "write plain asserts",
    "autotest-multi": "write plain asserts",
    "autotest-simple": "write plain asserts",
    # what students got of autotest-hidden: the hidden tests are not there any more
    "autotest-hidden-unchanged": "",
    "autotest-hidden-changed-right": "",
    "autotest-hidden-changed-wrong": "",
    # as autotest-multi, which has more
    "autotest-simple-unchanged": "",
    "autotest-simple-changed": "",
    # nothing to grade in them: they are for tests of nbgrader's executor
    "infinite-loop-with-output": "no cell is graded",
    "side-effects": "no cell is graded",
    # refused by both
    "test-no-metadata": "Solution region detected in a non-solution cell",
    "test-no-metadata-autotest": "Solution region detected in a non-solution cell",
    "test-v0": "nbgrader update",
    "test-v0-invalid": "nbgrader update",
    "test-v1": "nbgrader update",
    "test-v2": "nbgrader update",
    "too-new": "coursekit has to be newer",
}


def test_every_notebook_of_nbgraders_tests_is_known() -> None:
    assert set(FILES) == {path.stem for path in TESTS.glob("*.ipynb")}


@pytest.mark.parametrize("name", FILES)
def test_sources_that_cannot_be_graded_say_why(name: str) -> None:
    if FILES[name] in (SAME, ""):
        assert read_assignment(TESTS / f"{name}.ipynb").graded
        return
    with pytest.raises(GradingError, match=FILES[name]):
        read_assignment(TESTS / f"{name}.ipynb")
