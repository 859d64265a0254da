"""Write results into nbgrader's gradebook, with the notebooks that its formgrader shows.

Everything goes through `nbgrader.api.Gradebook`, so that manual grading, late penalties and
exporters of nbgrader find what ``nbgrader generate_assignment`` and ``nbgrader autograde`` would
have left. Only the grading run itself writes here; no student process ever sees the file.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from coursekit import notebooks
from coursekit.course import write_atomically
from coursekit.grading.assignment import (
    Assignment,
    Cell,
    Handed,
    InvalidSubmissionError,
    plan,
    read_submission,
)
from coursekit.grading.limits import GradingError
from coursekit.grading.manual import Mark
from coursekit.grading.results import Result, Task, number, plain_disk_errors
from coursekit.grading.submissions import Submission

WAIT_SECONDS = 60  # for another program that writes to the gradebook
CONFIG = "nbgrader_config.py"
TAG = re.compile(r"<\s*[A-Za-z/!?]")
MISSING = "This cell was missing from the submission."


class Book:
    """A gradebook of nbgrader, opened for one notebook of an assignment.

    Parameters
    ----------
    file : Path
        The SQLite file, usually ``gradebook.db`` in nbgrader's course folder. It is made if need
        be. The notebooks for the formgrader are written beside it, where nbgrader's configuration
        of the course says (``autograded/STUDENT/ASSIGNMENT/NAME.ipynb``).
    assignment : Assignment
        What was graded. If the gradebook has it already, it must have the same cells and points.

    Raises
    ------
    GradingError
        If nbgrader is not installed, the file is no gradebook of this version, or it has the
        assignment with other cells.
    """

    def __init__(self, file: Path, assignment: Assignment) -> None:
        try:
            from nbgrader.coursedir import CourseDirectory
            from nbgrader.preprocessors import AssignLatePenalties
        except ImportError:
            raise GradingError(
                'The gradebook needs nbgrader: uv sync, or pip install "coursekit[grading]".'
            ) from None
        self.file = file.resolve()
        self.assignment = assignment
        root = self.file.parent
        if not root.is_dir():
            raise GradingError(f"There is no folder {root} for the gradebook.")
        config = _read_config(root)
        try:
            with _importable(root):
                self._course = CourseDirectory(config=config, root=str(root))
                self._late = AssignLatePenalties(config=config)
                self._late.init_plugin()
        except Exception as error:  # the plugin may be the instructor's own
            raise GradingError(f"nbgrader's configuration of {root}: {error}") from None
        with _plain_database_errors(self.file):
            self._gradebook = _open(self.file, self._course.course_id)
            try:
                with self._transaction():
                    self._prepare()
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._gradebook.close()

    def write(
        self,
        result: Result,
        content: bytes | None = None,
        submitted: str = "",
        given: Container[str] = (),
    ) -> list[str]:
        """Write a result, in one transaction, and the notebook for the formgrader.

        Scores and comments that a human gave in the gradebook stay, unless the answer has changed.

        Parameters
        ----------
        result : Result
            What the submission got.
        content : bytes, optional
            The notebook that was handed in, if it can be read.
        submitted : str
            When it was handed in, as in nbgrader's ``timestamp.txt``; late penalties depend on it.
        given : container of str
            The tasks whose marks by hand are new: they replace scores by hand in the gradebook.
            Older ones do so only where it has none, because the formgrader may have changed them.

        Returns
        -------
        list of str
            Notes for the instructor: which scores by hand were removed.
        """
        made = autograded_notebook(self.assignment, content, result)
        path = self._autograded(result.student)
        before = _answers(path)
        changed = {
            task.grade_id for task in result.tasks if before and _differs(task, before, made)
        }
        with _plain_database_errors(self.file), self._transaction():
            notes = self._write_grades(result, changed, submitted, given)
        # after the transaction: if this fails, writing again still knows what was there before
        with plain_disk_errors(path.parent):
            write_atomically(path, notebooks.dumps(made).encode())
        return notes

    def _autograded(self, student: str) -> Path:
        folder = self._course.format_path(
            self._course.autograded_directory, student, self.assignment.name
        )
        return Path(folder) / f"{self.assignment.notebook}.ipynb"

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make one transaction of all that nbgrader's methods, which each commit, do in between."""
        database = self._gradebook.db
        with self._gradebook.engine.connect() as connection, connection.begin():
            database.remove()
            # SQLAlchemy's own mode for this: a commit of the session is none of the connection's.
            # Without autoflush nbgrader's half-built rows are not written too early.
            session = database(
                bind=connection, join_transaction_mode="rollback_only", autoflush=False
            )
            try:
                yield
                session.flush()
            finally:
                database.remove()

    # ---- The assignment

    def _prepare(self) -> None:
        """Record the assignment as ``nbgrader generate_assignment`` does, or check the record."""
        from nbgrader.api import MissingEntry

        book, name = self._gradebook, (self.assignment.notebook, self.assignment.name)
        book.update_or_create_assignment(self.assignment.name)
        try:
            found = book.find_notebook(*name)
        except MissingEntry:
            self._record()
            return
        recorded = {
            **{cell.name: ("", 0.0) for cell in found.solution_cells},
            **{cell.name: (cell.cell_type, cell.max_score) for cell in found.grade_cells},
            **{cell.name: (cell.cell_type, cell.max_score) for cell in found.task_cells},
        }
        cells = [cell for cell in self.assignment.cells if cell.is_graded or cell.kind == "answer"]
        wanted = {
            cell.grade_id: (cell.cell_type, cell.points) if cell.is_graded else ("", 0.0)
            for cell in cells
        }
        for grade_id in {**wanted, **recorded}:
            here, there = wanted.get(grade_id), recorded.get(grade_id)
            if here != there:
                raise GradingError(
                    f"{self.file} knows another {'/'.join(name[::-1])}: {grade_id} is "
                    f"{_described(there)} there and {_described(here)} in the source. "
                    "Run nbgrader generate_assignment again, or choose another --gradebook."
                )

    def _record(self) -> None:
        name = (self.assignment.notebook, self.assignment.name)
        book = self._gradebook
        about = notebooks.read(self.assignment.path).metadata.get("kernelspec", {})
        book.add_notebook(*name, kernelspec=json.dumps(about))
        for cell in self.assignment.cells:
            graded = {"max_score": cell.points, "cell_type": cell.cell_type}
            if cell.kind in ("tests", "manual"):
                book.add_grade_cell(cell.grade_id, *name, **graded)
            if cell.kind in ("answer", "manual"):
                book.add_solution_cell(cell.grade_id, *name)
            if cell.kind == "task":
                book.add_task_cell(cell.grade_id, *name, **graded)
            if cell.kind != "plain":
                node = _node(cell, _text(cell))
                book.add_source_cell(
                    cell.grade_id,
                    *name,
                    cell_type=cell.cell_type,
                    locked=node.metadata.nbgrader.locked,
                    source=node.source,
                    checksum=node.metadata.nbgrader.checksum,
                )

    # ---- A submission

    def _write_grades(
        self, result: Result, changed: Container[str], submitted: str, given: Container[str]
    ) -> list[str]:
        notebook = self._submitted_notebook(result, submitted)
        tasks = {task.grade_id: task for task in result.tasks}
        comments = {comment.cell.name: comment for comment in notebook.comments}
        notes = []
        for grade in notebook.grades:
            task = tasks[grade.cell.name]
            comment = comments.get(task.grade_id)
            if task.grade_id in changed and grade.manual_score is not None:
                score = number(grade.manual_score)
                notes.append(f"{task.grade_id}: the answer changed; the {score} by hand are gone.")
                grade.manual_score = grade.extra_credit = None
                if comment:
                    comment.manual_comment = None
            if not task.by_hand:
                grade.auto_score = task.points
            elif grade.manual_score is None or task.grade_id in given:
                grade.manual_score, grade.needs_manual_grade = task.points, False
                if comment and task.comment:
                    comment.manual_comment = task.comment
            if grade.manual_score is None:
                grade.needs_manual_grade = task.points is None
            if comment:
                unanswered = task.points == 0 and not task.by_hand and task.kind == "manual"
                comment.auto_comment = "No response." if unanswered else None
        self._penalize(notebook)
        return notes

    def _submitted_notebook(self, result: Result, submitted: str) -> Any:
        """Find or make the rows of a student's notebook."""
        from nbgrader import api, utils

        book, name = self._gradebook, (self.assignment.notebook, self.assignment.name)
        known_as = {"lms_user_id": result.student_id} if result.student_id else {}
        book.update_or_create_student(result.student, **known_as)
        time = {}
        with contextlib.suppress(ValueError, OverflowError, AttributeError):
            time = {"timestamp": utils.parse_utc(submitted)} if submitted else {}
        submission = book.update_or_create_submission(self.assignment.name, result.student, **time)
        try:
            return book.find_submission_notebook(*name, result.student)
        except api.MissingEntry:
            # the notebook came into the assignment after the student's submission
            source = book.find_notebook(*name)
            notebook = api.SubmittedNotebook(notebook=source, assignment=submission)
            for cell in (*source.grade_cells, *source.task_cells):
                api.Grade(cell_id=cell.id, notebook=notebook)
            for cell in (*source.solution_cells, *source.task_cells):
                api.Comment(cell_id=cell.id, notebook=notebook)
            book.db.add(notebook)
            book.db.flush()
            return notebook

    def _penalize(self, notebook: Any) -> None:
        """Ask the course's plugin for the penalty, as ``nbgrader autograde`` does."""
        notebook.late_submission_penalty = None
        seconds = notebook.assignment.total_seconds_late
        if seconds > 0:
            self._gradebook.db.flush()
            self._gradebook.db.refresh(notebook)
            penalty = self._late.plugin_inst.late_submission_penalty(
                notebook.student.id, notebook.score, seconds
            )
            if penalty is not None:
                notebook.late_submission_penalty = min(max(0.0, penalty), notebook.score)


def write(
    results: Iterable[Result],
    submissions: Iterable[Submission],
    file: Path,
    assignment: Assignment,
    marks: Iterable[Mark] = (),
) -> list[str]:
    """Write the results of these submissions into a gradebook; notebooks are read one by one.

    Parameters
    ----------
    results : iterable of Result
        What to write; those of other students are passed over.
    submissions : iterable of Submission
        Where the notebooks are.
    file : Path
        The gradebook, see `Book`.
    assignment : Assignment
        What was graded.
    marks : iterable of Mark
        Marks by hand that are new, see `Book.write`.

    Returns
    -------
    list of str
        Notes for the instructor.
    """
    by_student = {submission.student: submission for submission in submissions}
    new: dict[str, set[str]] = {}
    for mark in marks:
        new.setdefault(mark.student, set()).add(mark.grade_id)
    notes = []
    with Book(file, assignment) as book:
        for result in results:
            submission = by_student.get(result.student)
            given = new.get(result.student, ())
            # who handed in nothing has no submission there: it would be late, and never missing
            if submission and (submission.is_there or given):
                found = book.write(result, _content(submission), submission.submitted, given)
                notes += [f"{result.student}: {note}" for note in found]
    return notes


def _content(submission: Submission) -> bytes | None:
    try:
        return None if submission.problem else submission.read()
    except InvalidSubmissionError:
        return None


# ---- The file


def _open(file: Path, course: str) -> Any:
    """Open a gradebook, or make one."""
    import sqlalchemy
    from alembic.script import ScriptDirectory
    from nbgrader.api import Gradebook
    from nbgrader.dbutil import ALEMBIC_DIR

    address = sqlalchemy.URL.create(
        "sqlite", database=str(file), query={"timeout": str(WAIT_SECONDS)}
    )
    head = ScriptDirectory(ALEMBIC_DIR).get_current_head()
    engine = sqlalchemy.create_engine(address)
    try:
        # A new gradebook asks the command `alembic`, which PATH may lack, for its version. One
        # that has a table asks nobody.
        with engine.begin() as connection:
            if not sqlalchemy.inspect(connection).get_table_names():
                table = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"
                connection.execute(sqlalchemy.text(table))
                insert = "INSERT INTO alembic_version (version_num) VALUES (:head)"
                connection.execute(sqlalchemy.text(insert), {"head": head})
            select = sqlalchemy.text("SELECT version_num FROM alembic_version")
            version = connection.execute(select).scalar()
    finally:
        engine.dispose()
    if version != head:
        raise GradingError(f"{file} is of another version of nbgrader: run nbgrader db upgrade.")
    return Gradebook(address, course or "default_course")


@contextlib.contextmanager
def _plain_database_errors(file: Path) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise GradingError(f"The gradebook {file} can't be used: {reason}.") from error


def _read_config(root: Path) -> Any:
    """Read nbgrader's configuration: the user's, then the course's."""
    from jupyter_core.paths import jupyter_config_path
    from traitlets.config import Config, PyFileConfigLoader

    config = Config()
    for folder in [*reversed(jupyter_config_path()), str(root)]:
        if (Path(folder) / CONFIG).is_file():
            try:
                with _importable(root):
                    config.merge(PyFileConfigLoader(CONFIG, path=folder).load_config())
            except Exception as error:  # it is a program of the instructor
                raise GradingError(f"{Path(folder) / CONFIG}: {error!r}") from None
    return config


@contextlib.contextmanager
def _importable(root: Path) -> Iterator[None]:
    """Let the course's configuration import plugins from its folder."""
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _described(cell: tuple[str, float] | None) -> str:
    if cell is None:
        return "missing"
    return f"a {cell[0]} cell of {number(cell[1])} points" if cell[0] else "an ungraded answer"


# ---- The notebook for the formgrader


def autograded_notebook(assignment: Assignment, content: bytes | None, result: Result) -> Any:
    """Make the notebook that the formgrader shows.

    The student's cells stand in the student's order, with what they printed while they were
    graded. Test cells and read-only cells are the source's; a test cell shows its verdict.

    Parameters
    ----------
    assignment : Assignment
        What was graded.
    content : bytes or None
        The notebook that was handed in.
    result : Result
        What it got.

    Returns
    -------
    nbformat.NotebookNode
        It is safe to show: of the outputs only text and pictures are kept, and HTML in texts is
        cleaned.
    """
    from nbformat import v4

    try:
        handed = read_submission(content) if content is not None else []
        outputs = _outputs_of_cells(assignment, content, result) if content is not None else {}
    except InvalidSubmissionError:
        handed, outputs = [], {}
    source = {cell.grade_id: cell for cell in assignment.cells if cell.grade_id}
    tasks = {task.grade_id: task for task in result.tasks}
    cells = []
    for cell in _with_missing(assignment, handed):
        asked = source.get(cell.grade_id)
        if asked and asked.kind in ("tests", "locked", "task"):
            node = _node(asked, _text(asked))
        else:
            node = _student_node(cell, asked)
        if node.cell_type == "code":
            if asked and asked.kind == "tests":
                node.outputs = [v4.new_output("stream", text=_verdict(tasks[cell.grade_id]))]
            else:
                waiting = outputs.get((cell.grade_id, cell.source), [])
                node.outputs = waiting.pop(0) if waiting else []
        cells.append(node)
    if result.status == "invalid":
        lines = ["Invalid submission", *result.notes]  # indented, so that they are shown as text
        cells.insert(0, v4.new_markdown_cell("\n".join(f"    {line}" for line in lines)))
    for index, node in enumerate(cells):
        node.id = f"cell-{index}"
    return v4.new_notebook(cells=cells, metadata={"kernelspec": notebooks.KERNELSPEC})


def _with_missing(assignment: Assignment, handed: list[Handed]) -> list[Handed]:
    """Add the cells of the source that a submission lacks, each after the one before it."""
    names = {cell.grade_id for cell in assignment.cells if cell.grade_id}
    cells: list[Handed] = []
    seen: set[str] = set()
    for cell in handed:
        twice = cell.grade_id in seen
        seen.add(cell.grade_id)
        known = cell.grade_id in names and not twice
        cells.append(Handed(cell.cell_type, cell.grade_id if known else "", cell.source))
    place = 0
    for asked in assignment.cells:
        if not asked.grade_id:
            continue
        at = [index for index, cell in enumerate(cells) if cell.grade_id == asked.grade_id]
        if at:
            place = at[0] + 1
        else:
            comment = "# " if asked.cell_type == "code" else ""
            cells.insert(place, Handed(asked.cell_type, asked.grade_id, comment + MISSING))
            place += 1
    return cells


def _outputs_of_cells(
    assignment: Assignment, content: bytes, result: Result
) -> dict[tuple[str, str], list[list[Any]]]:
    """Give the outputs of the student's cells by name and text; equal cells come in order."""
    steps = plan(assignment, content).steps
    found: dict[tuple[str, str], list[list[Any]]] = {}
    for about in result.cells:
        if 0 <= about["index"] < len(steps):
            step = steps[about["index"]]
            name = step["grade_id"] or ""
            known = any(cell.grade_id == name for cell in assignment.cells)
            outputs = list(_safe_outputs(about["outputs"]))
            found.setdefault((name if known else "", step["source"]), []).append(outputs)
    return found


def _safe_outputs(outputs: Iterable[Any]) -> Iterator[Any]:
    """Keep text and PNG pictures, which no browser runs."""
    from nbformat import v4

    for output in outputs:
        if not isinstance(output, dict) or not isinstance(output.get("data", {}), dict):
            continue
        kind, data = output.get("output_type"), output.get("data", {})
        if kind == "stream":
            yield v4.new_output("stream", name="stdout", text=_joined(output.get("text")))
        elif kind == "error":
            about = {name: _joined(output.get(name)) for name in ("ename", "evalue")}
            lines = [_joined(line) for line in output.get("traceback") or []]
            yield v4.new_output("error", **about, traceback=lines)
        elif kind in ("execute_result", "display_data"):
            kept = {"text/plain": _joined(data.get("text/plain"))}
            picture = _joined(data.get("image/png"))
            if picture and _is_base64(picture):
                kept["image/png"] = picture
            yield v4.new_output("display_data", kept)


def _joined(text: Any) -> str:
    text = "".join(map(str, text)) if isinstance(text, list) else str(text or "")
    return text.encode("utf-8", "replace").decode()  # lone surrogates can't be written


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError):
        return False


def _verdict(task: Task) -> str:
    points = "?" if task.points is None else number(task.points)
    lines = [f"{task.verdict}: {points} of {number(task.max_points)} points", task.message]
    for name in ("tried", "expected", "got"):
        lines.append(f"{name}: {getattr(task, name)}" if getattr(task, name) else "")
    return "".join(f"{line}\n" for line in lines if line)


def _text(cell: Cell) -> str:
    """Give the text that nbgrader keeps of a cell: tests in full, answers as handed out."""
    return cell.released if cell.kind in ("answer", "manual") else cell.source


def _node(cell: Cell, text: str) -> Any:
    """Make a notebook cell with nbgrader's metadata."""
    import nbformat
    from nbformat import v4
    from nbgrader.utils import compute_checksum

    new = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}
    node = new[cell.cell_type](text)
    about = {
        "schema_version": 3,
        "grade_id": cell.grade_id,
        "grade": cell.kind in ("tests", "manual"),
        "solution": cell.kind in ("answer", "manual"),
        "locked": cell.kind in ("tests", "locked", "task"),
        "task": cell.kind == "task",
        "cell_type": cell.cell_type,
    }
    if cell.is_graded:
        about["points"] = cell.points
    node.metadata = nbformat.from_dict({"nbgrader": about})
    node.metadata.nbgrader.checksum = compute_checksum(node)
    return node


def _student_node(cell: Handed, asked: Cell | None) -> Any:
    """Make a cell with a student's text."""
    from nbconvert.preprocessors.sanitize import SanitizeHTML
    from nbformat import v4

    if asked:
        node = _node(asked, cell.source)
        if cell.cell_type != asked.cell_type and cell.cell_type == "markdown":
            node = v4.new_markdown_cell(cell.source, metadata=node.metadata)
    elif cell.cell_type == "code":
        node = v4.new_code_cell(cell.source)
    else:
        node = v4.new_markdown_cell(cell.source)
    # code is shown as text; in a text nothing but plain markup may stay
    if node.cell_type != "code" and TAG.search(node.source):
        node, _ = SanitizeHTML().preprocess_cell(node, {}, 0)
    return node


def _answers(path: Path) -> list[tuple[str, str]]:
    """Read the student's cells of an autograded notebook, as (grade_id, text)."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (FileNotFoundError, ValueError, KeyError):
        return []
    return [_answer(cell) for cell in cells if not _is_locked(cell)]


def _is_locked(cell: Any) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get("locked"))


def _answer(cell: Any) -> tuple[str, str]:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", ""), _joined(cell["source"])


def _differs(task: Task, before: list[tuple[str, str]], made: Any) -> bool:
    """Tell whether what a human saw has changed: the answer, or for tests any of the answers."""
    now = [_answer(cell) for cell in made.cells if not _is_locked(cell)]
    if task.kind == "manual":
        return dict(before).get(task.grade_id) != dict(now).get(task.grade_id)
    return before != now
