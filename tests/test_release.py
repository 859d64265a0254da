"""Solutions become exercises, with nbgrader's own steps; the committed ones are up to date."""

import sys
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from coursekit import notebooks
from coursekit.cli import app
from coursekit.grading.release import is_released, release
from coursekit.notebooks import NotebookError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("slug", [path.stem for path in notebooks.solutions(ROOT)])
def test_committed_exercise_is_what_release_makes(slug):
    assert is_released(notebooks.chapter(slug, ROOT)), f"run coursekit release {slug}"


def test_every_exercise_has_a_solution():
    exercises = {path.parent.name for path in (ROOT / "exercises").glob("*/*.ipynb")}
    assert exercises <= {path.parent.name for path in notebooks.solutions(ROOT)}


# ---- A small exercise.


def about(grade_id, grade=False, solution=False, **more):
    roles = {"grade": grade, "solution": solution, "locked": not solution, "task": False}
    return {"nbgrader": {"schema_version": 3, "grade_id": grade_id, **roles, **more}}


def code(source, metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata, execution_count=1)


ANSWER = '''def step(w):
    """Take one step."""
    ### BEGIN SOLUTION
    return w - 0.2 * w
    ### END SOLUTION'''
TESTS = """assert step(1) == 0.8, "go downhill"
### BEGIN HIDDEN TESTS
assert step(2) == 1.6
### END HIDDEN TESTS"""


def solution():
    output = nbformat.v4.new_output("stream", name="stdout", text="secret\n")
    cells = [
        nbformat.v4.new_markdown_cell("## Task 1: step"),
        code(ANSWER, about("step", solution=True)),
        code(TESTS, about("test_step", grade=True, points=2)),
        nbformat.v4.new_markdown_cell("Because.", metadata=about("why", True, True, points=1)),
        code("rate = 0.5", about("rate", solution=True)),
        code("print(rate)", {}),
    ]
    cells[5].outputs = [output]
    return nbformat.v4.new_notebook(cells=cells, metadata={"coursekit": {"slug": "learning_rate"}})


@pytest.fixture
def course(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    chapter = notebooks.chapter("learning_rate", tmp_path)
    chapter.solution.parent.mkdir(parents=True)
    nbformat.write(solution(), chapter.solution)
    monkeypatch.chdir(tmp_path)
    return chapter


def run(*arguments):
    return CliRunner().invoke(app, ["release", *arguments])


def test_student_version_shows_stubs_and_open_tests_only():
    student = release(solution())
    sources = [cell.source for cell in student.cells]
    assert sources[1].endswith("    # YOUR CODE HERE\n    raise NotImplementedError()")
    assert sources[1].startswith("def step(w):")
    assert sources[2] == 'assert step(1) == 0.8, "go downhill"'
    assert sources[3] == "YOUR ANSWER HERE"
    assert sources[4] == "# YOUR CODE HERE\nraise NotImplementedError()"
    text = notebooks.dumps(student)
    assert not any(
        word in text for word in ("secret", "Because", "1.6", "0.5", "SOLUTION", "HIDDEN")
    )
    assert student.metadata.coursekit.slug == "learning_rate"
    assert notebooks.canonical(student) == student


def test_tests_are_locked_and_answers_are_not():
    student = release(solution())
    assert student.cells[2].metadata.editable is False
    assert student.cells[2].metadata.deletable is False
    assert "editable" not in student.cells[1].metadata
    assert student.cells[1].metadata.deletable is False


def test_nbgrader_accepts_the_checksums():
    from nbgrader.utils import compute_checksum, determine_grade

    student = release(solution())
    graded = [cell for cell in student.cells if "nbgrader" in cell.metadata]
    assert [cell.metadata.nbgrader.checksum for cell in graded] == [
        compute_checksum(cell) for cell in graded
    ]
    # The checksum tells nbgrader that a text was left unanswered: 0 without a person looking.
    assert determine_grade(student.cells[3]) == (0, 1)


def test_solution_is_not_modified():
    before = solution()
    given = nbformat.from_dict(before)
    release(given)
    assert given == before


def test_release_writes_once_and_check_finds_drift(course):
    assert run("04", "--check").exit_code == 1
    assert "04_learning_rate: released" in run("04").output
    assert "04_learning_rate: unchanged" in run("--all").output
    assert run("--all", "--check").exit_code == 0
    course.exercise.write_text(
        course.exercise.read_text(encoding="utf-8").replace("downhill", "uphill"), encoding="utf-8"
    )
    checked = run("--all", "--check")
    assert checked.exit_code == 1
    assert "04_learning_rate: out of date; run coursekit release" in checked.output


def duplicate(nb):
    nb.cells[4].metadata.nbgrader.grade_id = "step"


def negative(nb):
    nb.cells[2].metadata.nbgrader.points = -1


def no_points(nb):
    del nb.cells[2].metadata.nbgrader["points"]


def old_schema(nb):
    nb.cells[2].metadata.nbgrader.schema_version = 1


def no_end(nb):
    nb.cells[1].source = ANSWER.replace("### END SOLUTION", "")


def unmarked(nb):
    nb.cells[0].source += "\n### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS"


def left_over(nb):
    nb.cells[1].source += "\n### END HIDDEN TESTS, or so"
    nb.cells[5].source = "# HIDDEN TESTS follow"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (duplicate, "Duplicate grade id: step"),
        (negative, "-1 is less than the minimum of 0"),
        (no_points, "'test_step' does not have points"),
        (old_schema, "schema version: 1"),
        (no_end, "no end solution"),
        (unmarked, "Hidden test region detected in a non-grade cell"),
        (left_over, '"HIDDEN TESTS" is left over'),
    ],
)
def test_broken_solution_gets_one_line(course, spoil, message):
    nb = solution()
    spoil(nb)
    course.solution.write_text(nbformat.v4.writes(nb), encoding="utf-8")
    result = run("04")
    assert result.exit_code
    assert "solutions/04_learning_rate/learning_rate.ipynb: " in result.output
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not course.exercise.exists()


def test_a_chapter_must_be_named(course):
    assert "Name a chapter" in run().output
    assert "no chapter '44'" in run("44").output
    assert "losses.ipynb: there is no such file" in run("losses").output


def test_without_nbgrader_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    with pytest.raises(NotebookError, match="release needs nbgrader: uv sync"):
        release(solution())
