"""The ``coursekit`` command as a student meets it: in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coursekit import cli, course, datasets, doctor, server

PACKAGE = Path(course.__file__).parent
LECTURES = ("04_learning_rate", "11_sequential_mnist")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small clone of the course, with the real command and two empty lectures."""
    root = tmp_path / "clone"
    return make_course(root / "coursekit", root, "pyproject.toml")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder that a wheel of the course was installed into."""
    site = tmp_path / "site-packages"
    make_course(site / "coursekit", site / "coursekit" / "_course", "constraints.txt")
    return site


def make_course(package: Path, root: Path, *more: str) -> Path:
    package.mkdir(parents=True)
    modules = ("__init__", "cli", "contents", "course", "notebooks", "server", "terminal")
    for name in [f"{module}.py" for module in modules]:
        shutil.copy(PACKAGE / name, package)
    for name in ("grading", "jupyter", "kernels"):
        shutil.copytree(PACKAGE / name, package / name)
    exercise = "exercises/04_learning_rate/learning_rate"
    for name in (*(f"notebooks/{name}" for name in LECTURES), exercise):
        file = root / f"{name}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    for name in more:
        (root / name).touch()
    return root


def run(where: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coursekit.cli", *arguments]
    return subprocess.run(
        command,
        cwd=where,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        **options,
    )


class Lab:
    """``coursekit lab --no-browser`` while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put("")

    def wait_for(self, pattern: str) -> re.Match[str]:
        while True:
            line = self._queue.get(timeout=60)
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
            assert line, f"ended without {pattern!r}: {self.lines}"

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        while line := self._queue.get(timeout=10):
            self.lines.append(line)
        return code


@contextlib.contextmanager
def running(where: Path, *arguments: str, path: Path | None = None) -> Iterator[Lab]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    environment |= {"PYTHONPATH": str(path or where), "JUPYTER_RUNTIME_DIR": str(where / "runtime")}
    environment |= {"JUPYTER_CONFIG_DIR": str(where / "config"), "PYTHONUTF8": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "coursekit.cli", "lab", "--no-browser", *arguments],
        cwd=where,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        yield Lab(process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        assert process.stdout
        process.stdout.close()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


# --- coursekit lab -------------------------------------------------------------------------------

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@posix_only
def test_lab_in_a_clone(clone: Path) -> None:
    with running(clone, "--ServerApp.terminals_enabled=False") as lab:
        url = lab.wait_for(r"http://\S+").group()
        base, token = re.fullmatch(
            r"(http://[^/]+/)lab/tree/notebooks/04_learning_rate\.ipynb\?token=(\w+)", url
        ).groups()
        assert get(f"{base}api?token={token}")["version"]
        names = {e["name"] for e in get(f"{base}api/contents?token={token}")["content"]}
        assert names == {"notebooks", "exercises"}  # the working copy, not the clone
        page = urllib.request.urlopen(url, timeout=20).read().decode()
        assert "@jupyterlab/apputils-extension:announcements" in page.split("disabledExt")[1]
        with pytest.raises(urllib.error.HTTPError):  # the option after ours was passed on
            get(f"{base}api/terminals?token={token}")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(f"{base}api/contents")
        code = lab.end(signal.SIGINT)
    assert code == 0
    said = [line.split()[0] for line in lab.lines if line]
    quiet = [f"{clone / 'my-course'}:", "Starting", "The", "Your", "JupyterLab"]
    warning = ["Warning:"] if os.geteuid() == 0 else []
    assert said == [*quiet[:1], *warning, *quiet[1:]], lab.lines
    with pytest.raises(urllib.error.URLError):
        get(f"{base}api")
    assert (clone / "my-course" / "notebooks" / "04_learning_rate.ipynb").is_file()


@posix_only
def test_lab_of_an_installed_course(installed: Path, tmp_path: Path) -> None:
    with running(tmp_path, path=installed) as lab:
        lab.wait_for("lab/tree/notebooks/04_learning_rate.ipynb")
        assert lab.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert (tmp_path / "coursekit-course" / "notebooks" / "04_learning_rate.ipynb").is_file()
    assert not list((tmp_path / "runtime").glob("jpserver-*.json"))  # the server ended in order


def test_lab_says_what_jupyterlab_complains_about(clone: Path) -> None:
    result = run(clone, "lab", "--no-browser", "--no-such-option")
    assert result.returncode == 2
    assert "--no-such-option" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("coursekit: JupyterLab stopped at once")


def test_newer_lecture_is_said_in_one_line(clone: Path, capsys: pytest.CaptureFixture) -> None:
    here = course.Course(clone, is_clone=True)
    course.lay_out(here, clone / "mine")
    for folder in (clone, clone / "mine"):
        (folder / "notebooks" / "04_learning_rate.ipynb").write_text(str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "find_course", lambda: here)
        assert cli._prepare(False, clone / "mine") == clone / "mine"
    assert capsys.readouterr().out == (
        "notebooks/04_learning_rate.ipynb is changed and stays; the newer version is beside it: "
        "notebooks/04_learning_rate.new.ipynb\n"
    )


def test_source_opens_the_originals(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "find_course", lambda: course.Course(clone, is_clone=True))
    assert cli._prepare(True, None) == clone
    assert not (clone / "my-course").exists()


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert server.choose_port() != taken
        with pytest.raises(course.CourseError, match=f"Port {taken} is taken"):
            server.choose_port(taken)


def test_kernels_get_a_quiet_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    environment = server.lab_environment(tmp_path, "secret")
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert environment["TF_ENABLE_ONEDNN_OPTS"] == "1"  # what the user has set wins
    assert environment["JUPYTER_TOKEN"] == "secret"


# --- The user's mistakes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lba"], "No such command 'lba'"),
        (["doctor", "--verbose"], "--verbose"),
        (["lab", "--port", "many"], "--port"),
        (["lab", "--port", "70000"], "--port"),
        (["lab", "--source", "--folder", "x"], "not both"),
        (["lab", "--folder", "."], "is the course itself"),
        (["lab", "--folder", "pyproject.toml"], "--folder"),
        (["release"], "Name a chapter"),
    ],
)
def test_mistakes_get_one_line(
    clone: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(clone)
    monkeypatch.setattr(course, "find_course", lambda: course.Course(clone, is_clone=True))
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("coursekit: ")
    assert says in result.stderr


def test_source_needs_a_clone(installed: Path, tmp_path: Path) -> None:
    result = run(tmp_path, "lab", "--source", env={**os.environ, "PYTHONPATH": str(installed)})
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "coursekit: --source needs a clone of the course; here it is installed as a package."
    ]


# --- coursekit data and doctor -------------------------------------------------------------------


def test_data_says_where_mnist_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "find_mnist", lambda: None)

    def download(progress: Any) -> Path:
        progress(5, None)
        progress(10, 10)
        return tmp_path / "mnist.npz"

    monkeypatch.setattr(datasets, "download_mnist", download)
    result = CliRunner().invoke(cli.app, ["data"])
    assert result.exit_code == 0
    assert (
        result.stdout.splitlines()[-1] == f"MNIST is downloaded and checked: {tmp_path}/mnist.npz"
    )


def test_data_without_a_network_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(progress: Any) -> Path:
        raise datasets.DataError("No mirror answers.")

    monkeypatch.setattr(datasets, "find_mnist", lambda: None)
    monkeypatch.setattr(datasets, "download_mnist", fail)
    result = CliRunner().invoke(cli.app, ["data"])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["coursekit: No mirror answers."]


@pytest.mark.parametrize(
    ("level", "code"), [(doctor.GOOD, 0), (doctor.WARNS, 0), (doctor.STOPS, 1)]
)
def test_doctor_fails_only_for_what_stops_the_course(
    monkeypatch: pytest.MonkeyPatch, level: str, code: int
) -> None:
    long = "python -m pip install " + "numpy==2.3.5 " * 12
    finding = doctor.Finding("Packages", level, "12 missing", "" if level == "good" else long)
    monkeypatch.setattr(doctor, "examine", lambda: iter([finding]))
    result = CliRunner().invoke(cli.app, ["doctor"])
    assert result.exit_code == code
    assert "12 missing" in result.stdout
    assert (long in result.stdout) == (level != doctor.GOOD)  # in one piece, to be copied


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(cli.app, [])
    assert result.exit_code == 0
    for name in ("lab", "doctor", "data", "refresh", "release"):
        assert re.search(rf"\b{name}\b", result.stdout)
