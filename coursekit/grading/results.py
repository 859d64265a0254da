"""What grading found out about a submission, and how it is kept."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Task:
    """One graded cell of a submission.

    Parameters
    ----------
    grade_id : str
        Name of the cell in the source.
    title : str
        Heading above the cell.
    kind : str
        "tests", "manual" (an answer that a human grades) or "task" (nbgrader's cell of that type).
    verdict : str
        passed, wrong, error, timeout, out_of_memory, died, invalid or manual.
    points : float or None
        None while the task waits for a human.
    max_points : float
        Worth of the task.
    message, hint : str
        What the student reads.
    tried, expected, got : str
        What the failing test did; empty for hidden tests.
    hidden : bool
        Whether the test that failed is hidden from students.
    seconds : float
        Time that the tests took.
    answer : str
        The student's text, for a human to grade.
    comment : str
        What the human wrote.
    """

    grade_id: str
    title: str
    kind: str
    verdict: str
    points: float | None
    max_points: float
    message: str = ""
    hint: str = ""
    tried: str = ""
    expected: str = ""
    got: str = ""
    hidden: bool = False
    seconds: float = 0.0
    answer: str = ""
    comment: str = ""


@dataclass
class Result:
    """What grading one submission gave.

    Parameters
    ----------
    student, assignment : str
        Names.
    status : str
        graded, needs_manual, timeout, out_of_memory, died or invalid.
    tasks : list of Task
        In the order of the source.
    notes : list of str
        What the instructor should know, in plain words.
    tampering : list of str
        What looks like an attempt to cheat, or like an accident that looks so.
    cells : list of dict
        Errors and outputs of the student's cells: ``index``, ``grade_id``, ``error``, ``outputs``.
    isolation : str
        Level in force, one of `limits.LEVELS`.
    forgeable : bool
        Whether the student's code could have set its own marks (``--in-process``).
    seed : int
        Where the tests' random inputs came from.
    seconds, cpu_seconds : float
        Time used.
    memory : int
        Most bytes used at one time.
    origin : str
        Name of the file that was handed in.
    student_id : str
        Number in the learning platform, where the file name tells it.
    key : str
        Hash of submission, tests and environment: same key, same result.
    """

    student: str
    assignment: str
    status: str
    tasks: list[Task] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tampering: list[str] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    isolation: str = ""
    forgeable: bool = False
    seed: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    origin: str = ""
    student_id: str = ""
    key: str = ""

    @property
    def score(self) -> float:
        """Sum of the points so far."""
        return sum(task.points or 0.0 for task in self.tasks)

    @property
    def max_score(self) -> float:
        """Sum of the points of all tasks."""
        return sum(task.max_points for task in self.tasks)

    def to_json(self) -> str:
        """Give the result as one line of JSON."""
        about = {**dataclasses.asdict(self), "score": self.score, "max_score": self.max_score}
        return json.dumps(about, ensure_ascii=True, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Result:
        """Read a line that `to_json` made."""
        about = json.loads(line)
        for name in ("score", "max_score"):
            about.pop(name, None)
        about["tasks"] = [Task(**task) for task in about["tasks"]]
        return cls(**about)
