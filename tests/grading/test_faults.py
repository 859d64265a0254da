"""Whatever ends a run, and whenever: the next one goes on, and the marks are those of a quiet run.

The real command runs, and is killed alone, as by the system when memory is short.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from coursekit.cli import app
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
    command = [sys.executable, "-m", "coursekit.cli", *arguments(course, out)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, said(run.stderr)) == (0, "")
    return out


@pytest.fixture
def start(course, tmp_path):
    """Start the command; at the end nothing that it started may be there any more."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    started = []

    def start(out, *options, source=None):
        stderr, mark = tmp_path / f"stderr{len(started)}.txt", {"TMPDIR": str(temporary)}
        process = commandline.start(arguments(course, out, *options, source=source), stderr, mark)
        process.stderr = stderr
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
    wait_until(lambda: not marked(f"TMPDIR={temporary}"), "processes are left")
    assert list(temporary.iterdir()) == []
    assert str(temporary) not in Path("/proc/mounts").read_text()


def arguments(course, out, *options, source=None):
    paths = [source or course / "source" / "ps1" / "one.ipynb", course / "submitted"]
    return ["grade", *map(str, [*paths, "--out", out, "--jobs", 2, *options])]


def finish(process, seconds=60):
    """Wait for the end of a command; give its exit code and what it says on stderr."""
    process.join(seconds)
    assert not process.is_alive()
    return process.exitcode, said(process.stderr.read_text())


def said(text):
    """Give what stands on stderr beside the level of isolation."""
    return "\n".join(line for line in text.splitlines() if "solation" not in line)


def marked(mark):
    """List the processes that were started with a variable in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
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
    """Read the marks in a gradebook; none if there is no table yet."""
    with contextlib.closing(sqlite3.connect(file)) as book:
        if not book.execute("SELECT 1 FROM sqlite_master WHERE name = 'grade'").fetchall():
            return []
        rows = book.execute(
            "SELECT submitted_assignment.student_id, base_cell.name, auto_score, manual_score "
            "FROM grade JOIN base_cell ON cell_id = base_cell.id "
            "JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id "
            "JOIN submitted_assignment "
            "ON submitted_notebook.assignment_id = submitted_assignment.id"
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
    (out / "feedback").mkdir(exist_ok=True)
    for name in (".x.part", "feedback/.x.part"):  # as if killed while writing it
        (out / name).write_text("half")
    assert finish(start(out, "--resume")) == (0, "")
    assert same(out, quiet)


def test_killed_while_the_gradebook_is_written(course, start, tmp_path):
    moments = random.Random(6)
    books = [tmp_path / name / "gradebook.db" for name in ("quiet", "killed")]
    for book in books:
        book.parent.mkdir()
    out = tmp_path / "out"
    began = time.monotonic()
    assert finish(start(out, "--gradebook", books[0])) == (0, "")
    seconds = time.monotonic() - began
    wanted = scores(books[0])
    assert len(wanted) == 3 * STUDENTS
    for _ in range(4):
        run = start(out, "--resume", "--gradebook", books[1])
        run.join(moments.uniform(0.2, seconds / 2))
        run.kill()
        run.join()
        assert {*scores(books[1])} <= {*wanted}
    assert finish(start(out, "--resume", "--gradebook", books[1])) == (0, "")
    assert scores(books[1]) == wanted


def test_two_runs_on_one_folder(quiet, start, tmp_path):
    out = tmp_path / "out"
    first = start(out)
    wait_until(lambda: lines(out), "no result")
    os.kill(first.pid, signal.SIGSTOP)
    code, message = finish(start(out, "--resume"))
    os.kill(first.pid, signal.SIGCONT)
    assert (code, len(message.splitlines())) == (2, 1)
    assert f"Another run writes to {out}" in message
    assert finish(first) == (0, "")
    assert same(out, quiet)


def test_full_disk(quiet, start, tmp_path):
    out = tmp_path / "out"
    run = start(out)
    wait_until(lambda: lines(out), "no result")
    # As if the disk were full soon: no file of the command may grow beyond.
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (10_000, 10_000))
    code, message = finish(run)
    assert (code, len(message.splitlines())) == (1, 1)
    assert "can't be written" in message
    assert "--resume" in message
    assert 1 <= lines(out) < STUDENTS
    assert finish(start(out, "--resume")) == (0, "")
    assert same(out, quiet)


def test_killed_fork_server(quiet, start, tmp_path):
    out = tmp_path / "out"
    run = start(out)
    for number in (2, 9):
        wait_until(lambda: lines(out) >= number, "no results")  # noqa: B023
        (server,) = psutil.Process(run.pid).children()
        server.kill()
    assert finish(run) == (0, "")
    assert same(out, quiet)


def test_interrupted(quiet, start, tmp_path):
    out = tmp_path / "out"
    run = start(out)
    wait_until(lambda: lines(out) > 1, "no results")
    os.kill(run.pid, signal.SIGINT)
    code, message = finish(run, seconds=5)
    assert code == 130
    assert message == "coursekit: Stopped. Results so far are safe: go on with --resume."
    assert 1 < lines(out) < STUDENTS
    assert finish(start(out, "--resume")) == (0, "")
    assert same(out, quiet)


def test_one_task_alone_is_graded_again(course, quiet, start, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(quiet, out)
    other = answered(source(), test_two="assert False", test_three="assert False, 'three'")
    write(other, tmp_path / "ps1" / "one.ipynb")
    path = tmp_path / "ps1" / "one.ipynb"
    assert finish(start(out, "--task", "test_three", source=path)) == (0, "")
    for before, after in zip(results(quiet), results(out), strict=True):
        assert after["tasks"][0] == before["tasks"][0]
        assert after["tasks"][1]["points"] == 0
        assert after["tasks"][2] == before["tasks"][2]


def test_shards(quiet, start, tmp_path):
    parts = [tmp_path / str(number) for number in (1, 2, 3)]
    for number, part in enumerate(parts, start=1):
        assert finish(start(part, "--shard", f"{number}/3")) == (0, "")
    assert sum(map(lines, parts)) == STUDENTS
    out = tmp_path / "out"
    assert CliRunner().invoke(app, ["merge", *map(str, parts), "--out", str(out)]).exit_code == 0
    assert same(out, quiet)
