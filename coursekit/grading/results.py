"""What grading found out about a submission, and how it is kept."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from coursekit.course import replacing, write_atomically
from coursekit.grading.limits import GradingError

RESULTS = "results.jsonl"
GRADES = "grades.csv"
FEEDBACK = "feedback"
LOCK = ".lock"
# A spreadsheet takes a cell that begins with one of these for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    by_hand : bool
        Whether the points were given by a human.
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
    by_hand: bool = False


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
    source : str
        Hash of the source that was graded against.
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
    source: str = ""

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


# ---- The folder of results


class Place(NamedTuple):
    """Where the last line of a student lies in ``results.jsonl``, and its key."""

    start: int
    size: int
    key: str


class Store:
    """The results in a folder; only one run at a time may write them.

    Each result is on the disk before `add` returns. After a crash or power loss all but a line
    that was being written is still there. On leaving the ``with`` block without an error, replaced
    lines are dropped and ``grades.csv`` is written.

    Parameters
    ----------
    out : Path
        The folder; it is made if need be.
    resume : bool
        Whether results that are there already are wanted. Without it a folder that has some is
        refused, so that none is ever lost by mistake.

    Raises
    ------
    GradingError
        If another run writes to the folder, or it has results and `resume` is false.

    Examples
    --------
    >>> with Store(Path("out"), resume=True) as store:  # doctest: +SKIP
    ...     if not store.has(student, key):
    ...         store.add(result)
    """

    def __init__(self, out: Path, resume: bool = False) -> None:
        self.out = out
        with plain_disk_errors(out), contextlib.ExitStack() as stack:
            out.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(out))
            for torn in (*out.glob(".*.part"), *(out / FEEDBACK).glob(".*.part")):
                torn.unlink()  # what a killed run was writing
            # unbuffered: what could not be written must not be tried again later
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            file = os.fdopen(os.open(out / RESULTS, flags, 0o666), "r+b", buffering=0)
            self._file = stack.enter_context(file)
            self._places, self._end = _scan(out / RESULTS)
            if self._places and not resume:
                raise GradingError(
                    f"{out} has the results of {len(self._places)} students. "
                    "Go on with --resume, or choose another folder with --out."
                )
            self._file.truncate(self._end)  # a line that a crash has torn
            self._open = stack.pop_all()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, *about: object) -> None:
        with self._open:
            if kind is None:
                self._finish()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Result]:
        """Give the results in the order of the students' names; they are read one by one."""
        return map(self.__getitem__, in_order(self._places))

    def __contains__(self, student: str) -> bool:
        return student in self._places

    def __getitem__(self, student: str) -> Result:
        return Result.from_json(self._line(student).decode())

    def has(self, student: str, key: str) -> bool:
        """Tell whether there is a result with this key."""
        return student in self._places and self._places[student].key == key

    def add(self, result: Result) -> None:
        """Write a result to the disk; it replaces an earlier one of the student.

        Raises
        ------
        GradingError
            If the disk is full. What was written before stays as it is.
        """
        line = result.to_json().encode() + b"\n"
        with plain_disk_errors(self.out):
            try:
                self._file.seek(self._end)
                rest = memoryview(line)
                while rest:
                    rest = rest[self._file.write(rest) :]
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(self._end)
                raise
        self._places[result.student] = Place(self._end, len(line), result.key)
        self._end += len(line)

    def _line(self, student: str) -> bytes:
        place = self._places[student]
        self._file.seek(place.start)
        return self._file.read(place.size)

    def _finish(self) -> None:
        """Drop replaced lines, sort the others, and write ``grades.csv``."""
        with plain_disk_errors(self.out):
            with replacing(self.out / GRADES) as file:
                file.write(grades(self).encode())
            with replacing(self.out / RESULTS) as file:
                for student in in_order(self._places):
                    file.write(self._line(student))
                self._file.close()  # Windows replaces no open file


def read(out: Path) -> Iterator[Result]:
    """Give the results in a folder, in the order of the students' names; one is held at a time.

    Raises
    ------
    GradingError
        If there are none.
    """
    try:
        places, _ = _scan(out / RESULTS)
        with (out / RESULTS).open("rb") as file:
            for student in in_order(places):
                file.seek(places[student].start)
                yield Result.from_json(file.read(places[student].size).decode())
    except FileNotFoundError:
        raise GradingError(f"{out} has no {RESULTS}: first run coursekit grade.") from None


def in_order(students: Iterable[str]) -> list[str]:
    """Sort names: A beside a."""
    return sorted(students, key=lambda name: (name.casefold(), name))


def _scan(path: Path) -> tuple[dict[str, Place], int]:
    """Find the last line of each student, and where the whole lines end."""
    places: dict[str, Place] = {}
    end = 0
    damaged = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if damaged:
                raise GradingError(
                    f"{path}, line {damaged} is damaged. Delete it and run again with --resume."
                )
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("torn")
                result = Result.from_json(line.decode())
            except (ValueError, TypeError, KeyError):
                damaged = number  # fine if it is the last one: it was being written
                continue
            places[result.student] = Place(end, len(line), result.key)
            end += len(line)
    return places, end


# ---- grades.csv


def grades(results: Iterable[Result]) -> str:
    """Give the content of ``grades.csv``.

    The columns are student, assignment, score, max_score and status, then one for each grade_id in
    the order of the source. A task that waits for a human is empty.
    """
    rows = []
    tasks: dict[str, None] = {}
    for result in results:
        points = {task.grade_id: number(task.points) for task in result.tasks}
        tasks |= dict.fromkeys(points)
        about = [result.student, result.assignment]
        sums = [number(result.score), number(result.max_score)]
        rows.append(([*map(plain_cell, about), *sums, result.status], points))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["student", "assignment", "score", "max_score", "status"]
    writer.writerow([*header, *map(plain_cell, tasks)])
    for about, points in rows:
        writer.writerow([*about, *(points.get(task, "") for task in tasks)])
    return text.getvalue()


def number(points: float | None) -> str:
    """Print points: at most four decimals, none that says nothing (1, 0.5)."""
    return "" if points is None else f"{points + 0:.4f}".rstrip("0").rstrip(".")


def plain_cell(text: str) -> str:
    """Keep a spreadsheet from taking text for a formula, with an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA) else text


# ---- Parts of a batch


@dataclass(frozen=True)
class Shard:
    """The `index`-th (from 1) of `count` parts of a batch."""

    index: int
    count: int

    def __contains__(self, student: object) -> bool:
        """Tell whether a student belongs to this part; that depends on the name alone."""
        digest = hashlib.sha256(str(student).encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


def shard(text: str) -> Shard:
    """Read ``i/n``.

    Raises
    ------
    GradingError
        If it does not say which part of how many.
    """
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", text)
    if match and 1 <= int(match[1]) <= int(match[2]):
        return Shard(int(match[1]), int(match[2]))
    raise GradingError(f"--shard {text}: write I/N with I from 1 to N, for example 1/4.")


def merge(folders: Sequence[Path], out: Path) -> int:
    """Put the results and feedback of several folders into one.

    Parameters
    ----------
    folders : sequence of Path
        What `coursekit grade --shard` made.
    out : Path
        Where to; results that are there stay and must fit, so that a merge can be repeated.

    Returns
    -------
    int
        Number of students.

    Raises
    ------
    GradingError
        If the folders are of different assignments or sources, or differ about a student. Then
        nothing has been written.
    """
    from coursekit.grading.submissions import safe_name

    with contextlib.ExitStack() as stack:
        for folder in folders:
            if not (folder / RESULTS).is_file():
                raise GradingError(f"{folder} has no {RESULTS}: first run coursekit grade.")
            if folder.resolve() == out.resolve():
                raise GradingError(f"{out} is both a part and --out; choose another folder.")
            stack.enter_context(locked(folder))
        store = stack.enter_context(Store(out, resume=True))
        seen: dict[str, tuple[str, Path]] = {}
        batch: tuple[str, str] | None = None
        for folder, result in _all_results([out, *folders]):
            batch = batch or (result.assignment, result.source)
            if (result.assignment, result.source) != batch:
                raise GradingError(
                    f"{folder}: {result.student} was graded for another assignment "
                    f"({result.assignment}) or with another source than the others ({batch[0]})."
                )
            key, where = seen.setdefault(result.student, (result.key, folder))
            if key != result.key:
                raise GradingError(
                    f"{result.student} has different results in {where} and {folder}. "
                    "Grade this student again in one of them, or leave one out."
                )
        for folder, result in _all_results(folders):
            if result.student in store:
                continue
            page = f"{safe_name(result.student)}.html"
            if (folder / FEEDBACK / page).is_file():
                with plain_disk_errors(out):
                    (out / FEEDBACK).mkdir(exist_ok=True)
                    write_atomically(out / FEEDBACK / page, (folder / FEEDBACK / page).read_bytes())
            store.add(result)
        return len(store)


def _all_results(folders: Iterable[Path]) -> Iterator[tuple[Path, Result]]:
    for folder in folders:
        for result in read(folder):
            yield folder, result


# ---- The disk


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this run. The system frees it, however the process ends.

    Raises
    ------
    GradingError
        If another run holds it.
    """
    with (folder / LOCK).open("ab") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise GradingError(
                f"Another run writes to {folder}. Wait for its end, or choose another folder."
            ) from None
        yield


@contextlib.contextmanager
def plain_disk_errors(out: Path) -> Iterator[None]:
    """Say in one line that a folder can't be written."""
    try:
        yield
    except OSError as error:
        raise GradingError(
            f"{out} can't be written: {error.strerror or error}. Results so far are safe: "
            "make room, then go on with --resume."
        ) from error
