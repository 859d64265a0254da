"""Grade submissions: start a jailed student and a trusted checker for each, and keep the time.

The runner trusts its checkers and nobody else. It starts a submission again, without the step that
ended it, so that one crash costs one task; what was decided before the crash stays decided.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import platform
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from coursekit.grading import launch
from coursekit.grading.assignment import Assignment, Cell, InvalidSubmissionError, Plan, plan
from coursekit.grading.limits import DEFAULT_LEVEL, GradingError, Limits
from coursekit.grading.results import Result, Task

STARTS = 3  # of one submission, when steps kill it
GRACE_SECONDS = 5.0  # beyond a cell's limit, for a process that does not react to an interrupt
START_SECONDS = 60.0  # until the first step
SHARE = 0.5  # of a processor; who got less may have been kept from it
WATCH_SECONDS = 0.2  # between looks at the memory
MOST = 10**15  # that is reported of a number that the student's process says
MAX_FILES = 20 << 20  # bytes of data files in all
# Which fate of a part becomes the status of the whole.
FATES = ("died", "out_of_memory", "timeout")
VERSIONED = ("coursekit", "ipython", "numpy", "tensorflow", "tensorflow-cpu", "keras")


class Submission(Protocol):
    """What the runner needs of a submission; see `submissions.Submission`."""

    @property
    def student(self) -> str:
        """Name."""

    @property
    def origin(self) -> str:
        """File name."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noticed when it was found."""

    @property
    def problem(self) -> str:
        """Why there is nothing to grade; else empty."""

    @property
    def student_id(self) -> str:
        """Number in the learning platform; may be empty."""

    def read(self) -> bytes:
        """Give the notebook's bytes, or raise `InvalidSubmissionError`."""


@dataclass
class Run:
    """One submission while it is graded."""

    job: dict[str, Any]
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)  # events, by grade_id
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)  # events, by index
    fates: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tampering: list[str] = field(default_factory=list)
    step: dict[str, Any] | None = None  # the one that runs now
    done: bool = False
    dropped: int = 0  # characters of output
    cpu_seconds: float = 0.0
    memory: int = 0


@dataclass(frozen=True)
class Settings:
    """What decides about the grades.

    Parameters
    ----------
    assignment : Assignment
        What is graded.
    limits : Limits
        What one submission may use.
    least : str
        The least level of isolation to accept, one of `limits.LEVELS`.
    in_process : bool
        Run the tests inside the student's process, where they meet real objects. Then the
        student's code can set its own marks.
    files : dict of str to bytes
        Data files that the notebook reads; they are laid into the working folder.
    """

    assignment: Assignment
    limits: Limits = field(default_factory=Limits)
    least: str = DEFAULT_LEVEL
    in_process: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    def key(self, submission: Submission) -> str:
        """Give a hash of all that a result depends on: same key, same result.

        The part before the colon is that of the submission alone.
        """
        content, problem = read(submission)
        mine = hashlib.sha256(content + problem.encode()).hexdigest()
        files = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        limits = dataclasses.asdict(self.limits)
        digest = self.assignment.digest
        about = [digest, submission.student, limits, self.in_process, files, environment()]
        rest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        return f"{mine[:32]}:{rest[:32]}"

    def seed(self, student: str) -> int:
        """Give where the tests' random inputs come from: fixed for a student, secret to all."""
        text = f"{self.assignment.digest} {student}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


class Grader:
    """Grades submissions to one assignment; several threads may use it at once.

    Parameters
    ----------
    settings : Settings
        What decides about the grades.
    progress : callable
        Is told what is imported during the start.
    levels : list, optional
        What `launch.probe` gave, if it was called before.

    Raises
    ------
    GradingError
        If there is no isolation as good as wanted.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Callable[[str], None] = lambda name: None,
        levels: Sequence[tuple[str, bool, str]] | None = None,
    ) -> None:
        self.settings = settings
        self.assignment = settings.assignment
        self.limits = settings.limits
        self.files = _file_step(settings.files)
        self.launcher = launch.start(
            modules_to_import(self.assignment), settings.least, progress=progress, levels=levels
        )

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """End the fork server, and what it still runs."""
        self.launcher.close()

    @property
    def isolation(self) -> str:
        """The level of isolation in force."""
        return self.launcher.isolation

    def grade(
        self, submission: Submission, previous: Result | None = None, task: str = ""
    ) -> Result:
        """Grade one submission.

        Parameters
        ----------
        submission : Submission
            What was handed in.
        previous : Result, optional
            An earlier result, of which all but `task` is kept.
        task : str
            The grade_id of the only test cell to run.

        Returns
        -------
        Result
            Whatever the submission does, there is one.
        """
        result = Result(
            student=submission.student,
            assignment=self.assignment.name,
            status="invalid",
            notes=list(submission.notes),
            isolation=self.isolation,
            forgeable=self.settings.in_process,
            seed=self.settings.seed(submission.student),
            origin=submission.origin,
            student_id=submission.student_id,
            key=self.settings.key(submission),
            source=self.assignment.digest,
        )
        began = time.monotonic()
        content, problem = read(submission)
        try:
            if problem:
                raise InvalidSubmissionError(problem)
            planned = plan(self.assignment, content)
        except InvalidSubmissionError as error:
            result.notes.append(str(error))
            result.tasks = [_undone(cell, "invalid", str(error)) for cell in self.assignment.graded]
            return result
        kept = {t.grade_id: t for t in previous.tasks if t.grade_id != task} if previous else {}
        run = self._run(
            planned, result.seed, [name for name, t in kept.items() if t.kind == "tests"]
        )
        result.tasks = [
            kept.get(cell.grade_id) or _task(cell, run, planned) for cell in self.assignment.graded
        ]
        result.notes += planned.notes + _unique(run.notes)
        if run.dropped:
            result.notes.append(f"{min(run.dropped, MOST)} characters of output were dropped.")
        result.tampering = planned.tampering + _unique(run.tampering)
        shift = 1 if self.files else 0
        result.cells = [
            {**cell, "index": index - shift} for index, cell in sorted(run.cells.items())
        ]
        result.status = _status(result.tasks, run)
        result.seconds = round(time.monotonic() - began, 3)
        result.cpu_seconds = round(run.cpu_seconds, 3)
        result.memory = run.memory
        return result

    def _run(self, planned: Plan, seed: int, decided: list[str]) -> Run:
        """Run a plan, starting again after a step that killed the process."""
        steps = [self.files, *planned.steps] if self.files else planned.steps
        run = Run(
            {
                "seed": seed,
                "imports": self.assignment.imports,
                "own_classes": self.assignment.own_classes,
                "complex": self.assignment.uses_complex,
                "in_process": self.settings.in_process,
                "limits": dataclasses.asdict(self.limits),
                "decided": decided,
                "skip": [],
                "steps": [{**step, "index": index} for index, step in enumerate(steps)],
            }
        )
        end = time.monotonic() + self.limits.seconds
        for _ in range(STARTS):
            self._attempt(run, end)
            if run.done or time.monotonic() >= end:
                break
            run.job["decided"] = [*decided, *run.tests]
        if not run.done and not run.fates:
            run.fates.append("died")
        return run

    def _attempt(self, run: Run, end: float) -> None:
        """Run what is left, once."""
        pair = self.launcher.start(self.limits)
        events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read_events, args=(pair.reader, events), daemon=True)
        reader.start()
        run.step = None
        fate = ""
        try:
            pair.writer.write(json.dumps(run.job).encode() + b"\n")
            pair.writer.flush()
            fate = self._follow(run, pair, events, end)
        except OSError:
            fate = "died"
        finally:
            if fate != "died":  # then it is about to end by itself, and to say how
                pair.kill()
            ending = pair.wait()
            reader.join()
            for stream in (pair.reader, pair.writer):
                with contextlib.suppress(OSError):
                    stream.close()
        if ending.problem:
            raise GradingError(f"A student's process could not be shut in: {ending.problem}.")
        run.cpu_seconds += ending.cpu_seconds
        run.memory = max(run.memory, ending.peak_memory)
        server_ended = fate == "died" and ending.checker is None
        if not run.done and not server_ended:  # else it was not the student's fault
            if fate == "died" and run.memory > 0.9 * self.limits.memory:
                fate = "out_of_memory"
            self._blame(run, fate, _how(ending))

    def _follow(
        self,
        run: Run,
        pair: launch.Pair,
        events: queue.SimpleQueue[dict[str, Any] | None],
        end: float,
    ) -> str:
        """Take events until the end; give how it ended if not well."""
        deadline = min(end, time.monotonic() + START_SECONDS)
        next_look = time.monotonic() + WATCH_SECONDS
        while True:
            if time.monotonic() >= next_look:  # also when there is an event all the time
                if pair.memory() > self.limits.memory:
                    return "out_of_memory"
                if time.monotonic() > deadline:
                    return "timeout"
                next_look = time.monotonic() + WATCH_SECONDS
            try:
                event = events.get(timeout=max(0.0, next_look - time.monotonic()))
            except queue.Empty:
                continue
            if event is None:
                return "died"
            if event["event"] == "begin":
                run.step = run.job["steps"][event["index"]]
                grace = self.limits.cell_seconds + GRACE_SECONDS
                deadline = min(end, time.monotonic() + grace)
            elif event["event"] == "lost":
                if event["why"] == "protocol":
                    run.tampering.append(
                        "The student's process sent messages that only the grader may send."
                    )
                return "died"
            elif event["event"] == "broken":
                run.notes.append(f"The grader itself failed: {event['message']}")
                return "died"
            elif event["event"] == "end":
                run.done = True
                return ""
            else:
                _record(run, event)

    def _blame(self, run: Run, fate: str, how: str) -> None:
        """Give the step that ended the process its verdict, so that it is not run again."""
        run.fates.append(fate)
        message = {
            "timeout": f"It took longer than {self.limits.cell_seconds:g} seconds.",
            "out_of_memory": f"It used more than {self.limits.memory / 2**30:.3g} GiB of memory.",
            "died": f"The Python process ended ({how}).",
        }[fate]
        step = run.step
        if step is None:
            return
        if step["kind"] == "tests":
            about = {"verdict": fate, "points": 0.0, "message": message}
            run.tests.setdefault(step["grade_id"], about)  # it may have run before
        else:
            about = {"grade_id": step["grade_id"], "error": message, "outputs": []}
            run.cells[step["index"]] = about
        run.job["skip"].append(step["index"])


def _how(ending: launch.Ending) -> str:
    """Say how a student's process ended."""
    if ending.exceeded:
        return f"it had too many {ending.exceeded}" if ending.exceeded != "disk" else "disk full"
    if ending.student is None:
        return "nobody knows how"
    if ending.student < 0:
        return f"signal {-ending.student}"
    return f"exit code {ending.student}"


def read(submission: Submission) -> tuple[bytes, str]:
    """Give a submission's bytes, or why there are none."""
    if submission.problem:
        return b"", submission.problem
    try:
        return submission.read(), ""
    except InvalidSubmissionError as error:
        return b"", str(error)


def _record(run: Run, event: dict[str, Any]) -> None:
    """Keep what the checker found out about a step."""
    if event["event"] == "test":
        run.tests[event["grade_id"]] = event
        run.notes += event.get("notes", [])
        run.tampering += event.get("tampering", [])
        if event["verdict"] in FATES:
            run.fates.append(event["verdict"])
    elif event["event"] == "cell":
        run.cells[event["index"]] = {
            "grade_id": event["grade_id"],
            "error": event["error"],
            "outputs": event["outputs"],
        }
        if event.get("fate"):
            run.fates.append(event["fate"])
        run.dropped += max(0, event.get("dropped", 0))


def _read_events(reader: Any, events: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Pass events on; None at the end."""
    with contextlib.suppress(OSError, ValueError):
        for line in reader:
            events.put(json.loads(line))
    events.put(None)


def _task(cell: Cell, run: Run, planned: Plan) -> Task:
    """Give what a graded cell of the source got."""
    if cell.kind != "tests":
        answer = planned.answers[cell.grade_id]
        if answer is None:
            return _undone(cell, "manual", "Nothing was changed here.")
        return Task(
            cell.grade_id, cell.title, cell.kind, "manual", None, cell.points, answer=answer
        )
    event = run.tests.get(cell.grade_id)
    if event is None:
        fate = run.fates[-1] if run.fates else "died"
        return _undone(cell, fate, "Not run: the notebook had ended before.")
    names = ("verdict", "points", "message", "tried", "expected", "got", "hidden", "seconds")
    found = {name: event[name] for name in names if name in event}
    return Task(cell.grade_id, cell.title, "tests", max_points=cell.points, hint=cell.hint, **found)


def _undone(cell: Cell, verdict: str, message: str) -> Task:
    return Task(
        cell.grade_id, cell.title, cell.kind, verdict, 0.0, cell.points, message, hint=cell.hint
    )


def _status(tasks: list[Task], run: Run) -> str:
    verdicts = [task.verdict for task in tasks]  # those that were kept from before, too
    for fate in FATES:
        if fate in run.fates or fate in verdicts:
            return fate
    return "needs_manual" if any(task.points is None for task in tasks) else "graded"


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def read_files(paths: Iterable[Path]) -> dict[str, bytes]:
    """Read the data files that a notebook needs.

    Raises
    ------
    GradingError
        If there is no such file, or they are too large.
    """
    try:
        contents = {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise GradingError(f"{error.filename} can't be read: {error.strerror}.") from None
    if sum(map(len, contents.values())) > MAX_FILES:
        raise GradingError(f"The data files have more than {MAX_FILES >> 20} MiB in all.")
    return contents


def _file_step(contents: dict[str, bytes]) -> dict[str, Any] | None:
    """Make the step that lays data files into the working folders of student and checker."""
    if not contents:
        return None
    lines = ["import pathlib as _pathlib"]
    lines += [f"_pathlib.Path({name!r}).write_bytes({data!r})" for name, data in contents.items()]
    source = "\n".join([*lines, "del _pathlib"])
    return {"kind": "trusted", "grade_id": None, "source": source, "binds": []}


def modules_to_import(assignment: Assignment) -> list[str]:
    """List what is worth importing once: the source's modules, and what they load when used."""
    names = [name for name in assignment.modules if is_module(name)]
    top = {name.partition(".")[0] for name in names}
    if top & {"tensorflow", "keras"} or "coursekit.training" in names:
        names += ["tensorflow", "keras"]
    if "coursekit.plots" in names:
        names.append("matplotlib.pyplot")
    return list(dict.fromkeys(names))


def is_module(name: str) -> bool:
    """Tell whether there is such a module, without importing anything."""
    top, *parts = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not parts:
        return spec is not None
    for part in parts:
        folders = list(spec.submodule_search_locations or ())
        spec = importlib.machinery.PathFinder.find_spec(part, folders)
        if spec is None:
            return False
    return True


@functools.cache
def environment() -> str:
    """Name the versions on which results depend."""
    versions = [f"python {platform.python_version()}"]
    for name in VERSIONED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(versions)


def grade_all(
    grade: Callable[[Any], Result], submissions: Iterable[Any], jobs: int
) -> Iterator[Result]:
    """Grade submissions, `jobs` at a time, and give results as they come.

    No submission is taken before a job is free for it, so that an interruption loses little. Who
    ran out of time and got little of the processors is graded again at the end, alone: another
    submission may have taken them.
    """
    starved = []
    for submission, result in _grade_at_once(grade, submissions, jobs):
        if jobs > 1 and result.status == "timeout" and result.cpu_seconds < SHARE * result.seconds:
            starved.append(submission)
        else:
            yield result
    yield from map(grade, starved)


def _grade_at_once(
    grade: Callable[[Any], Result], submissions: Iterable[Any], jobs: int
) -> Iterator[tuple[Any, Result]]:
    waiting = iter(submissions)
    running: dict[concurrent.futures.Future[Result], Any] = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                for submission in waiting:
                    running[pool.submit(grade, submission)] = submission
                    if len(running) >= jobs:
                        break
                if not running:
                    return
                done, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            # Who is interrupted closes the grader next, and that ends what still runs.
            pool.shutdown(wait=False, cancel_futures=True)
