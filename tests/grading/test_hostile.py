"""The hostile batch, graded by the real command; honest students in between lose nothing."""

import csv
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from coursekit.grading.assignment import read_assignment
from coursekit.grading.launch import probe
from tests.grading.hostile import CANARY, CASES, HONEST, source, submission
from tests.grading.notebook import answered, write

pytestmark = pytest.mark.skipif(
    sys.platform != "linux"
    or not next(works for level, works, _ in probe() if level == "landlock"),
    reason="strangers' code can't be shut in here",
)

LIMITS = ("--cell-seconds", "3", "--seconds", "40", "--memory", "1")


@pytest.fixture(scope="module")
def port():
    """A server on this machine that tells the secret to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(CANARY.encode())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def course(tmp_path_factory, port):
    """nbgrader's layout, with all submissions."""
    root = tmp_path_factory.mktemp("course")
    path = write(source(), root / "source" / "ps1" / "one.ipynb")
    (root / "gradebook.db").write_text(CANARY)
    cells = {c.grade_id: c.released for c in read_assignment(path).cells if c.grade_id}
    released = answered(source(), **cells)
    for student, case in batch().items():
        content = submission(released, case)
        content = content.replace(b"PORT", str(port).encode())
        for name, place in ((b"SOURCE", path), (b"CLONE", Path(__file__).parents[2])):
            content = content.replace(name, json.dumps(json.dumps(str(place)))[1:-1].encode())
        file = root / "submitted" / student / "ps1" / "one.ipynb"
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    link = root / "submitted" / "is_a_link" / "ps1" / "one.ipynb"
    link.parent.mkdir(parents=True)
    link.symlink_to(path)
    (root / "submitted" / "handed_in_nothing" / "ps1").mkdir(parents=True)
    return root


def batch():
    """Put the honest students between the others."""
    names = list(CASES)
    step = len(names) // len(HONEST)
    for place, student in enumerate(HONEST):
        names.insert(place * (step + 1), student)
    return {name: (CASES | HONEST)[name] for name in names}


@pytest.fixture(scope="module")
def graded(course, tmp_path_factory):
    """Run the command; give the results by student, and the folder."""
    out = tmp_path_factory.mktemp("out")
    paths = [course / "source" / "ps1" / "one.ipynb", course / "submitted"]
    command = [sys.executable, "-m", "coursekit.cli", "grade", *map(str, paths), "--out", str(out)]
    done = subprocess.run(
        [*command, "--jobs", "2", *LIMITS],
        capture_output=True,
        text=True,
        env={**os.environ, "SECRET": CANARY},
        timeout=540,
    )
    assert done.returncode == 0, done.stderr
    lines = (out / "results.jsonl").read_text().splitlines()
    return {result["student"]: result for result in map(json.loads, lines)}, out


def points(result):
    tasks = result["tasks"]
    return {task["grade_id"]: task["points"] for task in tasks if task["kind"] == "tests"}


def test_all_are_there(graded):
    assert len(CASES) >= 40
    assert set(graded[0]) == {*CASES, *HONEST, "is_a_link", "handed_in_nothing"}


@pytest.mark.parametrize("student", HONEST)
def test_honest_work_keeps_its_marks(graded, student):
    result = graded[0][student]
    assert points(result) == HONEST[student].marks
    assert (result["status"], result["tampering"]) == ("needs_manual", [])


@pytest.mark.parametrize("student", CASES)
def test_marks_and_status(graded, student):
    result, case = graded[0][student], CASES[student]
    said = [*result["notes"], *result["tampering"], *(t["message"] for t in result["tasks"])]
    assert points(result) == case.marks, said
    weaker = result["isolation"] != "namespaces" and case.weaker_status
    assert result["status"] == (weaker or case.status)
    assert case.said in " ".join(said)


@pytest.mark.parametrize("student", ["is_a_link", "handed_in_nothing"])
def test_nothing_to_read(graded, student):
    result = graded[0][student]
    assert result["status"] == "invalid"
    assert set(points(result).values()) == {0}


def test_nobody_saw_what_is_secret(graded):
    for student, result in graded[0].items():
        seen = json.dumps([result["cells"], [task["answer"] for task in result["tasks"]]])
        assert CANARY not in seen, student
        hidden = next(t for t in result["tasks"] if t["grade_id"] == "test_double_hidden")
        assert CANARY not in json.dumps(hidden)


def test_spies_did_run(graded):
    """A spy that fails before it looks would prove nothing."""
    spies = [name for name in CASES if name.startswith(("reads_", "asks_", "searches_"))]
    for name in spies:
        first = graded[0][name]["cells"][0]
        assert "nothing" in json.dumps(first["outputs"]), (name, first)


def test_feedback_pages_are_inert(graded):
    results, out = graded
    pages = list((out / "feedback").glob("*.html"))
    assert len(pages) == len(results)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert CANARY not in text, page.name


def test_results_stay_small(graded):
    for student, result in graded[0].items():
        assert len(json.dumps(result)) < 5 << 20, student


def test_grades_csv(graded):
    results, out = graded
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["student"].lstrip("'"): row for row in csv.DictReader(file)}
    assert set(rows) == set(results)
    assert float(rows["ada"]["score"]) == 10
    assert float(rows["ada"]["max_score"]) == 12
    assert rows["ada"]["why"] == ""


def test_nothing_is_left_behind(graded):
    names = ("coursekit.grading.server", "coursekit.grading.student")
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        assert not any(name in command for name in names) or process.ppid() != 1, command
