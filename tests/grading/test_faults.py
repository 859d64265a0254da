"""Whatever ends a run, and whenever: the next one goes on, and the marks are those of a quiet run.

The real command runs, and is killed alone, as by the system when memory is short.
"""

import contextlib
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from coursekit.grading.launch import probe
from tests.grading import commandline
from tests.grading.notebook import answered, code, notebook, text, write

pytestmark = pytest.mark.skipif(
    sys.platform != "linux"
    or not next(works for level, works, _ in probe() if level == "landlock"),
    reason="strangers' code can't be shut in here",
)

KILLS = 20
STUDENTS = 24
ANSWERS = ("return x + x", "return x * x", "import os; os._exit(3)")  # the last one dies
SCORES = (
    "SELECT student.id, grade_cell.id, grade.auto_score, grade.manual_score, grade.needs_manual"
    " FROM grade_cell, student"
)


def source():
    return notebook(
        text("## Task 1: twice"),
        code(
            "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
            "answer",
            "double",
        ),
        code("assert double(2) == 4", "tests", "test_two", 1),
        code("assert double(3) == 6", "tests", "test_three", 2),
        text("Because.", "manual", "why", 3),
    )


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A source, and a few submissions in nbgrader's layout."""
    root = tmp_path_factory.mktemp("course")
    write(source(), root / "source" / "ps1" / "one.ipynb")
    for number in range(STUDENTS):
        body = f"def double(x):\n    {ANSWERS[0 if number % 6 else number % 4 % 3]}"
        handed = answered(source(), double=body, why=f"{number} reasons")
        write(handed, root / "submitted" / f"s{number:02}" / "ps1" / "one.ipynb")
    (root / "nbgrader_config.py").write_text("c = get_config()\n")
    return root


@pytest.fixture(scope="module")
def quiet(course, tmp_path_factory):
    """Folder with the results of an undisturbed run."""
    out = tmp_path_factory.mktemp("quiet")
    assert finish(course, out) == (0, "")
    return out


@pytest.fixture
def start(course, tmp_path):
    """Start the command; at the end nothing that it started may be there any more."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    started = []

    def start(out, *options):
        stderr, mark = tmp_path / "stderr.txt", {"TMPDIR": str(temporary)}
        process = commandline.start(arguments(course, out, *options), stderr, mark)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
    wait_until(lambda: not marked(f"TMPDIR={temporary}"), "processes are left")
    assert list(temporary.iterdir()) == []
    assert str(temporary) not in Path("/proc/mounts").read_text()


def arguments(course, out, *options):
    paths = [course / "source" / "ps1" / "one.ipynb", course / "submitted"]
    return ["grade", *map(str, [*paths, "--out", out, "--jobs", 2, *options])]


def finish(course, out, *options):
    """Run the command to its end; give its exit code and what it says on stderr."""
    command = [sys.executable, "-m", "coursekit.cli", *arguments(course, out, *options)]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.returncode, said(run.stderr)


def said(text):
    """Give what stands on stderr beside the level of isolation."""
    return "\n".join(line for line in text.splitlines() if "solation" not in line)


def marked(mark):
    """List the processes that were started with a variable in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            with open(f"/proc/{process.pid}/environ", "rb") as file:
                if mark.encode() in file.read().split(b"\0"):
                    found.append(process)
    return found


def wait_until(condition, message, seconds=20):
    limit = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < limit, message
        time.sleep(0.005)
    return result


def lines(out):
    """Count the results so far."""
    with contextlib.suppress(FileNotFoundError):
        return (out / "results.jsonl").read_bytes().count(b"\n")
    return 0


def results(out):
    """Read results without times."""
    found = []
    for line in (out / "results.jsonl").read_text().splitlines():
        result = json.loads(line)
        for each in (result, *result["tasks"]):
            for name in ("seconds", "cpu_seconds", "memory"):
                each.pop(name, None)
        found.append(result)
    return found


def same(out, other):
    """Tell whether two folders hold the same marks, and no other files."""
    names = [sorted(str(p.relative_to(o)) for p in o.rglob("*")) for o in (out, other)]
    assert names[0] == names[1]
    assert (out / "grades.csv").read_bytes() == (other / "grades.csv").read_bytes()
    assert results(out) == results(other)
    return True


def scores(file):
    with contextlib.closing(sqlite3.connect(file)) as book:
        rows = book.execute(
            "SELECT s.student_id, c.name, g.auto_score, g.manual_score, g.needs_manual_grade "
            "FROM grade g JOIN base_cell c ON g.cell_id = c.id "
            "JOIN submitted_notebook n ON g.notebook_id = n.id "
            "JOIN submitted_assignment s ON n.assignment_id = s.id"
        )
        return sorted(rows.fetchall())


def test_killed_at_any_moment(course, quiet, start, tmp_path):
    moments = random.Random(5)
    out = tmp_path / "out"
    out.mkdir()
    in_between = set()
    for _ in range(KILLS):
        wanted = lines(out) + moments.randrange(4)
        delay = moments.uniform(0, 0.1 if wanted > lines(out) else 1.0)
        run = start(out, "--resume")
        while run.is_alive() and lines(out) < min(wanted, STUDENTS):
            time.sleep(0.002)
        run.join(delay)
        run.kill()
        run.join()
        in_between.add(lines(out))
        if (out / "grades.csv").exists():
            assert (out / "grades.csv").read_bytes() == (quiet / "grades.csv").read_bytes()
    assert len(in_between) > 8
    assert finish(course, out, "--resume") == (0, "")
    assert same(out, quiet)
