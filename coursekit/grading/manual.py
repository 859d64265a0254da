"""Marks that a human gave, from a CSV file."""

from __future__ import annotations

import copy
import csv
import io
import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coursekit.grading.limits import GradingError
from coursekit.grading.results import FORMULA, Result, Task, number

COLUMNS = ("student", "grade_id", "points")  # and comment, if wanted


@dataclass(frozen=True)
class Mark:
    """Points that a human gave; `row` is the row of the file, for messages."""

    student: str
    grade_id: str
    points: float
    comment: str = ""
    row: int = 0


def read(file: Path) -> list[Mark]:
    """Read marks: columns ``student,grade_id,points,comment`` in any order.

    Understood is what spreadsheets write: UTF-8 with or without a mark at the beginning, columns
    parted by comma, semicolon or tab, a decimal comma. The apostrophe that ``grades.csv`` puts
    before a name such as ``=x`` is taken away. A row without points is passed over.

    Parameters
    ----------
    file : Path
        The CSV file.

    Raises
    ------
    GradingError
        If it can't be read so; the message names the row.
    """
    rows = list(csv.reader(io.StringIO(text := _decoded(file)), delimiter=_delimiter(text)))
    header = [name.strip().lower() for name in rows[0]] if rows else []
    for column in COLUMNS:
        if header.count(column) != 1:
            raise GradingError(
                f"{file} needs a first row student,grade_id,points,comment; it lacks {column}."
            )
    marks: dict[tuple[str, str], Mark] = {}
    for place, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
            raise GradingError(
                f'{file}, row {place}: more columns than the first row; write "…" around commas.'
            )
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=False)}
        if not cells.get("points"):
            continue
        mark = Mark(
            student=_name(cells["student"]),
            grade_id=_name(cells["grade_id"]),
            points=_points(cells["points"], f"{file}, row {place}"),
            comment=cells.get("comment", ""),
            row=place,
        )
        other = marks.setdefault((mark.student, mark.grade_id), mark)
        if other is not mark:
            raise GradingError(
                f"{file}, row {place}: {mark.student} has points for {mark.grade_id} "
                f"in row {other.row} already. Delete one of the two."
            )
    return list(marks.values())


def _decoded(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise GradingError(f"{file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise GradingError(
            f"{file} is not in UTF-8: save it as CSV UTF-8 in your spreadsheet program."
        ) from None


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _name(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _points(text: str, where: str) -> float:
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        points = math.nan
    if not math.isfinite(points) or points < 0:
        raise GradingError(f"{where}: {text[:40]!r} is not a number of points.")
    return points


def check(marks: Iterable[Mark], students: Iterable[str], worth: Mapping[str, float]) -> None:
    """Compare marks with what is graded, before hours are spent on grading.

    Parameters
    ----------
    marks : iterable of Mark
        From `read`.
    students : iterable of str
        Who handed in.
    worth : mapping of str to float
        The most points of each graded cell, by grade_id.

    Raises
    ------
    GradingError
        If a student or grade_id is not known, or the points are too many; it names the row.
    """
    students = set(students)
    for mark in marks:
        where = f"Marks by hand, row {mark.row}"
        if mark.student not in students:
            raise GradingError(f"{where}: there is no student {mark.student!r} in this batch.")
        if mark.grade_id not in worth:
            known = ", ".join(worth)
            raise GradingError(
                f"{where}: there is no task {mark.grade_id!r} in the source; tasks are {known}."
            )
        if mark.points > worth[mark.grade_id]:
            raise GradingError(
                f"{where}: {number(mark.points)} points for {mark.grade_id}, "
                f"which is worth {number(worth[mark.grade_id])}."
            )


def apply(results: Iterable[Result], marks: Iterable[Mark]) -> list[Result]:
    """Put marks into results. A mark may also replace what tests gave; a note then says so.

    Parameters
    ----------
    results : iterable of Result
        They are not modified.
    marks : iterable of Mark
        Checked ones, see `check`. Marks of students who are not among the results wait.

    Returns
    -------
    list of Result
        Those that have changed, as new objects.
    """
    by_student: dict[str, list[Mark]] = {}
    for mark in marks:
        by_student.setdefault(mark.student, []).append(mark)
    changed = []
    for result in results:
        new = copy.deepcopy(result)
        tasks = {task.grade_id: task for task in new.tasks}
        for mark in by_student.get(result.student, []):
            if mark.grade_id in tasks:
                _give(new, tasks[mark.grade_id], mark)
        if new.status == "needs_manual" and not any(task.points is None for task in new.tasks):
            new.status = "graded"
        if new != result:
            changed.append(new)
    return changed


def _give(result: Result, task: Task, mark: Mark) -> None:
    if task.kind == "tests" and not task.by_hand and task.points != mark.points:
        before = number(task.points)
        result.notes.append(
            f"{task.grade_id}: {number(mark.points)} points by hand; the tests gave {before}."
        )
    task.points, task.comment, task.by_hand = mark.points, mark.comment, True
