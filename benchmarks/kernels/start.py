"""Measure cold against warm kernels in one run, turn by turn.

    uv run python -m benchmarks.kernels.start [NOTEBOOK ...]

writes ``results.json`` and ``README.md`` beside this file. *First result*: from the request for a
kernel to the reply to a cell that imports TensorFlow and adds two numbers. *Notebook*: opened,
executed and shut down by nbclient; the ones named, else all lectures and solutions, else a small
one that trains a network for three epochs. *Memory*: what one more kernel adds to the proportional
set sizes (PSS) of all processes concerned. The fork server is started before and counted apart.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

from benchmarks import rounded
from tests.kernels.small_notebook import notebook
from tests.kernels.support import Notebook, private_folders, warm_server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KINDS = ("normal", "warm")
ROUNDS = 5
KERNELS = 4
FIRST = "import tensorflow as tf; float(tf.constant(1.0) + 1.0)"


def first_result(kind: str) -> float:
    """Measure the seconds to the first TensorFlow result."""
    began = time.perf_counter()
    kernel = Notebook(kind)
    kernel.run(FIRST)
    seconds = time.perf_counter() - began
    kernel.close(now=True)
    return seconds


def notebooks(names: list[str]) -> dict[str, nbformat.NotebookNode]:
    """Read the notebooks to execute."""
    paths = [Path(name) for name in names] or [
        *sorted(ROOT.glob("notebooks/*.ipynb")),
        *sorted(ROOT.glob("solutions/*/*.ipynb")),
    ]
    return {path.stem: nbformat.read(path, 4) for path in paths} or {"small": notebook()}


def execute(book: nbformat.NotebookNode, kind: str) -> float:
    """Measure the seconds for a whole notebook."""
    with tempfile.TemporaryDirectory() as folder:
        runner = NotebookClient(book, kernel_name=kind, timeout=600, startup_timeout=300)
        began = time.perf_counter()
        runner.execute(cwd=folder)
        return time.perf_counter() - began


def megabytes(*pids: int) -> float:
    """Sum the proportional set sizes of processes, in MB."""
    return sum(psutil.Process(pid).memory_full_info().pss for pid in pids) / 1e6


def memory(kind: str, code: str) -> list[float]:
    """Measure the MB that each further kernel adds, after it has run `code`."""
    opened: list[Notebook] = []
    sums = [megabytes(warm_server()) if kind == "warm" else 0.0]
    for _ in range(KERNELS):
        opened.append(Notebook(kind))
        opened[-1].run(code)
        pids = [kernel.pid for kernel in opened] + ([warm_server()] if kind == "warm" else [])
        sums.append(megabytes(*pids))
    for kernel in opened:
        kernel.close(now=True)
    return [after - before for before, after in itertools.pairwise(sums)]


def measure(books: dict[str, nbformat.NotebookNode]) -> dict:
    """Run everything, cold and warm in turn."""
    load = os.getloadavg()[0]
    began = time.perf_counter()
    warm_server()
    results: dict = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": load,
        "server_seconds": time.perf_counter() - began,
        "server_megabytes": megabytes(warm_server()),
        "first_result_seconds": {kind: [] for kind in KINDS},
        "notebook_seconds": {name: {kind: [] for kind in KINDS} for name in books},
    }
    for _ in range(ROUNDS):
        for kind in KINDS:
            results["first_result_seconds"][kind].append(first_result(kind))
    for name, book in books.items():
        for _ in range(3 if name == "small" else 1):
            for kind in KINDS:
                results["notebook_seconds"][name][kind].append(execute(book, kind))
    results["further_kernel_megabytes"] = {
        "warm, idle": memory("warm", "None"),
        "warm, after the first result": memory("warm", FIRST),
        "normal, after the first result": memory("normal", FIRST),
    }
    results["load_after"] = os.getloadavg()[0]
    return results


def report(results: dict) -> str:
    """Write the results as a page."""
    first = {kind: statistics.median(results["first_result_seconds"][kind]) for kind in KINDS}
    pairs = zip(*(results["first_result_seconds"][kind] for kind in KINDS), strict=True)
    ratio = statistics.median(cold / warm for cold, warm in pairs)
    best = min(results["first_result_seconds"]["warm"])
    lines = [
        "# Cold and warm kernels",
        "",
        "Made by `uv run python -m benchmarks.kernels.start` (what is measured: its first lines).",
        f"{results['machine']}, load {results['load_before']:.1f} before the run and "
        f"{results['load_after']:.1f} after it.",
        "Absolute times depend on what else runs, the ratios much less. The fork server is started",
        f"once: {results['server_seconds']:.1f} s, {results['server_megabytes']:.0f} MB.",
        "",
        "| | cold | warm | cold ÷ warm |",
        "| --- | --- | --- | --- |",
        f"| first result, median of {ROUNDS}, s | {first['normal']:.2f} | {first['warm']:.2f} "
        f"(best {best:.2f}) | {ratio:.1f} × |",
    ]
    total = dict.fromkeys(KINDS, 0.0)
    for name, seconds in results["notebook_seconds"].items():
        cold, warm = (statistics.median(seconds[kind]) for kind in KINDS)
        total["normal"] += cold
        total["warm"] += warm
        lines.append(f"| notebook {name}, s | {cold:.1f} | {warm:.1f} | {cold / warm:.1f} × |")
    if len(results["notebook_seconds"]) > 1:
        cold, warm = total.values()
        lines.append(f"| all notebooks, s | {cold:.1f} | {warm:.1f} | {cold / warm:.1f} × |")
    lines += ["", "| one more kernel | adds, median, MB of PSS |", "| --- | --- |"]
    for name, megabytes in results["further_kernel_megabytes"].items():
        lines.append(f"| {name} | {statistics.median(megabytes[1:]):.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write both files."""
    books = notebooks(sys.argv[1:])
    with private_folders():
        results = measure(books)
    (HERE / "results.json").write_text(json.dumps(rounded(results), indent=1) + "\n")
    (HERE / "README.md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main()
