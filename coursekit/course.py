"""Where the course's files are, the student's working copy of them, and the syllabus.

The package runs in two settings. In a *clone* it lies beside ``notebooks/`` and ``exercises/``;
installed from a *wheel* it carries both in ``coursekit/_course``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from coursekit.notebooks import CHAPTERS

PARTS = ("notebooks", "exercises")
LECTURE = re.compile(r"(\d\d)_([a-z0-9_]+)\.ipynb")
OWN_FOLDER = ".coursekit"  # in a working copy: the manifest, and JupyterLab's layout
SYLLABUS_BEGIN = "<!-- syllabus: made by `coursekit refresh` from the notebooks' metadata -->"
SYLLABUS_END = "<!-- end of syllabus -->"


class CourseError(RuntimeError):
    """The course cannot do what was asked. The message is one line and says what to do."""


class Course(NamedTuple):
    """The course's own files: `root` holds ``notebooks/`` and ``exercises/``."""

    root: Path
    is_clone: bool


class Laid(NamedTuple):
    """What `lay_out` did: paths below the working copy, with ``/``; `beside` are (yours, newer)."""

    new: list[str]
    updated: list[str]
    beside: list[tuple[str, str]]


def find_course(package: Path | None = None) -> Course:
    """Find the course's files.

    Parameters
    ----------
    package : pathlib.Path, optional
        The folder of the package; the running one if left out.

    Returns
    -------
    Course
        The clone that the package lies in, else the copy that came inside the wheel.

    Raises
    ------
    CourseError
        If there is neither.
    """
    package = package or Path(__file__).resolve().parent
    clone, carried = package.parent, package / "_course"
    if (clone / "pyproject.toml").is_file() and (clone / "notebooks").is_dir():
        return Course(clone, is_clone=True)
    if (carried / "notebooks").is_dir():
        return Course(carried, is_clone=False)
    raise CourseError(
        f"The lectures are missing beside {package}. Clone the course again, or reinstall it with "
        "'pip install --force-reinstall --no-deps coursekit'."
    )


def lectures(root: Path) -> list[Path]:
    """List the lecture notebooks below `root`, lowest number first."""
    return sorted(p for p in (root / "notebooks").glob("*.ipynb") if LECTURE.fullmatch(p.name))


# --- The working copy ----------------------------------------------------------------------------


def lay_out(course: Course, folder: Path) -> Laid:
    """Bring the notebooks and exercises into a working copy, without touching anyone's work.

    A file that is missing is laid down and one that is as it was laid down is updated. A changed
    one stays; if the course has a newer version, that is laid beside it, once. The manifest
    remembers the hash of the course's version that each file was last offered.

    Parameters
    ----------
    course : Course
        Where the files come from.
    folder : pathlib.Path
        The working copy. It is made if it is not there.

    Returns
    -------
    Laid
        What was laid down, updated, and laid beside a changed file.

    Raises
    ------
    CourseError
        If the folder is the course itself or cannot be written to.
    """
    if folder.resolve() == course.root.resolve():
        raise CourseError(
            f"{folder} is the course itself. Choose another --folder, or work on the originals "
            "with --source."
        )
    try:
        return _lay_out(course, folder)
    except OSError as error:
        raise CourseError(
            f"Cannot write to {error.filename or folder} ({error.strerror}). Choose another place "
            "with --folder."
        ) from error


def _lay_out(course: Course, folder: Path) -> Laid:
    manifest_file = folder / OWN_FOLDER / "manifest.json"
    offered = _read_manifest(manifest_file)
    laid = Laid([], [], [])
    for name, source in _files(course.root):
        content = source.read_bytes()
        _lay_one(folder, name, content, offered, laid)
        offered[name] = _hash(content)
    write_atomically(manifest_file, json.dumps(offered, indent=1, sort_keys=True).encode())
    return laid


def _lay_one(folder: Path, name: str, content: bytes, offered: dict[str, str], laid: Laid) -> None:
    """Decide about one file: lay it down, update it, leave it, or lay the newer one beside it."""
    target = folder / name
    if not target.exists():
        write_atomically(target, content)
        laid.new.append(name)
        return
    there, wanted, before = _hash(target.read_bytes()), _hash(content), offered.get(name)
    if there == wanted:
        return
    if there == before:
        write_atomically(target, content)
        laid.updated.append(name)
    elif wanted != before:
        newer = _free_name(folder, name, wanted, offered)
        write_atomically(folder / newer, content)
        offered[newer] = wanted
        laid.beside.append((name, newer))


def _free_name(folder: Path, name: str, wanted: str, offered: dict[str, str]) -> str:
    """Name the newer version: ``x.new.ipynb``, or ``x.new2.ipynb`` if that one was changed too."""
    path = Path(name)
    number = 1
    while True:
        count = "" if number == 1 else str(number)
        newer = path.with_name(f"{path.stem}.new{count}{path.suffix}").as_posix()
        there = folder / newer
        if not there.exists() or _hash(there.read_bytes()) in (wanted, offered.get(newer)):
            return newer
        number += 1


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Give every file that belongs in a working copy, with its name below `root`."""
    for part in PARTS:
        for path in sorted((root / part).rglob("*")):
            inside = path.relative_to(root)
            hidden = any(p.startswith((".", "__pycache__")) for p in inside.parts)
            if path.is_file() and not hidden:
                yield inside.as_posix(), path


def _read_manifest(path: Path) -> dict[str, str]:
    """Read name → hash. Without a readable manifest every differing file counts as changed."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside `path` that takes its place at the end, or is never seen."""
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=".part", dir=path.parent
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a working copy's files are as readable as any other new one
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half-written: another name first, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- The syllabus in README ----------------------------------------------------------------------


def lecture_metadata(notebook: Path) -> dict[str, Any]:
    """Read what a lecture says of itself: its slug, title, minutes, needs and promise.

    Raises
    ------
    CourseError
        If the notebook cannot be read, or lacks one of them.
    """
    try:
        metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["coursekit"]
        return {key: metadata[key] for key in ("slug", "title", "minutes", "needs", "promise")}
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"{notebook.name}: metadata.coursekit lacks {error}; it needs slug, title, minutes, "
            "needs and promise."
        ) from error


def syllabus_table(root: Path) -> str:
    """Make the Markdown table of the lectures below `root` from their own metadata."""
    lines = ["| # | lecture | what it promises | time | needs |", "| --- | --- | --- | --- | --- |"]
    number_of = {slug: f"{number:02d}" for number, slug in enumerate(CHAPTERS)}
    for path in lectures(root):
        about = lecture_metadata(path)
        needs = ", ".join(number_of.get(slug, slug) for slug in about["needs"]) or "–"
        link = f"[{about['title']}](notebooks/{path.name})"
        cells = [path.stem[:2], link, about["promise"], f"{about['minutes']} min", needs]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def with_syllabus(readme: str, table: str) -> str:
    """Put the table between README's two markers.

    Raises
    ------
    CourseError
        If a marker is missing.
    """
    before, begin, rest = readme.partition(SYLLABUS_BEGIN)
    _, end, after = rest.partition(SYLLABUS_END)
    if not (begin and end):
        raise CourseError(f"README.md lacks the lines '{SYLLABUS_BEGIN}' and '{SYLLABUS_END}'.")
    return f"{before}{begin}\n{table}\n{end}{after}"


def update_syllabus(root: Path) -> bool:
    """Bring README's table up to date with the notebooks; say whether anything changed."""
    readme = root / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = with_syllabus(old, syllabus_table(root))
    if new != old:
        write_atomically(readme, new.encode())
    return new != old
