"""Make the student version of an exercise from its solution notebook, as nbgrader does.

nbgrader's own preprocessors do the work, without its course folder and database, so that the
result can be graded and edited with nbgrader, too.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

from coursekit.notebooks import Chapter, NotebookError, canonical, dumps, read, write

# What must not be left for students to see.
MARKS = ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "MARK SCHEME")


def release(notebook: Any) -> Any:
    """Turn a solution notebook into the student version.

    Solutions become stubs that raise `NotImplementedError`; hidden tests and outputs are removed;
    test cells are locked and carry nbgrader's checksums.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The solution, with nbgrader metadata (schema 3). It is not modified.

    Returns
    -------
    nbformat.NotebookNode
        In canonical form.

    Raises
    ------
    NotebookError
        If nbgrader is not installed, or the notebook breaks its rules; in one line.
    """
    student = canonical(without_answers(canonical(copy.deepcopy(notebook))))
    _check_student_version(student)
    return student


def without_answers(notebook: Any) -> Any:
    """Take solutions, hidden tests and outputs out of any nbgrader notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        With nbgrader metadata (schema 3). It may be modified.

    Returns
    -------
    nbformat.NotebookNode
        What nbgrader would hand out.

    Raises
    ------
    NotebookError
        If nbgrader is not installed, or the notebook breaks its rules; in one line.
    """
    resources: dict[str, Any] = {}
    for step in _steps():
        preprocessor = step()
        preprocessor.log = _silent_log()  # what it logs, it raises as well
        try:
            notebook, resources = preprocessor.preprocess(notebook, resources)
        except Exception as error:  # RuntimeError, ValidationError, KeyError: nbgrader's choice
            raise NotebookError(_reason(notebook, error)) from error
    return notebook


def _steps() -> list[type]:
    """List the steps of ``nbgrader generate_assignment`` that need no course folder.

    Left out are the header and footer, tests from templates, and the database. The checksums
    come last: they must be those of the cells that the students get.
    """
    try:
        from nbgrader import preprocessors as nbgrader
    except ImportError:
        raise NotebookError(
            'release needs nbgrader: uv sync, or pip install "coursekit[grading]".'
        ) from None
    return [
        nbgrader.LockCells,
        nbgrader.ClearSolutions,
        nbgrader.ClearOutput,
        nbgrader.CheckCellMetadata,
        nbgrader.ClearHiddenTests,
        nbgrader.ClearMarkScheme,
        nbgrader.ComputeChecksums,
        nbgrader.CheckCellMetadata,
    ]


def _silent_log() -> logging.Logger:
    log = logging.getLogger("coursekit.release")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return log


def _reason(notebook: Any, error: Exception) -> str:
    """Say in one line what nbgrader objects to; it often hides the cause and names no cell."""
    from nbgrader.nbgraderformat import MetadataValidator

    try:
        MetadataValidator().validate_nb(notebook)
    except KeyError as cause:
        return f"the nbgrader metadata of a cell lacks {cause}"
    except Exception as cause:
        error = cause
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]


def _check_student_version(student: Any) -> None:
    for cell in student.cells:
        left = [mark for mark in MARKS if mark in cell.source]
        if left:
            first = cell.source.splitlines()[0]
            raise NotebookError(f'cell "{first}": "{left[0]}" is left over; use ### BEGIN and END')
        about = cell.metadata.get("nbgrader", {})
        stub = about.get("solution") and cell.cell_type == "code"
        if stub and "raise NotImplementedError" not in cell.source:
            raise NotebookError(f"the stub of {about['grade_id']} does not raise an error")
        if about.get("solution") and not about.get("grade") and cell.cell_type != "code":
            raise NotebookError(f"{about['grade_id']}: a text answer needs points (grade: true)")


def student_version(chapter: Chapter) -> Any:
    """Read the solution of a chapter and make its student version.

    Raises
    ------
    NotebookError
        See `release`; the message names the notebook.
    """
    solution = read(chapter.solution)
    try:
        return release(solution)
    except NotebookError as error:
        where = chapter.solution.relative_to(chapter.root).as_posix()
        raise NotebookError(f"{where}: {error}") from error


def release_chapter(chapter: Chapter) -> bool:
    """Write the student version of a chapter; tell whether that changed the file."""
    return write(chapter.exercise, student_version(chapter))


def is_released(chapter: Chapter) -> bool:
    """Tell whether the committed student version is exactly what `release` makes now."""
    path = chapter.exercise
    return path.is_file() and path.read_bytes().decode() == dumps(student_version(chapter))
