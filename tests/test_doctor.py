"""The doctor finds what is wrong, and only that, and says how to mend it."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from coursekit import datasets, doctor

ROOT = Path(__file__).parents[1]
PINS = ROOT / "constraints.txt"


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 10, 14), doctor.STOPS),
        ((3, 11, 0), doctor.GOOD),
        ((3, 13, 9), doctor.GOOD),
        ((3, 14, 0), doctor.STOPS),
    ],
)
def test_python(version: tuple[int, ...], level: str) -> None:
    assert doctor.python_version(version).level == level


@pytest.mark.parametrize(
    ("system", "machine", "level"),
    [
        ("linux", "x86_64", doctor.GOOD),
        ("linux", "aarch64", doctor.GOOD),
        ("darwin", "arm64", doctor.GOOD),
        ("darwin", "x86_64", doctor.STOPS),
        ("win32", "AMD64", doctor.GOOD),
        ("win32", "ARM64", doctor.STOPS),
    ],
)
def test_platform(system: str, machine: str, level: str) -> None:
    assert doctor.platform_is_supported(system, machine).level == level


def with_versions(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    """Let some packages seem to have other versions, or (None) to be missing."""
    pins = doctor.read_pins()
    names = {name.replace("-", "_"): name for name in pins}
    versions = {name: pins[name] for name in pins} | {names[k]: v for k, v in changed.items()}
    monkeypatch.setattr(doctor, "_installed", lambda name: versions.get(name))


def test_packages_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    with_versions(monkeypatch)
    (finding,) = doctor.packages()
    assert finding.level == doctor.GOOD


def test_other_version_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with_versions(monkeypatch, rich="999.0")
    (finding,) = doctor.packages()
    assert finding.level == doctor.WARNS
    assert "rich 999.0 (pinned " in finding.text
    assert finding.fix


@pytest.mark.parametrize("version", [None, "0.1"])
def test_missing_or_unfit_package_stops_the_course(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    with_versions(monkeypatch, anywidget=version)
    finding = next(iter(doctor.packages()))
    assert finding.level == doctor.STOPS
    assert "anywidget" in finding.text
    assert "sync" in finding.fix or "-m pip install" in finding.fix


@pytest.mark.skipif("tensorflow-cpu" not in doctor.read_pins(), reason="one build only, here")
def test_the_gpu_build_stands_for_the_cpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = doctor.read_pins()
    have = {name: v for name, v in pins.items() if name != "tensorflow-cpu"}
    have["tensorflow"] = pins["tensorflow-cpu"]
    monkeypatch.setattr(doctor, "_installed", have.get)
    assert [finding.level for finding in doctor.packages()] == [doctor.GOOD]


def test_pins_follow_the_markers(tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("# made by uv\na==1.0\nb==2.0 ; python_version < '3'\nc==3.0 ; os_name != ''\n")
    assert doctor.read_pins(file) == {"a": "1.0", "c": "3.0"}


@pytest.mark.parametrize(
    ("trial", "says", "fix"),
    [
        ("print('TensorFlow 9')", "TensorFlow 9", ""),
        ("raise ImportError('no such thing')", "no such thing", "install"),
        ("raise ImportError('DLL load failed while importing x')", "DLL", "Redistributable"),
        ("import os; os._exit(7)", "ended with code 7", "install"),
        ("import time; time.sleep(60)", "no answer within 2 s", "install"),
    ],
)
def test_tensorflow_is_tried_in_a_process_of_its_own(trial: str, says: str, fix: str) -> None:
    finding = doctor.tensorflow_works(trial, seconds=2 if "sleep" in trial else 60)
    assert says in finding.text
    assert fix in finding.fix
    assert finding.level == (doctor.STOPS if fix else doctor.GOOD)


@pytest.mark.skipif(sys.platform == "win32", reason="ends a process by a POSIX signal")
def test_a_processor_without_avx() -> None:
    finding = doctor.tensorflow_works("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert "AVX" in finding.fix


def test_tensorflow_trial_computes_right() -> None:
    assert doctor.tensorflow_works().level == doctor.GOOD


def test_front_ends_are_found() -> None:
    assert doctor.front_ends().level == doctor.GOOD


def test_missing_front_end_stops_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.FRONT_ENDS, "@nobody/nothing", "nothing")
    finding = doctor.front_ends()
    assert finding.level == doctor.STOPS
    assert "nothing" in finding.fix


def test_front_end_that_is_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "labconfig" / "page_config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"disabledExtensions": {"anywidget": True}}))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    finding = doctor.front_ends()
    assert finding.level == doctor.STOPS
    assert finding.fix.endswith("labextension enable anywidget")


@pytest.mark.parametrize("reachable", [True, False])
def test_missing_mnist_is_a_warning(monkeypatch: pytest.MonkeyPatch, reachable: bool) -> None:
    monkeypatch.setattr(datasets, "find_mnist", lambda: None)
    monkeypatch.setattr(datasets, "mirror_answers", lambda: reachable)
    finding = doctor.mnist()
    assert finding.level == doctor.WARNS
    assert "coursekit data" in finding.fix


def test_mnist_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "find_mnist", lambda: tmp_path)
    assert doctor.mnist().level == doctor.GOOD


@pytest.mark.parametrize(
    ("free", "level"), [(10**7, doctor.STOPS), (5 * 10**8, doctor.WARNS), (10**11, doctor.GOOD)]
)
def test_disk(monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert doctor.disk().level == level


def test_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.container_memory(tmp_path) == float("inf")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert doctor.container_memory(tmp_path) == float("inf")
    (tmp_path / "memory.max").write_text("1000\n")
    assert doctor.container_memory(tmp_path) == 900
    monkeypatch.setattr(doctor, "container_memory", lambda: 900)
    assert doctor.memory().level == doctor.WARNS


def test_without_lectures_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise doctor.course.CourseError("Clone the course again.")

    monkeypatch.setattr(doctor.course, "find_course", missing)
    findings = list(doctor.examine())
    assert findings[-1] == ("Course", doctor.STOPS, "the lectures are missing", findings[-1].fix)
    assert findings[-1].fix == "Clone the course again."


# --- constraints.txt -----------------------------------------------------------------------------


def test_constraints_name_no_host_and_no_path() -> None:
    for line in PINS.read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", line), line


def test_constraints_match_this_environment() -> None:
    """Every direct dependency, also of development, is pinned to the version that is tested."""
    if os.environ.get("COURSEKIT_NEWEST"):
        pytest.skip("this run is on the newest dependencies")
    pins = doctor.read_pins(PINS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["grading"],
        *project["dependency-groups"]["dev"],
    ]
    wanted = [Requirement(line) for line in lines if not line.startswith("coursekit")]
    names = [r.name for r in wanted if r.marker is None or r.marker.evaluate()]
    installed = {name: Version(metadata.version(name)) for name in names}
    assert installed == {name: Version(pins[name]) for name in names}, (
        "Renew constraints.txt: CONTRIBUTING.md says how."
    )
