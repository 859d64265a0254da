"""The proof of the exercises: a solution and its wrong variants, graded as strangers' work is.

Each exercise has a file ``tests/exercises/SLUG.py`` with its named wrong answers::

    from tests.exercises import Wrong

    WRONG = {
        "sign flipped": Wrong("step", "def step(w, g, lr):\\n    return w + lr * g", "downhill"),
    }

"""

import copy
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from coursekit.grading.assignment import read_assignment
from coursekit.grading.limits import Limits
from coursekit.grading.results import Result, Task
from coursekit.grading.runner import Grader, Settings
from coursekit.grading.submissions import Submission

STUB = "stub"
SOLUTION = "solution"
OTHER_SEED = "solution, other fresh inputs"
LIMITS = Limits(cell_seconds=120, seconds=600)


@dataclass(frozen=True)
class Wrong:
    """A wrong answer to one task.

    Parameters
    ----------
    grade_id : str
        The solution cell that is replaced.
    code : str
        The whole cell that a student might hand in.
    message : str
        Must be part of the message of a test cell that loses points.
    """

    grade_id: str
    code: str
    message: str


@dataclass(frozen=True)
class Graded:
    """What a test cell gave: the points, and what the student would read."""

    points: float
    worth: float
    message: str


def answered(notebook: Any, answers: dict[str, str]) -> Any:
    """Give a notebook with other sources in the cells to fill in, by their grade_id."""
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution"):
            cell.source = answers.get(about.grade_id, cell.source)
    return changed


def is_test(cell: Any) -> bool:
    """Tell whether a cell holds tests (and is not graded by hand)."""
    about = cell.metadata.get("nbgrader", {})
    return bool(about.get("grade") and not about.get("solution"))


def tests_of_other_tasks(grade_id: str, notebook: Any) -> list[str]:
    """List the test cells of other tasks than that of `grade_id`.

    A wrong answer is caught by the tests of its own task. Another task's may train for seconds.
    """
    task, tasks, tests = 0, {}, []
    for cell in notebook.cells:
        task += cell.cell_type == "markdown" and cell.source.startswith("## Task")
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        tasks[name] = task
        tests += [name] if is_test(cell) else []
    return [name for name in tests if tasks[name] != tasks[grade_id]]


def answer_cells(notebook: Any) -> dict[str, str]:
    """Collect the code cells that students fill in: grade_id → source."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }


def autograded_tasks(notebook: Any) -> list[str]:
    """List the grade_ids of the code cells that test cells grade, not a person."""
    return [
        cell.metadata.nbgrader.grade_id
        for cell in notebook.cells
        if cell.cell_type == "code"
        and cell.metadata.get("nbgrader", {}).get("solution")
        and not cell.metadata.nbgrader.grade
    ]


def run_variants(solution: Any, student: Any, wrong: dict[str, Wrong]) -> dict[str, Any]:
    """Grade a solution, its stubs and its wrong answers.

    Parameters
    ----------
    solution, student : nbformat.NotebookNode
        The instructor and the student version of the exercise.
    wrong : dict of str to Wrong
        The wrong answers by name.

    Returns
    -------
    dict of str to dict of str to Graded
        For each variant (`SOLUTION`, `OTHER_SEED`, `STUB` and the names in `wrong`) what each
        test cell gave, by grade_id. The tests are always the solution's, hidden ones included.
    """
    stub = answered(solution, answer_cells(student))
    handed_in = {SOLUTION: (solution, []), OTHER_SEED: (solution, []), STUB: (stub, [])}
    for name, answer in wrong.items():
        others = tests_of_other_tasks(answer.grade_id, solution)
        handed_in[name] = (answered(solution, {answer.grade_id: answer.code}), others)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.ipynb"
        nbformat.write(solution, source)
        settings = Settings(read_assignment(source), LIMITS, least="spawned")
    with Grader(settings) as grader:
        return {name: grade(grader, name, *about) for name, about in handed_in.items()}


def grade(grader: Grader, name: str, notebook: Any, others: list[str]) -> dict[str, Graded]:
    """Grade one variant; the tests in `others` are not run. Its name decides on fresh inputs."""
    content = nbformat.writes(notebook).encode()
    kept = [Task(other, "", "tests", "passed", 0.0, 0.0) for other in others]
    result = grader.grade(
        Submission(name, name, content=lambda: content), Result(name, "", "graded", kept)
    )
    return {
        task.grade_id: Graded(task.points, task.max_points, task.message)
        for task in result.tasks
        if task.kind == "tests" and task.grade_id not in others
    }


def misshapen(solution: Any) -> list[str]:
    """Check that an exercise has 4 to 6 tasks, each with something to fill in, one by hand."""
    tasks: list[int] = []  # for each task, the number of cells to fill in
    by_hand = 0
    wrong = []
    for cell in solution.cells:
        heading = re.match(r"## Task (\d+): \S", cell.source)
        if cell.cell_type == "markdown" and heading:
            tasks.append(0)
            if int(heading[1]) != len(tasks):
                wrong.append(f"Task {heading[1]} should be Task {len(tasks)}")
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution"):
            if not tasks:
                wrong.append(f"{about.get('grade_id')} comes before '## Task 1: …'")
            tasks[-1:] = [count + 1 for count in tasks[-1:]]
            by_hand += bool(about.get("grade"))
    if not 4 <= len(tasks) <= 6:
        wrong.append(
            f"{len(tasks)} tasks (cells that begin with '## Task 1: …'); 4 to 6 are wanted"
        )
    wrong += [f"Task {n} has nothing to fill in" for n, cells in enumerate(tasks, 1) if not cells]
    if not by_hand:
        wrong.append("no task is graded by hand (grade and solution)")
    return wrong


def too_few_wrong_answers(solution: Any, wrong: dict[str, Wrong]) -> list[str]:
    """List the tasks without three wrong answers, and wrong answers to no task."""
    tasks = autograded_tasks(solution)
    counts = {task: sum(answer.grade_id == task for answer in wrong.values()) for task in tasks}
    lines = [f"{task} has {n} wrong answers; 3 are wanted" for task, n in counts.items() if n < 3]
    lines += [
        f"{name}: there is no autograded task {answer.grade_id}"
        for name, answer in wrong.items()
        if answer.grade_id not in tasks
    ]
    return lines
