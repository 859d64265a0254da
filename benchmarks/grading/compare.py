"""Measure nbgrader's autograder against `coursekit grade` in one run, turn by turn.

    uv run python -m benchmarks.grading.compare [--quick] [--submissions N]

writes ``results.json`` and ``README.md`` beside this file (``--quick``, with few submissions, only
prints). nbgrader takes half an hour for 100 submissions, the default.

*Processor time* is that of the command and all its children, on one core; *time* is that of the
clock on two cores, where nbgrader uses what it can and ours runs ``--jobs 2``. Both contain the
start of each command, once per chunk of submissions. *Private memory*: what the processes of one
running submission (student, its guards, checker) share with nobody, the most of samples taken all
the time. *Cost of n submissions*: (time for n − time for 1) / (n − 1).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import distributed
import psutil

from benchmarks import rounded
from benchmarks.grading.exercises import CHEAP, TENSORFLOW, lay_out

HERE = Path(__file__).parent
ROOT = Path("/sys/fs/cgroup")
GROUPS = ROOT / "cpuacct" if (ROOT / "cpuacct").exists() else ROOT
CORES = 2
WAYS = ("nbgrader", "coursekit")


class Used(NamedTuple):
    """Seconds of the clock and of processors."""

    wall: float
    cpu: float


def run(command: list[str], course: Path, cores: int = CORES) -> Used:
    """Run a command in a course's folder, on some of the cores; needs root, for a control group.

    Only the group counts all processes: the system forgets the time of those that end with their
    namespace, as jailed students do, so that their parents never learn of it.
    """
    group = GROUPS / f"benchmark{os.getpid()}"
    group.mkdir()

    def enter() -> None:
        (group / "cgroup.procs").write_text("0")
        os.sched_setaffinity(0, range(cores))

    try:
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=course,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            preexec_fn=enter,
        )
        wall = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{command} failed:\n{done.stderr}")
        return Used(wall, processor_seconds(group))
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            psutil.Process(int(pid)).wait(10)  # the last ones may be about to end
        group.rmdir()


def processor_seconds(group: Path) -> float:
    """Read what all processes of a control group have used (version 1 or 2)."""
    if (group / "cpuacct.usage").exists():
        return int((group / "cpuacct.usage").read_text()) / 1e9
    return int((group / "cpu.stat").read_text().split()[1]) / 1e6  # usage_usec


def nbgrader(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nbgrader", *arguments]


def coursekit(course: Path, out: str, *options: str) -> list[str]:
    command = [sys.executable, "-m", "coursekit.cli", "grade", "source/ps/work.ipynb", "submitted"]
    return [*command, "--out", str(course / out), *options]


def compare(chunks: list[Path]) -> dict[str, list[Used]]:
    """Grade each chunk in all ways."""
    used: dict[str, list[Used]] = {f"{way} {cores}": [] for way in WAYS for cores in (1, CORES)}
    for course in chunks:
        run(nbgrader("generate_assignment", "ps"), course)
        for cores in (1, CORES):
            autograde = nbgrader("autograde", "ps", "--force")
            used[f"nbgrader {cores}"].append(run(autograde, course, cores))
            grade = coursekit(course, f"out{cores}", "--jobs", str(cores))
            used[f"coursekit {cores}"].append(run(grade, course, cores))
        check_marks(course)
    return used


def check_marks(course: Path) -> None:
    """Make sure that both give the same marks."""
    from nbgrader.api import Gradebook

    with (course / "out1" / "grades.csv").open(encoding="utf-8", newline="") as file:
        ours = {row["student"]: float(row["score"]) for row in csv.DictReader(file)}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        theirs = {one.student.id: one.score for one in book.assignment_submissions("ps")}
    assert ours == theirs, (ours, theirs)
    assert max(ours.values()) == 10, "nobody has solved everything"


def private_memory(course: Path) -> list[float]:
    """Sample the MB that the processes of a running submission have for themselves."""
    command = coursekit(course, "memory", "--jobs", "1")
    process = subprocess.Popen(
        command, cwd=course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peaks: dict[int, float] = {}  # by the number of the checker
    while process.poll() is None:
        try:
            for server in psutil.Process(process.pid).children():
                pairs = server.children()
                if len(pairs) == 2:
                    own = sum(map(private, server.children(recursive=True)))
                    first = min(one.pid for one in pairs)
                    peaks[first] = max(peaks.get(first, 0), own)
        except psutil.Error:
            pass
        time.sleep(0.01)
    return list(peaks.values())


def private(process: psutil.Process) -> float:
    """Give the MB of a process that no other one shares."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024 / 1e6


def scaling(courses: dict[int, Path]) -> dict[int, float]:
    """Measure the cost of a submission in batches of several sizes, 1 among them."""
    jobs = ("--jobs", str(CORES))
    wall = {
        count: run(coursekit(course, "scaling", *jobs), course).wall
        for count, course in courses.items()
    }
    return {count: (wall[count] - wall[1]) / (count - 1) for count in wall if count > 1}


def dask(course: Path, rounds: int) -> dict[str, list[float]]:
    """Time two Dask workers and two jobs in turn."""
    wall: dict[str, list[float]] = {"jobs": [], "dask": []}
    about = {"n_workers": CORES, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        tempfile.TemporaryDirectory() as folder,
        distributed.LocalCluster(**about, local_directory=folder) as cluster,
    ):
        ways = {"jobs": str(CORES), "dask": cluster.scheduler_address}
        for number in range(rounds):
            for way, value in ways.items():
                command = coursekit(course, f"{way}{number}", f"--{way}", value)
                wall[way].append(run(command, course).wall)
    marks = {(course / f"{way}0" / "grades.csv").read_bytes() for way in wall}
    assert len(marks) == 1
    return wall


def measure(folder: Path, quick: bool, count: int) -> dict:
    """Run everything."""
    chunk = min(count, 50)
    sizes = {"TensorFlow": (1, 4), "cheap": (1, 10, 50)}
    if not quick:
        sizes = {"TensorFlow": (1, 10, 100), "cheap": (1, 10, 100, 1000)}
    results: dict = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "submissions": count,
        "load_before": os.getloadavg()[0],
    }
    chunks = [
        lay_out(TENSORFLOW, range(first, first + chunk), folder / f"chunk{first}")
        for first in range(0, count, chunk)
    ]
    used = compare(chunks)
    results["seconds_per_submission"] = {
        name: {
            "wall": sum(one.wall for one in each) / count,
            "cpu": sum(one.cpu for one in each) / count,
        }
        for name, each in used.items()
    }
    results["ratios_of_chunks"] = {
        "cpu, one core": ratios(used, 1, "cpu"),
        "wall, two jobs": ratios(used, CORES, "wall"),
    }
    few = lay_out(TENSORFLOW, range(min(count, 10)), folder / "few")
    results["private_megabytes"] = private_memory(few)
    results["seconds_in_batches"] = {
        name: scaling({n: lay_out(source, range(n), folder / f"{name}{n}") for n in sizes[name]})
        for name, source in (("TensorFlow", TENSORFLOW), ("cheap", CHEAP))
    }
    whole = lay_out(TENSORFLOW, range(count), folder / "whole")
    results["dask_seconds"] = dask(whole, 1 if quick else 3)
    results["load_after"] = os.getloadavg()[0]
    return results


def ratios(used: dict[str, list[Used]], cores: int, kind: str) -> list[float]:
    """Give how much more nbgrader uses, for each chunk."""
    pairs = zip(used[f"nbgrader {cores}"], used[f"coursekit {cores}"], strict=True)
    return [getattr(theirs, kind) / getattr(ours, kind) for theirs, ours in pairs]


def report(results: dict) -> str:
    """Write the results as a page."""
    seconds = results["seconds_per_submission"]
    ratio = {name: statistics.median(each) for name, each in results["ratios_of_chunks"].items()}
    memory = results["private_megabytes"]
    wall = {way: statistics.median(each) for way, each in results["dask_seconds"].items()}
    lines = [
        "# Grading: nbgrader and coursekit",
        "",
        "Made by `uv run python -m benchmarks.grading.compare` (what is measured: its first",
        "lines).",
        f"{results['machine']}, load {results['load_before']:.1f} before the run and "
        f"{results['load_after']:.1f} after it.",
        f"{results['submissions']} submissions to an exercise with NumPy, a Keras model and its "
        "training, graded alike.",
        "",
        "| seconds per submission | nbgrader | coursekit | ratio, median |",
        "| --- | --- | --- | --- |",
    ]
    for name, cores, kind in (("cpu, one core", 1, "cpu"), ("wall, two jobs", CORES, "wall")):
        theirs, ours = (seconds[f"{way} {cores}"][kind] for way in WAYS)
        title = "processor, one core" if kind == "cpu" else "clock, two cores"
        lines.append(f"| {title} | {theirs:.2f} | {ours:.2f} | {ratio[name]:.1f} × |")
    lines += [
        "",
        f"Private memory of a running submission: {statistics.median(memory):.0f} MB "
        f"(most {max(memory):.0f}).",
        f"Two Dask workers take {wall['dask'] / wall['jobs']:.2f} × the time of `--jobs 2` "
        f"({wall['dask']:.1f} s and {wall['jobs']:.1f} s).",
        "",
        "| one more submission, two jobs, s | in a batch of | costs |",
        "| --- | --- | --- |",
    ]
    for name, costs in results["seconds_in_batches"].items():
        lines += [f"| {name} | {count} | {cost:.3f} |" for count, cost in costs.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few submissions; only print")
    parser.add_argument("--submissions", type=int, default=100, help="given to both")
    options = parser.parse_args()
    quick = options.quick
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), quick, 4 if quick else options.submissions)
    if not quick:
        text = json.dumps(rounded(results), indent=1)
        (HERE / "results.json").write_text(text + "\n", encoding="utf-8")
        (HERE / "README.md").write_text(report(results), encoding="utf-8")
    print(report(results))


if __name__ == "__main__":
    main()
