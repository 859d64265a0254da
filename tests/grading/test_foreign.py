"""Assignments of other instructors: right marks in separate processes, or a clear word why not."""

import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coursekit.grading import feedback, report
from coursekit.grading.assignment import read_assignment
from coursekit.grading.results import Result, Task
from coursekit.grading.runner import Grader, Settings
from coursekit.grading.submissions import Submission
from tests.grading.foreign import ALL
from tests.grading.notebook import answered, dump, write

NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            bool(case.needs) and importlib.util.find_spec(case.needs) is None,
            reason=f"{case.needs} is not installed",
        ),
    )
    for name, case in ALL.items()
]


def grade(name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Grade all students of an assignment, in separate processes and then in one."""
    case = ALL[name]
    path = write(case.source(), folder / "source/ps/foreign.ipynb")
    assignment = read_assignment(path)
    students = {student: notebook for student, (notebook, _) in case.students().items()}
    released = {c.grade_id: c.released for c in assignment.cells if c.kind == "answer"}
    students["stub"] = answered(case.source(), **released)
    handed = [
        Submission(student, student, content=functools.partial(dump, notebook))
        for student, notebook in students.items()
    ]
    with Grader(Settings(assignment, files=case.files)) as grader:
        for in_process in (False, True):
            grader.settings = replace(grader.settings, in_process=in_process)
            yield {one.student: grader.grade(one) for one in handed}


def points(result: Any) -> dict[str, float]:
    return {task.grade_id: task.points for task in result.tasks}


def told(result: Any) -> dict[str, tuple[str, str]]:
    return {task.grade_id: (task.verdict, task.message) for task in result.tasks}


@pytest.mark.parametrize("name", NAMES)
def test_marks(tmp_path: Path, name: str) -> None:
    case = ALL[name]
    apart, together = grade(name, tmp_path)
    for student, (_, marks) in case.students().items():
        expected = {**marks, **dict.fromkeys(case.apart, 0)}
        assert points(apart[student]) == expected, (student, told(apart[student]))
        assert points(together[student]) == marks, (student, told(together[student]))
    for results in (apart, together):
        assert set(points(results["stub"]).values()) == {0}, told(results["stub"])
        assert {result.status for result in results.values()} == {"graded"}
    for test, said in case.apart.items():
        verdict, message = told(apart["solution"])[test]
        assert verdict in ("error", "wrong")
        assert said in f"{message} {apart['solution'].notes}"
    assert not any(result.forgeable for result in apart.values())
    assert all(result.forgeable for result in together.values())
    assert not Path("/more.csv").exists()  # tests write into a folder of their own


def test_forgeable_marks_are_marked(tmp_path: Path) -> None:
    name = "written_by_hand"
    task = Task("t", "Task", "tests", "passed", 1.0, 1.0)
    for forgeable, count in ((True, 1), (False, 0)):
        result = Result(name, "ps", "graded", [task], forgeable=forgeable)
        page = feedback.write(result, tmp_path).read_text(encoding="utf-8")
        assert page.count("ran in the same process") == count
        report.write([result], tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert page.count("Marks that could be forged") == count
