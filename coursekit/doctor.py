"""Can the course run here? Each finding comes with what exactly to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.version import Version

from coursekit import course

GOOD, WARNS, STOPS = "good", "warns", "stops"
MARKS = {GOOD: ("green", "ok"), WARNS: ("yellow", "warning"), STOPS: ("red", "stops")}

FIRST_PYTHON, PYTHON_AFTER = (3, 11), (3, 14)
TENSORFLOW_SECONDS = 180.0  # the first import after an installation is slow
WANTED_MEMORY = 2 * 2**30  # TensorFlow and MNIST in one kernel, and a browser beside it
WANTED_DISK = 2**30
LEAST_DISK = 100 * 2**20  # below this JupyterLab soon cannot save
FRONT_ENDS = {"@jupyter-widgets/jupyterlab-manager": "ipywidgets", "anywidget": "anywidget"}

#: Who wants a GPU puts the full build in the place of the one for CPUs: docs/install.md.
STANDS_FOR = {"tensorflow-cpu": "tensorflow"}

#: A gradient and a matrix product: a broken installation fails here, not only at import.
TENSORFLOW_TRIAL = """
import tensorflow as tf
w = tf.Variable(5.0)
with tf.GradientTape() as tape:
    loss = (w + 1.0) ** 2
assert float(tape.gradient(loss, w)) == 12.0
assert float(tf.linalg.matmul(tf.ones((2, 3)), tf.ones((3, 2)))[0, 0]) == 3.0
print("TensorFlow", tf.__version__, "GPUs:", len(tf.config.list_physical_devices("GPU")))
"""


class Finding(NamedTuple):
    """One line of the table. `fix` is a command or a sentence, empty where nothing is wrong."""

    check: str
    level: str
    text: str
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Make all checks, one after the other, the slowest last."""
    yield python_version()
    yield platform_is_supported()
    files = course_files()
    yield files
    if files.level == STOPS:
        return  # the pins lie with the lectures: nothing else can be said before they are back
    yield from packages()
    yield front_ends()
    yield mnist()
    yield memory()
    yield disk()
    yield tensorflow_works()


# --- Python and the packages ---------------------------------------------------------------------


def python_version(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """Check that this Python is one the course supports."""
    text = f"{'.'.join(map(str, version))} ({sys.executable})"
    if FIRST_PYTHON <= version[:2] < PYTHON_AFTER:
        return Finding("Python", GOOD, text)
    fix = "Make an environment with one of them: uv venv --python 3.12"
    return Finding("Python", STOPS, f"{text}; the course needs 3.11, 3.12 or 3.13", fix)


def platform_is_supported(system: str = sys.platform, machine: str = platform.machine()) -> Finding:
    """Check that TensorFlow is made for this kind of computer."""
    made_for = {
        "linux": ("x86_64", "aarch64"),
        "darwin": ("arm64",),
        "win32": ("AMD64",),
    }
    if machine in made_for.get(system, ()):
        return Finding("Computer", GOOD, f"{system}, {machine}")
    return Finding(
        "Computer",
        STOPS,
        f"TensorFlow 2.21 is not made for {system} on {machine}",
        "Use a computer or an online notebook service with Linux, Windows x86-64 or macOS on "
        "Apple silicon: see docs/install.md.",
    )


def packages() -> Iterator[Finding]:
    """Check that every package is there, in a version the course allows, and as pinned."""
    pins = read_pins()
    installed = {name: _installed(name) for name in pins}
    missing, unfit = [], []
    for requirement in _requirements():
        version = _installed(requirement.name) or _installed(STANDS_FOR.get(requirement.name, ""))
        if version is None:
            missing.append(requirement.name)
        elif not requirement.specifier.contains(version, prereleases=True):
            unfit.append(f"{requirement.name} {version} (needs {requirement.specifier})")
    if missing or unfit:
        text = "; ".join(
            f"{word}: {', '.join(names)}"
            for word, names in (("missing", missing), ("unfit", unfit))
            if names
        )
        yield Finding("Packages", STOPS, text, install_command())
    others = [
        f"{name} {version} (pinned {pins[name]})"
        for name, version in installed.items()
        if version is not None and Version(version) != Version(pins[name])
    ]
    if others:
        text = "not as pinned: " + ", ".join(others[:5])
        text += f" and {len(others) - 5} more" if len(others) > 5 else ""
        yield Finding("Versions", WARNS, text, install_command())
    elif not (missing or unfit):
        count = sum(version is not None for version in installed.values())
        yield Finding("Packages", GOOD, f"{count} there, each as pinned")


def read_pins(file: Path | None = None) -> dict[str, str]:
    """Read the versions that the course was tested with on this kind of computer.

    Parameters
    ----------
    file : pathlib.Path, optional
        A constraints file; the course's own one if left out.

    Returns
    -------
    dict of str to str
        Package name → version.
    """
    file = file or constraints_file()
    pins = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if line:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                pins[requirement.name] = next(iter(requirement.specifier)).version
    return pins


def constraints_file() -> Path:
    """Give ``constraints.txt``: beside ``notebooks/`` in a clone and in the wheel alike."""
    return course.find_course().root / "constraints.txt"


def _requirements() -> list[Requirement]:
    """List what this package itself needs on this kind of computer, without its extras."""
    found = [Requirement(line) for line in metadata.requires("coursekit") or []]
    return [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]


def _installed(name: str) -> str | None:
    """Give the version of an installed package, None if there is none of that name."""
    try:
        return metadata.version(name) if name else None
    except metadata.PackageNotFoundError:
        return None


def _uv_keeps_it() -> bool:
    """Say whether this environment is the one that uv makes in a clone."""
    here = course.find_course()
    own = Path(sys.prefix).resolve() == (here.root / ".venv").resolve()
    return here.is_clone and own and shutil.which("uv") is not None


def install_command(*options: str) -> str:
    """Make the command that brings the packages to the pinned versions."""
    here = course.find_course()
    if _uv_keeps_it():
        return " ".join(["uv sync", *(f"--reinstall-package {name}" for name in options)])
    forced = "--force-reinstall --no-deps " if options else ""
    wanted = " ".join(options) or (f'-e "{here.root}"' if here.is_clone else "coursekit")
    return f'"{sys.executable}" -m pip install {forced}-c "{constraints_file()}" {wanted}'


# --- TensorFlow and JupyterLab -------------------------------------------------------------------


def tensorflow_works(trial: str = TENSORFLOW_TRIAL, seconds: float = TENSORFLOW_SECONDS) -> Finding:
    """Compute a gradient in a process of its own, since a broken TensorFlow can end a process."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", **os.environ}
    names = [r.name for r in _requirements() if r.name.startswith("tensorflow")]
    reinstall = install_command(*names)
    try:
        run = subprocess.run(
            [sys.executable, "-c", trial],
            env=environment,
            timeout=seconds,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        text = f"no answer within {seconds:.0f} s"
        return Finding("TensorFlow", STOPS, text, f"Close other programs, or: {reinstall}")
    if run.returncode == 0:
        return Finding("TensorFlow", GOOD, run.stdout.strip().splitlines()[-1] + ", computes right")
    lines = run.stderr.strip().splitlines()
    text = lines[-1][:200] if lines else f"its process ended with code {run.returncode}"
    return Finding("TensorFlow", STOPS, text, _mend_tensorflow(run.returncode, text, reinstall))


def _mend_tensorflow(code: int, text: str, reinstall: str) -> str:
    """Know the two failures that installing again does not mend."""
    if "DLL load failed" in text:
        return (
            "Install the Microsoft Visual C++ Redistributable (x64), restart Windows, and try "
            "again."
        )
    if code in (-4, 132, 0xC000001D):  # illegal instruction
        return "This processor lacks AVX, which TensorFlow needs: use another computer."
    return reinstall


def front_ends() -> Finding:
    """Check that JupyterLab finds the JavaScript of the widgets, as it looks for it itself."""
    try:
        from jupyter_core.paths import jupyter_path
        from jupyterlab_server.config import get_federated_extensions, get_page_config
    except ImportError as error:
        return Finding("JupyterLab", STOPS, f"not installed ({error})", install_command())
    folders = jupyter_path("labextensions")
    found = get_federated_extensions(folders)
    # Only what is switched off is listed, each name alone or with the plugin after a colon.
    disabled = set(get_page_config(folders).get("disabledExtensions", []))
    for name, package in FRONT_ENDS.items():
        if name not in found:
            text = f"does not find the front end of {package}"
            return Finding("JupyterLab", STOPS, text, install_command(package))
        if name in disabled:
            fix = f'"{sys.executable}" -m jupyter labextension enable {name}'
            return Finding("JupyterLab", STOPS, f"the front end of {package} is switched off", fix)
    versions = ", ".join(f"{name.split('/')[-1]} {found[name]['version']}" for name in FRONT_ENDS)
    return Finding("JupyterLab", GOOD, f"{_installed('jupyterlab')}, with {versions}")


# --- The course's files and the machine ----------------------------------------------------------


def course_files() -> Finding:
    """Check that the lectures are there."""
    try:
        here = course.find_course()
    except course.CourseError as error:
        return Finding("Course", STOPS, "the lectures are missing", str(error))
    kind = "a clone" if here.is_clone else "an installed package"
    count = len(course.lectures(here.root))
    return Finding("Course", GOOD, f"lectures: {count}, in {kind}: {here.root}")


def mnist() -> Finding:
    """Check that MNIST is on this machine, or can be fetched. The course runs without it."""
    from coursekit import datasets

    path = datasets.find_mnist()
    if path is not None:
        return Finding("MNIST", GOOD, f"checked, in {path}")
    folder = datasets.cache_folder()
    data = "uv run coursekit data" if _uv_keeps_it() else "coursekit data"
    if datasets.mirror_answers():
        text = f"not in the cache ({folder}) yet; a mirror answers"
        return Finding("MNIST", WARNS, text, data)
    return Finding(
        "MNIST",
        WARNS,
        f"not in the cache ({folder}), and no mirror answers: the lectures use the UCI digits",
        f"Run '{data}' with a network, or copy mnist.npz to {folder}, or set "
        "COURSEKIT_DATA to a folder that has it.",
    )


def memory() -> Finding:
    """Check that there is memory for a kernel with TensorFlow."""
    import psutil

    free = min(psutil.virtual_memory().available, container_memory())
    text = f"{free / 2**30:.1f} GiB free"
    if free >= WANTED_MEMORY:
        return Finding("Memory", GOOD, text)
    fix = "Close other programs, and shut down kernels that you no longer use."
    return Finding("Memory", WARNS, f"{text}; training wants {WANTED_MEMORY / 2**30:.0f}", fix)


def container_memory(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """Give what is left of a container's memory in bytes, infinity if there is no limit."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = (folder / "memory.current").read_text().strip()
        return float("inf") if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return float("inf")


def disk(folder: Path | None = None) -> Finding:
    """Check that there is room for the student's notebooks and models."""
    folder = folder or Path.cwd()
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free in {folder}"
    fix = "Empty the bin, remove what you no longer need, or work in a folder on another disk."
    if free < LEAST_DISK:
        return Finding("Disk", STOPS, f"{text}: JupyterLab cannot save", fix)
    if free < WANTED_DISK:
        return Finding("Disk", WARNS, text, fix)
    return Finding("Disk", GOOD, text)


# --- The report ----------------------------------------------------------------------------------


def show(findings: list[Finding]) -> None:
    """Print the table, and beneath it the fixes, unbroken so that they can be copied."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(show_lines=False)
    for heading in ("check", "result", "finding"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        colour, word = MARKS[finding.level]
        table.add_row(finding.check, Text(word, style=colour), Text(finding.text))
    console.print(table)
    for finding in findings:
        if finding.fix:
            colour, word = MARKS[finding.level]
            line = Text.assemble((f"{finding.check} ({word}): ", colour), finding.fix)
            console.print(line, soft_wrap=True)
    if not any(finding.fix for finding in findings):
        console.print("All is well: start with 'coursekit lab'.")
