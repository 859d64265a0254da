"""Give results in the formats that learning platforms import."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from coursekit.grading.limits import GradingError
from coursekit.grading.results import Result, grades, number, plain_cell
from coursekit.grading.submissions import CANVAS, MOODLE

FORMATS = ("csv", "canvas", "moodle")


def export(results: Iterable[Result], format: str, column: str = "") -> str:
    """Give the text of a file to import.

    Parameters
    ----------
    results : iterable of Result
        In the order of the rows.
    format : str
        ``csv``
            The same as ``grades.csv``.
        ``canvas``
            For Canvas, Grades, Import. Students are found by the number in the file names of
            Canvas's ZIP; without one the name is taken for the login.
        ``moodle``
            For Moodle's "Upload grading worksheet" if the submissions came in Moodle's ZIP, which
            has the participants' numbers; otherwise columns for Grades, Import, CSV file.
    column : str
        Name of the column with the points; default is the assignment's name. Canvas finds an
        assignment by the number in brackets after its name, ``Sheet 1 (4711)``.

    Returns
    -------
    str
        CSV. The points of who waits for a human are left out, so that a part of a mark is never
        taken for the mark.

    Raises
    ------
    GradingError
        If there is no such format.
    """
    if format == "csv":
        return grades(results)
    makers = {"canvas": _canvas, "moodle": _moodle}
    if format not in makers:
        raise GradingError(f"There is no format {format!r}; formats are {', '.join(FORMATS)}.")
    results = list(results)
    text = io.StringIO()
    title = column or (results[0].assignment if results else "")
    csv.writer(text, lineterminator="\r\n").writerows(makers[format](results, plain_cell(title)))
    return text.getvalue()


def _canvas(results: list[Result], title: str) -> Iterable[list[str]]:
    """Follow Canvas: lib/gradebook_importer.rb says which columns it looks for."""
    yield ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title]
    worth = number(max((result.max_score for result in results), default=0.0))
    yield ["    Points Possible", "", "", "", "", worth]
    for result in results:
        number_there = _platform_id(result, CANVAS)
        login = "" if number_there else plain_cell(result.student)
        yield [plain_cell(result.student), number_there, "", login, "", _score(result)]


def _moodle(results: list[Result], title: str) -> Iterable[list[str]]:
    """Follow Moodle: mod/assign/feedback/offline/importgradeslib.php says what it needs."""
    ids = {result.student: _platform_id(result, MOODLE) for result in results}
    if not all(ids.values()):
        yield ["Username", title]
        for result in results:
            yield [plain_cell(result.student), _score(result)]
        return
    yield ["Identifier", "Full name", "Grade", "Maximum Grade", "Last modified (grade)"]
    for result in results:
        identifier = f"Participant {ids[result.student]}"
        name = plain_cell(re.sub(r" \(\d+\)$", "", result.student))
        yield [identifier, name, _score(result), number(result.max_score), "-"]


def _platform_id(result: Result, platform: re.Pattern[str]) -> str:
    """Give the student's number if the file has a name of this platform."""
    names_it = any(platform.fullmatch(part) for part in result.origin.split("/"))
    return result.student_id if names_it and result.student_id.isdigit() else ""


def _score(result: Result) -> str:
    waits = any(task.points is None for task in result.tasks)
    return "" if waits else number(result.score)
