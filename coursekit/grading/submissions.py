"""Find what was handed in: who each file is from, and which of several counts.

Nothing is unpacked and no link is followed. Names and contents come from strangers, so a file that
can't be used becomes a submission with a problem; none is dropped and none ends the run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import sys
import time
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from coursekit.grading.assignment import InvalidSubmissionError
from coursekit.grading.limits import GradingError

MAX_BYTES = 50 << 20  # of one notebook
MAX_ENTRIES = 200_000  # in a ZIP
MAX_FILES = 1_000  # looked at in the folder of one student
MAX_NAME = 120  # characters of a student's name
MAX_NAME_BYTES = 200  # systems take 255, and a number may follow
TIMESTAMP = "timestamp.txt"  # where nbgrader's exchange keeps the time of handing in

# Moodle names a student's folder, or each file if the instructor chose so, after the student:
# mod/assign/classes/downloader.php. It makes underscores in the name spaces.
MOODLE = re.compile(
    r"(?P<name>[^_]+)_(?P<id>[0-9]{1,18})_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.+))?_?",
    re.DOTALL,
)
# Canvas: lib/content_zipper.rb. The name is small letters without spaces, so that LATE stands out.
CANVAS = re.compile(
    r"(?:(?P<name>.+?)_)?(?:(?P<late>LATE)_)?(?P<id>[0-9]{1,18}|anon_[0-9A-Za-z]+)"
    r"_(?P<upload>[0-9]{1,18})_(?P<file>.+)",
    re.DOTALL,
)
COPY = re.compile(r"(?P<stem>.*?)(?:-(?P<canvas>\d{1,4})| ?\((?P<browser>\d{1,4})\))?", re.DOTALL)
SKIPPED = ("__MACOSX", "desktop.ini", "Thumbs.db")

WINDOWS_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
SAFE = re.compile(r"[A-Za-z0-9_@+(][A-Za-z0-9 ._@+()-]{0,79}")
DIGEST = re.compile(r".*-[0-9a-f]{12}")


@dataclass(frozen=True)
class Submission:
    """What a student handed in.

    Parameters
    ----------
    student : str
        The name, free of control characters and unlike that of any other student.
    origin : str
        Where it was found, for people.
    notes : tuple of str
        What the instructor should know, in plain words.
    problem : str
        Why there is nothing to grade; else empty.
    student_id : str
        Number in the learning platform, where the file name tells it.
    submitted : str
        When it was handed in, as nbgrader's exchange noted it; may be empty.
    """

    student: str
    origin: str
    notes: tuple[str, ...] = ()
    problem: str = ""
    student_id: str = ""
    submitted: str = ""
    content: Callable[[], bytes] = field(default=bytes, repr=False, compare=False)

    @property
    def is_there(self) -> bool:
        """Whether any notebook was handed in, be it readable or not."""
        return self.content is not bytes

    def read(self) -> bytes:
        """Give the notebook's bytes; they are not kept.

        Raises
        ------
        InvalidSubmissionError
            If it can't be read.
        """
        return self.content()


@dataclass(frozen=True)
class Entry:
    """A file in a folder or ZIP; `problem` says why it can't be read."""

    parts: tuple[str, ...]
    modified: float
    problem: str
    content: Callable[[], bytes]
    is_folder: bool = False

    @property
    def origin(self) -> str:
        """The name, for people."""
        return clean_name("/".join(self.parts), limit=400)


@dataclass
class Handed:
    """All that one student handed in."""

    name: str
    student_id: str = ""
    late: bool = False
    entries: list[tuple[Entry, str, int]] = field(default_factory=list)  # file name, upload number


def find(source: Path, assignment: str, notebook: str) -> list[Submission]:
    """List the submissions in a folder or ZIP.

    Understood are nbgrader's layout (``STUDENT/ASSIGNMENT/NAME.ipynb``, and the course folder that
    has it in ``submitted``), plain files (``STUDENT.ipynb``), and what Moodle and Canvas put into
    their ZIPs, unpacked or not. Of several submissions of a student the last counts.

    Parameters
    ----------
    source : Path
        The folder or ZIP.
    assignment, notebook : str
        Names; the notebook's is without ``.ipynb``.

    Returns
    -------
    list of Submission
        One for each student, in the order of their names.

    Raises
    ------
    GradingError
        If there is no submission.
    """
    try:
        entries = _entries(source, assignment)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise GradingError(f"{source} can't be read: {error}.") from None
    students = _by_student(entries)
    if not students:
        raise GradingError(
            f"{source} holds no submissions. Wanted: STUDENT/{assignment}/{notebook}.ipynb, "
            "STUDENT.ipynb, or a ZIP of Moodle or Canvas."
        )
    names = _distinct_names(students)
    found = [
        _submission(handed, name, notes, assignment, notebook)
        for handed, (name, notes) in zip(students, names, strict=True)
    ]
    return sorted(found, key=lambda submission: (submission.student.casefold(), submission.student))


# ---- Files


def _entries(source: Path, assignment: str) -> list[Entry]:
    """List the files of a folder or ZIP, or the one notebook that `source` is."""
    if source.is_dir():
        inside = source / "submitted"
        return list(_walk(inside if inside.is_dir() else source))
    if source.suffix.lower() == ".ipynb" and source.is_file():
        return [_file_entry(source, (source.name,))]
    if not source.is_file():
        raise GradingError(f"There is no folder or ZIP {source}.")
    return _without_wrapper(list(_unzip(source)), assignment)


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED or not name


def _walk(root: Path) -> Iterator[Entry]:
    """List a folder's files, few of each student."""
    for path in sorted(root.iterdir()):
        if _is_skipped(path.name):
            continue
        if not path.is_dir() or _is_link(path):
            yield _file_entry(path, (path.name,))
            continue
        yield Entry((path.name,), 0.0, "", bytes, is_folder=True)
        found = 0
        for folder, folders, files in os.walk(path):  # follows no links
            folders[:] = sorted(name for name in folders if not _is_skipped(name))
            here = Path(folder)
            for name in [*folders, *sorted(files)]:
                parts = (here / name).relative_to(root).parts
                if name in folders and not _is_link(here / name):
                    yield Entry(parts, 0.0, "", bytes, is_folder=True)
                elif not _is_skipped(name):
                    yield _file_entry(here / name, parts)
                found += 1
            if found > MAX_FILES:
                break


def _is_link(path: Path) -> bool:
    is_junction = getattr(os.path, "isjunction", lambda path: False)  # Windows, Python 3.12
    return path.is_symlink() or is_junction(path)


def _file_entry(path: Path, parts: tuple[str, ...]) -> Entry:
    try:
        about = path.lstat()
    except OSError as error:
        return Entry(parts, 0.0, f"It can't be read: {error.strerror}.", bytes)
    problem = ""
    if _is_link(path):
        problem = "It is a link, and links are not followed."
    elif not stat.S_ISREG(about.st_mode):
        problem = "It is not a file."
    elif about.st_size > MAX_BYTES:
        problem = f"The file has more than {MAX_BYTES >> 20} MiB."
    return Entry(parts, about.st_mtime, problem, functools.partial(_read_file, path))


def _read_file(path: Path) -> bytes:
    """Read a plain file; not a link or pipe that has taken its place."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidSubmissionError("It is not a file.")
            return _bounded(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise InvalidSubmissionError(f"It can't be read: {error.strerror}.") from None


def _bounded(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise InvalidSubmissionError(f"The file has more than {MAX_BYTES >> 20} MiB.")
    return content


def _unzip(path: Path) -> Iterator[Entry]:
    """List a ZIP's files. It stays open, and its files are read when they are wanted."""
    archive = zipfile.ZipFile(path)
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise GradingError(f"{path} has more than {MAX_ENTRIES} files.")
    for info in infos:
        parts = tuple(part for part in re.split(r"[/\\]", info.filename) if part not in ("", "."))
        if not parts or any(map(_is_skipped, (part for part in parts if part != ".."))):
            continue
        # an absolute name or one with .. is a trap for who unpacks it; of nobody we know
        if ".." in parts or info.filename[:1] in "/\\" or re.match("[A-Za-z]:", info.filename):
            parts, problem = (info.filename,), "Its name in the ZIP leads out of the folder."
        else:
            problem = _zip_problem(info)
        content = functools.partial(_read_zipped, archive, info)
        yield Entry(parts, _zip_time(info), problem, content, info.is_dir())


def _zip_problem(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "It is a link, and links are not followed."
    if info.flag_bits & 1:
        return "It is encrypted."
    if info.file_size > MAX_BYTES:
        return f"The file has more than {MAX_BYTES >> 20} MiB."
    # the others may grow a thousandfold in one read
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "It is compressed in an unusual way."
    return ""


def _zip_time(info: zipfile.ZipInfo) -> float:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return 0.0


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a file of a ZIP; what it claims of its size is not believed."""
    try:
        with archive.open(info) as file:
            return _bounded(file.read(MAX_BYTES + 1))
    except Exception as error:  # zipfile and zlib raise many kinds for a file that is broken
        raise InvalidSubmissionError(f"It can't be taken out of the ZIP: {error}") from None


def _without_wrapper(entries: list[Entry], assignment: str) -> list[Entry]:
    """Take away the folder in which a ZIP holds everything, if there is one."""

    def is_known(entries: list[Entry]) -> bool:
        by_nbgrader = any(entry.parts[1:2] == (assignment,) for entry in entries)
        return by_nbgrader or _platform(entries) is not None

    inside = [replace(entry, parts=entry.parts[1:]) for entry in entries if len(entry.parts) > 1]
    if len({entry.parts[0] for entry in entries}) > 1 or is_known(entries):
        return entries
    flat = [entry for entry in inside if len(entry.parts) == 1 and _is_notebook(entry.parts[0])]
    return inside if is_known(inside) or len(flat) > 1 else entries


# ---- Students


def _is_notebook(name: str) -> bool:
    return name.lower().endswith(".ipynb")


def _platform(entries: list[Entry]) -> re.Pattern[str] | None:
    """Tell which learning platform named the files: one odd name among others proves nothing."""
    names = {entry.parts[0] for entry in entries}
    for pattern in (MOODLE, CANVAS):
        if 2 * sum(bool(pattern.fullmatch(name)) for name in names) > len(names):
            return pattern
    return None


def _by_student(entries: list[Entry]) -> list[Handed]:
    """Sort files by who handed them in."""
    platform = _platform(entries)
    students: dict[tuple[str, ...], Handed] = {}
    for entry in entries:
        first, file = entry.parts[0], entry.parts[-1]
        match = platform.fullmatch(first) if platform else None
        if match:
            about = match.groupdict()
            handed = students.setdefault(
                ("id", about["id"]), Handed(about["name"] or about["id"], about["id"])
            )
            handed.late |= bool(about.get("late"))
            if len(entry.parts) == 1:
                file = about["file"] or ""
            if about.get("kind", "file") == "file" and not entry.is_folder:
                handed.entries.append((entry, file, int(about.get("upload") or 0)))
            continue
        if len(entry.parts) == 1 and _is_notebook(first):
            name = first[: -len(".ipynb")]
        elif len(entry.parts) > 1 or entry.is_folder or entry.problem:
            name = first
        else:
            continue
        if platform:
            problem = "Its name is not one that the learning platform makes."
            entry = replace(entry, problem=entry.problem or problem)
        students.setdefault(("name", name), Handed(name)).entries.append((entry, file, 0))
    return list(students.values())


def _submission(
    handed: Handed, student: str, notes: list[str], assignment: str, notebook: str
) -> Submission:
    """Choose the file that counts."""
    if handed.late:
        notes.append("Handed in late, says Canvas.")
    files = [one for one in handed.entries if not one[0].is_folder]
    if handed.student_id:
        candidates = [one for one in files if _is_notebook(one[1])]
        named = [one for one in candidates if _stem(one[1]) == notebook.casefold()]
        candidates = named or candidates
    else:  # STUDENT.ipynb, STUDENT/ASSIGNMENT/NAME.ipynb, or a link in the place of these
        wanted = (assignment, f"{notebook}.ipynb")
        candidates = [one for one in files if one[0].parts[1:] == wanted[: len(one[0].parts) - 1]]
    if not candidates:
        return Submission(
            student,
            clean_name(handed.name),
            tuple(notes),
            _missing(handed, assignment, notebook),
            handed.student_id,
        )
    entry, file, _ = max(candidates, key=_age)
    if len(candidates) > 1:
        count = len(candidates)
        notes.append(f"{count} notebooks were handed in; {entry.origin} counts, the last.")
    if handed.student_id and _stem(file) != notebook.casefold():
        notes.append(f"The notebook was handed in as {clean_name(file)}.")
    return Submission(
        student,
        entry.origin,
        tuple(notes),
        entry.problem,
        handed.student_id,
        _submitted(handed, assignment),
        entry.content,
    )


def _stem(file: str) -> str:
    """Give the name of a notebook without the number that platforms and browsers add."""
    match = COPY.fullmatch(file[: -len(".ipynb")])
    return match["stem"].casefold() if match else ""


def _age(candidate: tuple[Entry, str, int]) -> tuple[int, float, int, str]:
    """Give what grows from one submission of a student to the next."""
    entry, file, upload = candidate
    match = COPY.fullmatch(file[: -len(".ipynb")])
    number = int((match and (match["canvas"] or match["browser"])) or 0)
    return upload, entry.modified, number, file


def _missing(handed: Handed, assignment: str, notebook: str) -> str:
    files = [clean_name(entry.parts[-1]) for entry, _, _ in handed.entries if not entry.is_folder]
    there = ", ".join(files[:3]) + ", …" * (len(files) > 3)
    wanted = "notebook" if handed.student_id else f"{assignment}/{notebook}.ipynb"
    return f"There is no {wanted}; " + (f"handed in: {there}." if files else "nothing is there.")


def _submitted(handed: Handed, assignment: str) -> str:
    for entry, _, _ in handed.entries:
        if entry.parts[1:] == (assignment, TIMESTAMP) and not entry.problem:
            with contextlib.suppress(InvalidSubmissionError):
                return clean_name(entry.content()[:100].decode("utf-8", "replace"))
    return ""


# ---- Names


def clean_name(name: str, limit: int = MAX_NAME) -> str:
    """Make a stranger's name printable: composed characters, none that hide or turn text.

    Parameters
    ----------
    name : str
        Any text.
    limit : int
        Most characters to keep.
    """
    kept = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cs" else c
        for c in unicodedata.normalize("NFC", name)
        if unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Co", "Cn")
    )
    return " ".join(kept.split())[:limit].strip() or "unnamed"


def _student_name(name: str) -> str:
    """Make a name that can be a student's in nbgrader, where it names a folder, too."""
    name = re.sub(r'[/\\:*?"<>|]', "_", clean_name(name))
    name = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip(". ") or "unnamed"
    return f"{name}_" if sys.platform == "win32" and WINDOWS_RESERVED.fullmatch(name) else name


def _distinct_names(students: list[Handed]) -> list[tuple[str, list[str]]]:
    """Give each student a name that no other has, whatever the case of letters, and notes."""
    names = [_student_name(handed.name) for handed in students]
    counts = Counter(name.casefold() for name in names)
    for index, handed in enumerate(students):
        if counts[names[index].casefold()] > 1 and handed.student_id:
            names[index] += f" ({handed.student_id})"
    # who has a name by right keeps it; else the order of the raw names decides
    order = sorted(
        range(len(students)), key=lambda i: (names[i] != students[i].name, students[i].name)
    )
    taken: dict[str, int] = {}
    for index in order:
        taken.setdefault(safe_name(names[index]).casefold(), index)
    owners = set(taken.values())
    for index in (index for index in order if index not in owners):
        wanted, number = names[index], 1
        while safe_name(names[index]).casefold() in taken:
            number += 1
            names[index] = f"{wanted} ({number})"
        taken[safe_name(names[index]).casefold()] = index
    renamed = "Called {!r} here; it was {!a}."
    return [
        (name, [] if name == handed.name else [renamed.format(name, handed.name[:200])])
        for handed, name in zip(students, names, strict=True)
    ]


def safe_name(student: str) -> str:
    """Give a student's name as a file name that every system takes, without ending.

    Different students get different files. Names that are safe stay as they are; others are
    reduced to letters, and a hash tells them apart.
    """
    if (
        SAFE.fullmatch(student)
        and student[-1] not in ". "
        and not WINDOWS_RESERVED.fullmatch(student)
        and not DIGEST.fullmatch(student)
    ):
        return student
    plain = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode()
    letters = re.sub(r"[^A-Za-z0-9]+", "_", plain)[:60].strip("_") or "student"
    digest = hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{letters}-{digest}"
