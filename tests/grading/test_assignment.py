"""Reading the source, and planning what to run for what a stranger handed in."""

import json

import pytest

from coursekit.grading.assignment import (
    InvalidSubmissionError,
    bound_names,
    plan,
    read_assignment,
)
from coursekit.grading.limits import GradingError
from tests.grading.notebook import answered, code, dump, find, notebook, text, write

DOUBLE = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
HIDDEN = (
    "assert double(1) == 2\n### BEGIN HIDDEN TESTS\nassert double(3) == 6\n### END HIDDEN TESTS"
)


def source():
    return notebook(
        code("import numpy as np\nlimit = 3"),
        text("## Task 1: twice"),
        code("from math import pi as half\nscale = half", "locked", "setup"),
        code(DOUBLE, "answer", "double"),
        code(HIDDEN, "tests", "test_double", 2, coursekit={"hint": "add it to itself"}),
        text("## Task 2: why"),
        text("### BEGIN SOLUTION\nBecause.\n### END SOLUTION", "manual", "why", 3),
    )


@pytest.fixture
def assignment(tmp_path):
    return read_assignment(write(source(), tmp_path / "ps1" / "one.ipynb"))


@pytest.fixture
def handed(assignment):
    """What a student gets."""
    texts = {cell.grade_id: cell.released for cell in assignment.cells if cell.grade_id}
    return answered(source(), **texts)


def order(planned):
    return [step["grade_id"] or step["source"] for step in planned.steps]


def test_source(assignment):
    assert (assignment.name, assignment.notebook) == ("ps1", "one")
    kinds = ["plain", "plain", "locked", "answer", "tests", "plain", "manual"]
    assert [cell.kind for cell in assignment.cells] == kinds
    graded = [(c.grade_id, c.points, c.title, c.hint) for c in assignment.graded]
    assert graded == [
        ("test_double", 2, "Task 1: twice", "add it to itself"),
        ("why", 3, "Task 2: why", ""),
    ]
    assert assignment.imports == ["import numpy as np", "from math import pi as half"]
    assert assignment.modules[:2] == ["numpy", "math"]
    assert "HIDDEN" in assignment.graded[0].source
    assert "double(3)" not in assignment.graded[0].released


def test_released_source_is_read_without_nbgrader(assignment, handed, tmp_path):
    again = read_assignment(write(handed, tmp_path / "ps1" / "two.ipynb"))
    assert [c.released for c in again.cells] == [c.released for c in assignment.cells]
    assert again.digest != assignment.digest


def test_digest_is_that_of_what_is_graded(assignment, tmp_path):
    same, other = source(), answered(source(), test_double="assert True")
    same.cells[0].outputs = []
    same.metadata["title"] = "x"
    assert read_assignment(write(same, tmp_path / "a" / "one.ipynb")).digest == assignment.digest
    assert read_assignment(write(other, tmp_path / "b" / "one.ipynb")).digest != assignment.digest


@pytest.mark.parametrize(
    ("cells", "metadata", "message"),
    [
        ([code("1")], {}, "no cell is graded"),
        ([code("1", "tests", "a", 1), code("2", "tests", "a", 1)], {}, "two cells have"),
        ([code("### AUTOTEST f(1)", "tests", "a", 1)], {}, "AUTOTEST"),
        ([code("1", "tests", "a", 1)], {"kernelspec": {"language": "R", "name": "ir"}}, "R; only"),
        ([code("### BEGIN SOLUTION\n1", "answer", "a")], {}, "one.ipynb: .*solution"),
    ],
)
def test_unusable_sources(cells, metadata, message, tmp_path):
    nb = notebook(*cells)
    nb.metadata.update(metadata)
    with pytest.raises(GradingError, match=message) as error:
        read_assignment(write(nb, tmp_path / "ps1" / "one.ipynb"))
    assert "\n" not in str(error.value)


def test_bound_names():
    cell = """
import a, b as c
x, (y, *z) = 1, (2, 3)
for i in range(3):
    if (found := i):
        late = 1
with open("f") as file: pass
def f(inner): local = 1
class K: member = 2
try: pass
except OSError as error: pass
x[0] = {k for k in x if (seen := k)}
match x:
    case [head, *tail]: pass
    case {"a": value, **others}: pass
    case str() as whole: pass
global_function = lambda inside: (hidden := inside)
count += 1
!ls
%matplotlib inline
print(only_read)
"""
    names = ["K", "count", "error", "f", "file", "found", "global_function", "head", "i", "late"]
    names += ["others", "seen", "tail", "value", "whole", "x", "y", "z"]
    assert bound_names(cell) == names
    assert bound_names("def f(:") == []


def test_untouched_exercise(assignment, handed):
    planned = plan(assignment, dump(handed))
    assert (planned.notes, planned.tampering) == ([], [])
    assert planned.answers == {"why": None}
    assert order(planned) == ["import numpy as np\nlimit = 3", "setup", "double", "test_double"]
    assert [step["index"] for step in planned.steps] == [0, 1, 2, 3]
    by_name = {step["grade_id"]: step for step in planned.steps}
    assert by_name["setup"]["binds"] == ["scale"]
    assert by_name["double"]["binds"] == ["double", "limit"]  # with the plain cells' names
    assert "double(3)" in by_name["test_double"]["source"]


def test_the_source_itself_is_no_tampering(assignment):
    assert plan(assignment, dump(source())).tampering == []


def test_names_come_from_the_source_not_from_the_student(assignment, handed):
    nb = answered(handed, double="half = scale = np = test_double = 0\ndef double(x): return 2")
    assert plan(assignment, dump(nb)).steps[2]["binds"] == ["double", "limit"]


def test_tests_and_locked_cells_come_from_the_source(assignment, handed):
    nb = answered(handed, test_double="assert True", setup="scale = 0")
    for cell in nb.cells:
        about = cell.metadata.get("nbgrader", {})
        about.update(points=100, locked=False)
    planned = plan(assignment, dump(nb))
    by_name = {step["grade_id"]: step for step in planned.steps}
    assert "double(3)" in by_name["test_double"]["source"]
    assert by_name["test_double"]["points"] == 2
    assert by_name["setup"]["source"].startswith("from math")
    assert [line.split(" was")[0] for line in planned.tampering] == [
        "The read-only cell setup",
        "The test cell test_double",
    ]


def test_space_at_line_ends_is_no_tampering(assignment, handed):
    nb = answered(handed, test_double=find(handed, "test_double").source + "  \n\n")
    assert plan(assignment, dump(nb)).tampering == []


def test_deleted_cells_run_at_their_place(assignment, handed):
    nb = handed
    nb.cells = [c for c in nb.cells if c is not find(nb, "test_double")]
    planned = plan(assignment, dump(nb))
    assert order(planned)[-2:] == ["double", "test_double"]
    assert planned.notes == ["The test cell test_double is missing."]


def test_reordered_and_extra_cells(assignment, handed):
    extra = code("help_me = 1")
    cells = handed.cells
    cells.insert(4, extra)  # between the answer and its test
    cells.append(cells.pop(3))  # the answer is last now
    planned = plan(assignment, dump(handed))
    assert order(planned) == [
        "import numpy as np\nlimit = 3",
        "setup",
        "help_me = 1",
        "double",
        "test_double",
    ]
    assert planned.notes == ["Cells were moved; they were run in the order of the exercise."]


def test_duplicated_cells(assignment, handed):
    copy_of_answer = code("def double(x): return x + x", "answer", "double")
    copy_of_test = code("assert False", "tests", "test_double", 2)
    handed.cells[4:4] = [copy_of_test]
    handed.cells[4:4] = [copy_of_answer]
    planned = plan(assignment, dump(handed))
    assert [s["kind"] for s in planned.steps] == ["cell", "trusted", "cell", "cell", "tests"]
    assert "The cell double is there 2 times." in planned.notes
    assert "The cell test_double is there 2 times." in planned.notes


def test_metadata_lost(assignment, handed):
    for cell in handed.cells:
        cell.metadata.clear()
    planned = plan(assignment, dump(handed))
    assert order(planned)[-2:] == ["setup", "test_double"]
    assert planned.answers == {"why": ""}  # a human has to look
    assert any("why is missing" in note for note in planned.notes)


def test_manual_answers(assignment, handed):
    nb = answered(handed, why="So that it is right.")
    assert plan(assignment, dump(nb)).answers == {"why": "So that it is right."}
    nb = answered(handed, why="  \n")
    assert plan(assignment, dump(nb)).answers == {"why": None}
    nb = answered(handed, why=find(handed, "why").source + "\n")
    assert plan(assignment, dump(nb)).answers == {"why": None}
    nb.cells.append(text("In the copy.", "manual", "why", 3))
    assert plan(assignment, dump(nb)).answers == {"why": "In the copy."}


def test_task_cells_take_the_cells_below(tmp_path):
    nb = notebook(text("Plot something.", "task", "plot", 4), code("1", "tests", "t", 1))
    found = read_assignment(write(nb, tmp_path / "ps1" / "one.ipynb"))
    assert [cell.kind for cell in found.graded] == ["task", "tests"]
    nb.cells[1:1] = [code("plt.plot(x)"), text("It grows.")]
    assert plan(found, dump(nb)).answers == {"plot": "plt.plot(x)\n\nIt grows."}


def test_changed_cell_type(assignment, handed):
    find(handed, "double").cell_type = "raw"
    planned = plan(assignment, json.dumps(handed).encode())
    assert "double" not in order(planned)
    assert planned.notes == ["The cell double is raw, no longer code."]


def test_unknown_grade_id(assignment, handed):
    handed.cells.append(code("x = 1", "answer", "of_another_exercise"))
    planned = plan(assignment, dump(handed))
    assert order(planned)[-1] == "of_another_exercise"
    assert "of_another_exercise" in planned.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a notebook"),
        (b"PK\x03\x04\xff\xfe", "not text"),
        (b"[]", "no cells"),
        (b'{"cells": 3}', "no cells"),
        (b'{"worksheets": []}', "old format"),
        (b'{"cells": [\n<<<<<<< HEAD\n', "conflict marks"),
        (b"[" * 100_000, "nested too deeply"),
        (json.dumps({"cells": [{}] * 6000}).encode(), "6000 cells"),
        (json.dumps({"cells": [{"source": "x" * (11 << 20)}]}).encode(), "characters"),
    ],
)
def test_no_notebook(assignment, content, message):
    with pytest.raises(InvalidSubmissionError, match=message) as error:
        plan(assignment, content)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "cell",
    [
        None,
        3,
        {},
        {"cell_type": "code", "source": {"a": 1}},
        {"cell_type": "code", "source": [1, None]},
        {"cell_type": ["code"], "source": "x"},
        {"cell_type": "code", "source": "x", "metadata": 3},
        {"cell_type": "code", "source": "x", "metadata": {"nbgrader": [1]}},
        {"cell_type": "code", "source": "x", "metadata": {"nbgrader": {"grade_id": {"a": 1}}}},
        {"cell_type": "code", "source": "\ud800", "metadata": {}},
    ],
)
def test_odd_cells(assignment, handed, cell):
    about = json.loads(dump(handed))
    about["cells"].append(cell)
    planned = plan(assignment, json.dumps(about).encode())
    assert "test_double" in order(planned)
    json.dumps(planned.steps).encode()
