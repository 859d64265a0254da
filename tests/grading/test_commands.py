"""The instructor's commands, on a small class: what they print, write and refuse."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from coursekit.cli import app
from coursekit.grading.limits import LEVELS
from tests.grading.notebook import answered, code, notebook, text, write

DOUBLE = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
ANSWERS = {
    "ada": "def double(x):\n    return x + x",
    "bob": "def double(x):\n    return x * x",
    "eve": "import os\nos._exit(1)",
}


def source():
    return notebook(
        text("## Task 1: twice"),
        code(DOUBLE, "answer", "double"),
        code("assert double(2) == 4", "tests", "test_two", 1),
        code("assert double(3) == 6, 'add it to itself'", "tests", "test_three", 2),
        text("Because.", "manual", "why", 3),
    )


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a source, submissions, and their results in `out`."""
    root = tmp_path_factory.mktemp("class")
    write(source(), root / "ps1" / "one.ipynb")
    for student, answer in ANSWERS.items():
        handed = answered(source(), double=answer, why=f"{student} knows why")
        write(handed, root / "handed" / f"{student}.ipynb")
    done = grade(root, "--out", root / "out")
    assert done.exit_code == 0, done.output
    assert "3 students: died 1, needs_manual 2." in done.output
    assert "Mean score 1.33 of 6." in done.output
    return root


def grade(root, *options):
    least = ("--isolation", LEVELS[-1])
    return run("grade", root / "ps1" / "one.ipynb", root / "handed", *least, *options)


def rows(out):
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row.pop("student"): row for row in csv.DictReader(file)}


def test_grades(folder):
    assert rows(folder / "out")["ada"] == {
        "assignment": "ps1",
        "score": "3",
        "max_score": "6",
        "status": "needs_manual",
        "test_two": "1",
        "test_three": "2",
        "why": "",
    }
    assert [row["score"] for row in rows(folder / "out").values()] == ["3", "1", "0"]


def test_feedback_and_report(folder):
    page = folder / "out" / "feedback" / "bob.html"
    assert "add it to itself" in page.read_text(encoding="utf-8")
    page.unlink()
    assert run("feedback", folder / "out").exit_code == 0
    assert page.is_file()
    done = run("report", folder / "out")
    assert done.exit_code == 0
    assert "eve" in (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_export(folder, tmp_path):
    done = run("export", folder / "out", "--format", "canvas", "--column", "Sheet 1 (4711)")
    titles = next(csv.reader(io.StringIO(done.stdout)))
    assert titles[-1] == "Sheet 1 (4711)"
    file = tmp_path / "marks.csv"
    assert run("export", folder / "out", "--to", file).exit_code == 0
    assert file.read_bytes() == (folder / "out" / "grades.csv").read_bytes()


def test_marks_by_hand(folder, tmp_path):
    marks = tmp_path / "marks.csv"
    marks.write_text("student,grade_id,points,comment\nada,why,2.5,nearly\n", encoding="utf-8")
    done = grade(folder, "--out", folder / "out", "--resume", "--manual", marks)
    assert done.exit_code == 0, done.output
    assert "Graded now: 0; kept from before: 3." in done.output
    assert rows(folder / "out")["ada"]["why"] == "2.5"
    assert "nearly" in (folder / "out" / "feedback" / "ada.html").read_text(encoding="utf-8")


def test_changed_work_alone_is_graded_again(folder):
    write(answered(source(), double=ANSWERS["ada"]), folder / "handed" / "bob.ipynb")
    done = grade(folder, "--out", folder / "out", "--resume")
    assert "Graded now: 1; kept from before: 2." in done.output
    assert rows(folder / "out")["bob"]["test_three"] == "2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--isolation", "strong"], "no isolation level 'strong'"),
        (["--task", "test_four"], "no test cell 'test_four'; there are test_two, test_three"),
        (["--shard", "4/3"], "--shard 4/3"),
        (["--file", "no.csv"], "no.csv can't be read"),
        (["--manual", "no.csv"], "no.csv"),
        ([], "has the results of 3 students"),
        (["--jobs", "0"], "jobs"),
    ],
)
def test_mistakes_are_said_in_one_line(folder, options, message):
    done = grade(folder, "--out", folder / "out", *options)
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "command", [["feedback", "."], ["report", "."], ["export", "."], ["merge", ".", "--out", "x"]]
)
def test_a_folder_without_results(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*command)
    assert done.exit_code == 2
    assert "first run coursekit grade" in done.output


def test_no_submissions(folder, tmp_path):
    done = run("grade", folder / "ps1" / "one.ipynb", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "holds no submissions" in done.output


def test_no_source(tmp_path):
    done = run("grade", tmp_path / "no.ipynb", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "there is no such file" in done.output
    assert not (tmp_path / "out").exists()


def test_results_are_one_line_each(folder):
    lines = (folder / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["student"] for line in lines] == ["ada", "bob", "eve"]
