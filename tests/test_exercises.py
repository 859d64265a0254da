"""Every exercise is proved: the solution has full marks, stubs have none, wrong answers lose.

The proof itself is tested below on a small exercise and on ways to get it wrong.
"""

import functools
import importlib
from pathlib import Path

import nbformat
import pytest

from coursekit import notebooks
from coursekit.grading.release import release, student_version
from tests.exercises import (
    OTHER_SEED,
    SOLUTION,
    STUB,
    Wrong,
    autograded_tasks,
    misshapen,
    run_variants,
    too_few_wrong_answers,
)

ROOT = Path(__file__).parents[1]
SLUGS = [path.stem for path in notebooks.solutions(ROOT)]


def wrong_answers(slug):
    if not (ROOT / "tests" / "exercises" / f"{slug}.py").is_file():
        return {}  # test_notebooks names the missing file
    return importlib.import_module(f"tests.exercises.{slug}").WRONG


WRONG = [
    pytest.param(slug, name, id=f"{slug}-{name}") for slug in SLUGS for name in wrong_answers(slug)
]


def solution(slug):
    return notebooks.read(notebooks.chapter(slug, ROOT).solution)


@functools.cache
def proof(slug):
    student = student_version(notebooks.chapter(slug, ROOT))
    return run_variants(solution(slug), student, wrong_answers(slug))


def lost(graded):
    """List the test cells that did not give full marks."""
    return {key: result for key, result in graded.items() if result.points < result.worth}


def assert_coached(graded, message):
    losses = lost(graded)
    assert losses, "the wrong answer has full marks"
    read = [result.message for result in losses.values()]
    assert any(message in text for text in read), f"{message!r} is in none of {read}"


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("variant", [SOLUTION, OTHER_SEED])
def test_solution_has_full_marks(slug, variant):
    graded = proof(slug)[variant]
    assert graded
    assert lost(graded) == {}


@pytest.mark.parametrize("slug", SLUGS)
def test_untouched_exercise_has_no_marks(slug):
    graded = proof(slug)[STUB]
    assert {key: result.points for key, result in graded.items() if result.points} == {}


@pytest.mark.parametrize(("slug", "name"), WRONG)
def test_wrong_answer_loses_with_its_message(slug, name):
    assert_coached(proof(slug)[name], wrong_answers(slug)[name].message)


@pytest.mark.parametrize("slug", SLUGS)
def test_three_wrong_answers_per_task(slug):
    assert too_few_wrong_answers(solution(slug), wrong_answers(slug)) == []


@pytest.mark.parametrize("slug", SLUGS)
def test_shape(slug):
    assert misshapen(solution(slug)) == []


# ---- The proof can fail.


def cell(source, grade_id, points=None, solution=False):
    about = {
        "schema_version": 3,
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": not solution,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        about["points"] = points
    return nbformat.v4.new_code_cell(source, metadata={"nbgrader": about})


SOURCE = """def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""
TEST = """from coursekit.exercises import rng
x = int(rng().integers(3, 99))
assert double(x) == 2 * x, "two times, please"
### BEGIN HIDDEN TESTS
assert double(-1) == -2, "negative numbers, too"
### END HIDDEN TESTS"""
PARTIAL = "print('half of it'); 0.5 if double(0.5) != 1 else 1"
WRONG_DOUBLES = {
    "squared": Wrong("double", "def double(x): return x * x", "two times"),
    "positive only": Wrong("double", "def double(x): return 2 * abs(x)", "negative"),
    "whole numbers": Wrong("double", "def double(x): return 2 * int(x)", "half of it"),
}


@pytest.fixture(scope="module")
def exercise():
    cells = [
        cell(SOURCE, "double", solution=True),
        cell(TEST, "test_double", points=2),
        cell(PARTIAL, "test_half", points=1),
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def graded(exercise):
    more = {
        "nothing wrong": Wrong("double", "def double(x): return x + x", ""),
        "warns": Wrong(
            "double",
            "import warnings\ndef double(x):\n    warnings.warn('odd')\n    return 2 * x",
            "",
        ),
        "syntax": Wrong("double", "def double(x) return", "not defined"),
        "exits": Wrong("double", "raise SystemExit(3)", "not defined"),
    }
    return run_variants(exercise, release(exercise), WRONG_DOUBLES | more)


def test_small_solution_has_full_marks(graded):
    assert [r.points for r in graded[SOLUTION].values()] == [2, 1]
    assert lost(graded[OTHER_SEED]) == {}


def test_small_stub_has_no_marks_and_later_cells_run(graded):
    assert [r.points for r in graded[STUB].values()] == [0, 0]
    assert "not solved yet" in graded[STUB]["test_half"].message


@pytest.mark.parametrize("name", WRONG_DOUBLES)
def test_small_wrong_answers_lose(graded, name):
    assert_coached(graded[name], WRONG_DOUBLES[name].message)


@pytest.mark.parametrize(("name", "message"), [("syntax", "not defined"), ("exits", "not defined")])
def test_a_broken_cell_costs_only_its_own_variant(graded, name, message):
    assert_coached(graded[name], message)


def test_a_warning_costs_nothing(graded):
    assert lost(graded["warns"]) == {}


def test_right_answer_named_wrong_is_found(graded):
    with pytest.raises(AssertionError, match="has full marks"):
        assert_coached(graded["nothing wrong"], "")


def test_wrong_message_is_found(graded):
    with pytest.raises(AssertionError, match="is in none of"):
        assert_coached(graded["squared"], "negative")


def test_partial_credit(graded):
    assert graded["whole numbers"]["test_half"].points == 0.5


def test_too_few_wrong_answers_are_found(exercise):
    assert too_few_wrong_answers(exercise, WRONG_DOUBLES) == []
    assert autograded_tasks(exercise) == ["double"]
    two = dict(list(WRONG_DOUBLES.items())[:2])
    assert too_few_wrong_answers(exercise, two) == ["double has 2 wrong answers; 3 are wanted"]
    astray = WRONG_DOUBLES | {"astray": Wrong("treble", "", "")}
    assert too_few_wrong_answers(exercise, astray) == ["astray: there is no autograded task treble"]


def tasks(count, by_hand=True):
    cells = []
    for number in range(1, count + 1):
        cells.append(nbformat.v4.new_markdown_cell(f"## Task {number}: double it"))
        cells.append(cell(SOURCE, f"double_{number}", solution=True))
    if by_hand:
        cells.append(cell(SOURCE, "why", points=1, solution=True))
    return nbformat.v4.new_notebook(cells=cells)


def test_shape_of_an_exercise():
    assert misshapen(tasks(4)) == []
    assert misshapen(tasks(4, by_hand=False)) == ["no task is graded by hand (grade and solution)"]
    assert "3 tasks" in misshapen(tasks(3))[0]
    assert "7 tasks" in misshapen(tasks(7))[0]
    renumbered, early, empty = tasks(5), tasks(5), tasks(5)
    renumbered.cells[2].source = "## Task 5: again"
    assert misshapen(renumbered) == ["Task 5 should be Task 2"]
    early.cells.insert(0, cell(SOURCE, "early", solution=True))
    assert misshapen(early) == ["early comes before '## Task 1: …'"]
    del empty.cells[3]
    assert misshapen(empty) == ["Task 2 has nothing to fill in"]
