"""The proof of the exercises: plain execution of a solution and of its wrong variants.

Each exercise has a file ``tests/exercises/SLUG.py`` with its named wrong answers::

    from tests.exercises import Wrong

    WRONG = {
        "sign flipped": Wrong("step", "def step(w, g, lr):\\n    return w + lr * g", "downhill"),
    }

All variants of one exercise run in one process, apart from pytest's, because importing TensorFlow
takes seconds. Executing code of strangers needs a sandbox; this code is ours.
"""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TIMEOUT = 600  # seconds for all variants of an exercise
STUB = "stub"
SOLUTION = "solution"
OTHER_SEED = "solution, other fresh inputs"


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
class Cell:
    """A code cell; `points` is its worth if it is a test cell, else None."""

    grade_id: str
    source: str
    points: float | None


@dataclass(frozen=True)
class Graded:
    """What a test cell gave: the points, and what the student would read."""

    points: float
    worth: float
    message: str


def code_cells(notebook: Any, answers: dict[str, str] | None = None) -> list[Cell]:
    """List a notebook's code cells, with other sources for the solution cells in `answers`."""
    answers = answers or {}
    cells = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        about = cell.metadata.get("nbgrader", {})
        grade_id = about.get("grade_id", "")
        source = answers.get(grade_id, cell.source) if about.get("solution") else cell.source
        cells.append(Cell(grade_id, source, about.get("points") if is_test(cell) else None))
    return cells


def is_test(cell: Any) -> bool:
    """Tell whether a cell holds tests (and is not graded by hand)."""
    about = cell.metadata.get("nbgrader", {})
    return bool(about.get("grade") and not about.get("solution"))


def only_task_of(grade_id: str, notebook: Any) -> Any:
    """Give a notebook without the test cells of other tasks than that of `grade_id`.

    A wrong answer is caught by the tests of its own task. Another task's may train for seconds.
    """
    task, tasks = 0, {}
    for cell in notebook.cells:
        task += cell.cell_type == "markdown" and cell.source.startswith("## Task")
        tasks[cell.id] = task
        if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id:
            wanted = task
    kept = copy.deepcopy(notebook)
    kept.cells = [cell for cell in kept.cells if tasks[cell.id] == wanted or not is_test(cell)]
    return kept


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
    """Execute a solution, its stubs and its wrong answers.

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
    variants = {
        SOLUTION: (code_cells(solution), "0"),
        OTHER_SEED: (code_cells(solution), "1"),
        STUB: (code_cells(solution, answer_cells(student)), "0"),
    }
    for name, answer in wrong.items():
        notebook = only_task_of(answer.grade_id, solution)
        variants[name] = (code_cells(notebook, {answer.grade_id: answer.code}), "0")
    job = {
        name: {"cells": [asdict(cell) for cell in cells], "seed": seed}
        for name, (cells, seed) in variants.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        # stdout and stderr belong to the exercises; the results take a way of their own.
        done = subprocess.run(
            [sys.executable, "-m", "tests.exercises", str(results)],
            env={**os.environ, "MPLBACKEND": "Agg"},
            input=json.dumps(job),
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )
        if done.returncode:
            raise RuntimeError(f"executing the exercise broke down: {done.stderr[-2000:]}")
        graded = json.loads(results.read_text(encoding="utf-8"))
    return {
        name: {grade_id: Graded(**result) for grade_id, result in results.items()}
        for name, results in graded.items()
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
