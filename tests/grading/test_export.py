"""Files for learning platforms, checked by what their importers look for."""

import csv
import io

import pytest

from coursekit.grading.export import export
from coursekit.grading.limits import GradingError
from coursekit.grading.results import Result, Task, grades


def make(student: str, points: float | None, origin: str = "", student_id: str = "") -> Result:
    tasks = [Task("a", "A", "tests", "passed", points, 2.0), Task("b", "B", "tests", "wrong", 1, 8)]
    return Result(student, "ps1", "graded", tasks, origin=origin, student_id=student_id)


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


CANVAS = [
    make("doejane", 1.5, "doejane_12345_678_ps1.ipynb", "12345"),
    make("=evil", 2.0, "anon_x1_679_ps1.ipynb", "anon_x1"),
    make("alice", None, "alice.ipynb"),
]
MOODLE = [
    make("Jane Doe (7)", 1.5, "Jane Doe_7_assignsubmission_file_/ps1.ipynb", "7"),
    make("Åsa", None, "Åsa_8_assignsubmission_file_", "8"),
]


def test_csv() -> None:
    assert export(CANVAS, "csv") == grades(CANVAS)


def test_canvas() -> None:
    """The header and the row of points as lib/gradebook_importer.rb reads them."""
    header, worth, *students = rows(export(CANVAS, "canvas"))
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "ps1"]
    assert "Points Possible" in worth[0]
    assert worth[5] == "10"
    assert students == [
        ["doejane", "12345", "", "", "", "2.5"],
        ["'=evil", "", "", "'=evil", "", "3"],
        ["alice", "", "", "alice", "", ""],  # waits for a human: no part of a mark
    ]
    assert rows(export(CANVAS, "canvas", "Sheet 1 (4711)"))[0][5] == "Sheet 1 (4711)"


def test_moodles_worksheet() -> None:
    """The columns that mod/assign/feedback/offline/importgradeslib.php requires."""
    header, *students = rows(export(MOODLE, "moodle"))
    assert {"Identifier", "Grade", "Last modified (grade)"} < set(header)
    assert students == [
        ["Participant 7", "Jane Doe", "2.5", "10", "-"],
        ["Participant 8", "Åsa", "", "10", "-"],
    ]


def test_moodle_without_participants_numbers() -> None:
    """A number that Canvas gave is none of Moodle's."""
    assert rows(export(CANVAS[:1], "moodle"))[0] == ["Username", "ps1"]
    assert rows(export(CANVAS, "moodle", "Sheet 1")) == [
        ["Username", "Sheet 1"],
        ["doejane", "2.5"],
        ["'=evil", "3"],
        ["alice", ""],
    ]


def test_no_format_and_no_results() -> None:
    with pytest.raises(GradingError, match="csv, canvas, moodle"):
        export(CANVAS, "xml")
    assert len(rows(export([], "canvas"))) == 2
