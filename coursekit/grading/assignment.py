"""The instructor's notebook, and what is to be run for a submission.

The source says what is graded. A submission only brings the students' cells: they are found by
their ``grade_id``; test cells and read-only cells always come from the source. Everything that a
submission says about points, locks or tests is ignored.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit import notebooks
from coursekit.grading.limits import GradingError

SCHEMA = 3  # of nbgrader's metadata
MAX_CELLS = 5_000
MAX_SOURCE = 10 << 20  # characters in all cells of a submission
CELL_TYPES = ("code", "markdown", "raw")
REGION = re.compile(r"###\s*(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
AUTOTEST = re.compile(r"^\s*#.*\bAUTOTEST\b", re.MULTILINE)
COMPLEX = re.compile(r"complex|\d[jJ]\b|\.imag\b|conj|fft|roots|eig|emath|np\.angle|STFT|stft")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


class InvalidSubmissionError(Exception):
    """A submission that can't be read as a notebook; the message says why."""


@dataclass(frozen=True)
class Cell:
    """A cell of the source.

    Parameters
    ----------
    kind : str
        "plain", "answer" (graded by tests), "tests", "locked" (read-only), "manual" (an answer
        that a human grades) or "task" (nbgrader's cell of that type).
    cell_type : str
        "code", "markdown" or "raw".
    grade_id : str
        Its name; empty for plain cells.
    source, released : str
        Its text, and the text that students get.
    points : float
        Its worth.
    title : str
        The heading above it.
    hint : str
        From ``metadata.coursekit.hint``.
    """

    kind: str
    cell_type: str
    grade_id: str
    source: str
    released: str
    points: float = 0.0
    title: str = ""
    hint: str = ""

    @property
    def is_graded(self) -> bool:
        """Whether it is worth points."""
        return self.kind in ("tests", "manual", "task")

    @property
    def statements(self) -> list[ast.stmt]:
        """What Python runs; nothing if it is no code, or no Python."""
        if self.cell_type != "code":
            return []
        try:
            return ast.parse(as_python(self.source)).body
        except (SyntaxError, ValueError):
            return []


@dataclass(frozen=True)
class Assignment:
    """What is graded, and how.

    Parameters
    ----------
    name : str
        Name of the assignment: the source's folder.
    notebook : str
        Name of the notebook, without ``.ipynb``.
    cells : tuple of Cell
        The source.
    digest : str
        Hash of all that can change a grade.
    path : Path
        Where the source is.
    """

    name: str
    notebook: str
    cells: tuple[Cell, ...]
    digest: str
    path: Path = field(compare=False)

    @property
    def graded(self) -> list[Cell]:
        """The cells that are worth points."""
        return [cell for cell in self.cells if cell.is_graded]

    @functools.cached_property
    def imports(self) -> list[str]:
        """The import statements at the top level of the source's code cells."""
        found = {
            ast.unparse(node): None
            for cell in self.cells
            for node in cell.statements
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        return list(found)

    @functools.cached_property
    def modules(self) -> list[str]:
        """The modules that the source imports, for importing them once, in advance."""
        found: dict[str, None] = {}
        for node in (
            node
            for cell in self.cells
            for statement in cell.statements
            for node in ast.walk(statement)
        ):
            if isinstance(node, ast.Import):
                found |= dict.fromkeys(name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module] = None
                # a name that is imported may be a module; one that is not is passed over
                found |= dict.fromkeys(f"{node.module}.{name.name}" for name in node.names)
        return list(found)

    @functools.cached_property
    def own_classes(self) -> list[str]:
        """The classes that the answers define."""
        return sorted(
            node.name
            for cell in self.cells
            if cell.kind in ("answer", "manual", "plain")
            for node in cell.statements
            if isinstance(node, ast.ClassDef)
        )

    @property
    def uses_complex(self) -> bool:
        """Whether its code speaks of complex numbers; else no answer is one."""
        return any(COMPLEX.search(cell.source) for cell in self.cells if cell.cell_type == "code")


def read_assignment(path: Path) -> Assignment:
    """Read the instructor's notebook.

    Parameters
    ----------
    path : Path
        A notebook with nbgrader's metadata (schema 3), in its source or its released form.

    Raises
    ------
    GradingError
        If it can't be graded; the message says why.
    """
    try:
        notebook = notebooks.read(path)
    except notebooks.NotebookError as error:
        raise GradingError(str(error)) from None
    _check_schema(notebook, path)
    try:
        released = _released(notebook)
    except notebooks.NotebookError as error:
        raise GradingError(f"{path}: {error}") from None
    _check_language(notebook, path)
    cells, title = [], ""
    for cell, handed_out in zip(notebook.cells, released.cells, strict=True):
        if cell.cell_type == "markdown" and not cell.metadata.get("nbgrader", {}).get("solution"):
            title = next(iter(HEADING.findall(cell.source)), title)
        cells.append(_read_cell(cell, handed_out, title))
    names = [cell.grade_id for cell in cells if cell.grade_id]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled:
        raise GradingError(f"{path}: two cells have the grade_id {doubled}; give one another name.")
    if not any(cell.is_graded for cell in cells):
        raise GradingError(
            f"{path}: no cell is graded; grade the notebook that has nbgrader's tests."
        )
    unmade = next((cell for cell in cells if AUTOTEST.search(cell.source)), None)
    if unmade:
        raise GradingError(
            f"{path}: {unmade.grade_id} has AUTOTEST lines, which are not supported; "
            "write plain asserts."
        )
    path = path.resolve()
    return Assignment(path.parent.name, path.stem, tuple(cells), _digest(cells), path)


def _released(notebook: Any) -> Any:
    """Give what students got. A notebook without solutions in it is that already."""
    if not any(REGION.search(cell.source) for cell in notebook.cells):
        return notebook
    from coursekit.grading import release

    return release.without_answers(copy.deepcopy(notebook))


def _check_schema(notebook: Any, path: Path) -> None:
    """Refuse metadata that older or newer versions of nbgrader have written."""
    for cell in notebook.cells:
        about = cell.metadata.get("nbgrader")
        version = about.get("schema_version", 0) if about else SCHEMA
        if version != SCHEMA:
            advice = f"nbgrader update {path}" if version < SCHEMA else "coursekit has to be newer"
            raise GradingError(
                f"{path}: nbgrader's metadata have version {version}, not {SCHEMA}: {advice}."
            )


def _check_language(notebook: Any, path: Path) -> None:
    about = notebook.metadata
    language = about.get("kernelspec", {}).get("language") or about.get("language_info", {}).get(
        "name", "python"
    )
    if language.lower() not in ("python", "python3", "ipython"):
        raise GradingError(f"{path}: written in {language}; only Python can be graded.")


def _read_cell(cell: Any, handed_out: Any, title: str) -> Cell:
    about = cell.metadata.get("nbgrader", {})
    kind = _kind(cell.cell_type, about)
    return Cell(
        kind=kind,
        cell_type=cell.cell_type,
        grade_id=about.get("grade_id", "") if kind != "plain" else "",
        source=cell.source,
        released=handed_out.source,
        points=float(about.get("points", 0)) if kind in ("tests", "manual", "task") else 0.0,
        title=title or about.get("grade_id", ""),
        hint=str(cell.metadata.get("coursekit", {}).get("hint", "")),
    )


def _kind(cell_type: str, about: dict[str, Any]) -> str:
    if about.get("task"):
        return "task"
    if about.get("grade"):
        by_tests = cell_type == "code" and not about.get("solution")
        return "tests" if by_tests else "manual"
    if about.get("solution"):
        return "answer"
    return "locked" if about.get("locked") else "plain"


def _digest(cells: Iterable[Cell]) -> str:
    content = [[c.kind, c.cell_type, c.grade_id, c.source, c.points] for c in cells]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


# ---- What Python says of a cell


def as_python(source: str) -> str:
    """Turn IPython's magics and shell lines into plain Python, as IPython does."""
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def bound_names(source: str) -> list[str]:
    """List the names that a cell binds at its top level, imports apart.

    A cell that is no Python binds nothing.
    """
    try:
        tree = ast.parse(as_python(source))
    except (SyntaxError, ValueError):
        return []
    return sorted(set(_bound(tree)))


def _bound(node: ast.AST) -> Iterator[str]:
    """List the names that a node binds in the scope that it stands in, imports apart.

    `symtable` would do, but since Python 3.12 it counts the variables of comprehensions.
    """
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
            return
        case ast.Lambda() | ast.Import() | ast.ImportFrom():
            return
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            inner = (below for below in ast.walk(node) if isinstance(below, ast.NamedExpr))
            yield from (below.target.id for below in inner)  # := binds outside
            return
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


# ---- A submission


@dataclass
class Plan:
    """What is to be run for a submission, and what was noticed.

    Parameters
    ----------
    steps : list of dict
        As `checker.run` takes them.
    answers : dict of str to str or None
        The text of each manual answer by grade_id; None if it was left as handed out.
    notes, tampering : list of str
        In plain words.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tampering: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Handed:
    """A cell that a student handed in."""

    cell_type: str
    grade_id: str
    source: str


def plan(assignment: Assignment, content: bytes) -> Plan:
    """Say what is to be run for a submission.

    The cells of the source are run in the source's order, wherever they stand in the submission,
    so that no mark depends on a moved cell. A cell that only the student has follows the one that
    it follows in the submission.

    Parameters
    ----------
    assignment : Assignment
        What is graded.
    content : bytes
        The file that was handed in.

    Raises
    ------
    InvalidSubmissionError
        If that is no notebook.
    """
    handed = read_submission(content)
    kinds = {cell.grade_id: cell.kind for cell in assignment.cells if cell.grade_id}
    first: dict[str, Handed] = {}
    followers: dict[str, list[Handed]] = {"": []}
    place = ""
    for cell in handed:
        if cell.grade_id in kinds and cell.grade_id not in first:
            place = cell.grade_id
            first[place] = cell
            followers[place] = []
        elif kinds.get(cell.grade_id) not in ("tests", "locked"):  # of those, copies are nothing
            followers[place].append(cell)
    made = Plan()
    _note_differences(assignment, handed, first, made)
    steps = list(_steps(assignment, first, followers))
    made.steps = [{"index": index, **step} for index, step in enumerate(steps)]
    for asked in assignment.cells:
        if asked.kind in ("manual", "task"):
            made.answers[asked.grade_id] = _answer(asked, first, followers, made)
    return made


def read_submission(content: bytes) -> list[Handed]:
    """Read the cells of a file from a stranger.

    Raises
    ------
    InvalidSubmissionError
        If it is no notebook.
    """
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidSubmissionError("The file is not a notebook: it is not text.") from None
    except RecursionError:
        raise InvalidSubmissionError("The file is nested too deeply for a notebook.") from None
    except ValueError as error:
        reason = str(error).splitlines()[0]
        if b"<<<<<<<" in content:
            reason = "it has conflict marks of git"
        raise InvalidSubmissionError(f"The file is not a notebook: {reason}.") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        old = isinstance(notebook, dict) and "worksheets" in notebook
        raise InvalidSubmissionError(
            "The notebook has an old format: open it in JupyterLab and save it again."
            if old
            else "The file is not a notebook: it has no cells."
        )
    if len(cells) > MAX_CELLS:
        raise InvalidSubmissionError(f"The notebook has {len(cells)} cells; {MAX_CELLS} at most.")
    handed = [cell for cell in map(_read_handed, cells) if cell]
    if sum(len(cell.source) for cell in handed) > MAX_SOURCE:
        raise InvalidSubmissionError(f"The cells have more than {MAX_SOURCE} characters of text.")
    return handed


def _read_handed(cell: Any) -> Handed | None:
    if not isinstance(cell, dict):
        return None
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str):
        return None
    metadata = cell.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = about.get("grade_id") if isinstance(about, dict) else None
    # lone surrogates can't be written anywhere
    source = source.encode("utf-8", "replace").decode("utf-8")
    cell_type = cell.get("cell_type")
    cell_type = cell_type if cell_type in CELL_TYPES else "no cell"
    return Handed(cell_type, grade_id if isinstance(grade_id, str) else "", source)


def _steps(
    assignment: Assignment, first: dict[str, Handed], followers: dict[str, list[Handed]]
) -> Iterator[dict[str, Any]]:
    """Give the steps without their index."""
    yield from map(_student_step, _code(followers[""]))
    # Of the source's plain cells, which can't be found by name, and of missing ones.
    plain_names: list[str] = []
    for cell in assignment.cells:
        handed = first.get(cell.grade_id)
        if cell.kind == "plain":
            plain_names += bound_names(cell.source) if cell.cell_type == "code" else []
        elif cell.kind == "tests":
            yield {
                "kind": "tests",
                "grade_id": cell.grade_id,
                "source": cell.source,
                "released": cell.released,
                "points": cell.points,
                "binds": sorted(set(plain_names)),
            }
            plain_names = []
        elif cell.kind == "locked" and cell.cell_type == "code":
            names = bound_names(cell.source)
            about = {"grade_id": cell.grade_id, "source": cell.source, "binds": names}
            yield {"kind": "trusted", **about}
        elif handed and handed.cell_type == "code":
            names = bound_names(cell.source) if cell.cell_type == "code" else []
            yield _student_step(handed, [*plain_names, *names])
            plain_names = []
        elif cell.cell_type == "code":  # it is missing: its names are the student's all the same
            plain_names += bound_names(cell.source)
        if cell.kind != "plain":
            yield from map(_student_step, _code(followers.get(cell.grade_id, [])))


def _student_step(cell: Handed, binds: Iterable[str] = ()) -> dict[str, Any]:
    about = {"grade_id": cell.grade_id or None, "source": cell.source}
    return {"kind": "cell", **about, "binds": sorted(set(binds))}


def _code(cells: Iterable[Handed]) -> list[Handed]:
    return [cell for cell in cells if cell.cell_type == "code"]


def _answer(
    cell: Cell, first: dict[str, Handed], followers: dict[str, list[Handed]], made: Plan
) -> str | None:
    """Give the student's text for a human; None if nothing was done."""
    handed = first.get(cell.grade_id)
    if handed is None:
        made.notes.append(f"The cell {cell.grade_id} is missing: look for the answer elsewhere.")
        return ""
    if cell.kind == "task":  # its answer is in the cells below it
        texts = [follower.source.strip() for follower in followers[cell.grade_id]]
        return "\n\n".join(text for text in texts if text)
    copies = [
        f.source for cells in followers.values() for f in cells if f.grade_id == cell.grade_id
    ]
    untouched = cell.released.strip()
    texts = [text for text in (handed.source, *copies) if text.strip() != untouched]
    if not any(text.strip() for text in texts):
        return None
    return "\n\n".join(texts)


def _note_differences(
    assignment: Assignment, handed: list[Handed], first: dict[str, Handed], made: Plan
) -> None:
    """Compare the submission with what was handed out."""
    known = {cell.grade_id: cell for cell in assignment.cells if cell.grade_id}
    for name, cell in known.items():
        mine = first.get(name)
        what = {"tests": "test cell", "locked": "read-only cell"}.get(cell.kind)
        if mine is None:
            if cell.kind in ("tests", "answer"):
                made.notes.append(f"The {what or 'answer cell'} {name} is missing.")
        elif what and _lines(mine.source) not in (_lines(cell.released), _lines(cell.source)):
            made.tampering.append(f"The {what} {name} was changed; the original was used.")
        elif not what and mine.cell_type != cell.cell_type:
            made.notes.append(f"The cell {name} is {mine.cell_type}, no longer {cell.cell_type}.")
    counts: dict[str, int] = {}
    for given in handed:
        counts[given.grade_id] = counts.get(given.grade_id, 0) + 1
    for name, count in counts.items():
        if name in known and count > 1:
            made.notes.append(f"The cell {name} is there {count} times.")
        if name and name not in known:
            made.notes.append(f"There is a cell {name[:80]!r}, which the exercise does not have.")
    order = [name for name in known if name in first]
    if order != list(first):
        made.notes.append("Cells were moved; they were run in the order of the exercise.")


def _lines(text: str) -> list[str]:
    """Give what counts when texts are compared: editors change the space at the end of lines."""
    return [line.rstrip() for line in text.strip().splitlines()]
