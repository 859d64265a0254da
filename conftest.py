"""The notebook gate: how pytest and nbval execute lectures and solutions, and what they report.

`COURSEKIT_REQUIRE=browser,mnist` turns the skip of a test with one of these markers into a
failure, for machines that must be able to run everything.
"""

import functools
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from coursekit import kernels, notebooks

# Seconds that the cells of a lecture may take, beyond the cell that imports TensorFlow. Machines
# are busy at times: only twice the budget fails the run.
BUDGET = {"sequential_mnist": 120, "digit_project": 120, "convolution": 120, "regularization": 60}
DEFAULT_BUDGET = 20
IMPORTS_TENSORFLOW = ("import tensorflow", "import keras", "from tensorflow", "from keras")
# No property test fails because a machine is slow, or on one run and not on the next.
hypothesis.settings.register_profile(
    "course",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("course")
OVER_BUDGET = pytest.StashKey[list[str]]()


def required() -> set[str]:
    """Read the markers whose tests must not be skipped."""
    return set(filter(None, os.environ.get("COURSEKIT_REQUIRE", "").replace(" ", "").split(",")))


@functools.cache
def mnist_is_missing() -> str:
    """Say why the real MNIST can't be had; empty if it can. It is downloaded where it is not."""
    from coursekit import datasets

    try:
        if datasets.find_mnist() is None:
            datasets.download_mnist()
    except datasets.DataError as error:
        return str(error)
    return ""


def pytest_configure(config: pytest.Config) -> None:
    """Register markers and prepare the kernels of nbval."""
    for name, needs in (
        ("browser", "drives JupyterLab in a real browser (Playwright with Chromium)"),
        ("mnist", "needs the real MNIST, cached, in COURSEKIT_DATA or downloaded"),
    ):
        config.addinivalue_line("markers", f"{name}: {needs}")
    unknown = required() - {"browser", "mnist"}
    if unknown:
        raise pytest.UsageError(f"COURSEKIT_REQUIRE names browser and mnist, not {unknown}")
    os.environ.update(notebooks.KERNEL_ENVIRONMENT)  # kernels inherit it
    os.environ.update(kernels.environment())  # workers of one run share a fork server
    config.option.nbval_current_env = True  # a python3 kernel installed elsewhere is another Python
    config.option.nbval_cell_timeout = notebooks.CELL_TIMEOUT
    config.option.nbval_kernel_startup_timeout = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Relax the comparison where the data are not the committed ones; give slow machines time."""
    for item in filter(is_cell, items):
        item.output_timeout = 60
        cell = item.cell
        if any(words in cell.source for words in IMPORTS_TENSORFLOW):
            item.user_properties.append(("imports_tensorflow", True))
        if not item.options["check"] or item.options["skip"]:
            reason = cell.metadata.get("reason", "no reason given")
            item.user_properties.append(("not_compared", reason))
        elif shows_mnist(item) and mnist_is_missing():
            item.options["check"] = False
            reason = "the real MNIST is out of reach, the lecture ran on the UCI digits"
            item.user_properties.append(("not_compared", reason))


def is_cell(item: pytest.Item) -> bool:
    """Tell whether a test is a notebook cell, executed by nbval."""
    return item.path.suffix == ".ipynb"


def shows_mnist(item: pytest.Item) -> bool:
    """Tell whether a test is a cell of a notebook whose committed outputs come from MNIST."""
    return is_cell(item) and item.parent.nb.metadata.get("coursekit", {}).get("data") == "mnist"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need the real MNIST where it can't be had, or fail them if they must run."""
    marked = item.get_closest_marker("mnist") is not None
    if not (marked or shows_mnist(item)) or not mnist_is_missing():
        return
    if "mnist" in required():
        pytest.fail(f"COURSEKIT_REQUIRE names mnist: {mnist_is_missing()}", pytrace=False)
    if marked:
        pytest.skip(f"the real MNIST is out of reach: {mnist_is_missing()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Fail required tests that are skipped, and name lecture and cell where a cell fails."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        needed = sorted(mark for mark in required() if item.get_closest_marker(mark))
        if needed:
            report.outcome = "failed"
            report.longrepr = f"COURSEKIT_REQUIRE names {needed[0]}, but: {report.longrepr[2]}"
    if report.failed and is_cell(item):
        nb = item.parent.nb
        where = notebooks.describe_cell(nb, nb.cells.index(item.cell))
        report.longrepr = f"{item.path.stem}, {where}\n\n{report.longrepr}"
    return report


def reports(config: pytest.Config) -> Iterator[Any]:
    """Yield all reports of the run; none in a worker process of xdist."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    for category in ("passed", "failed", "skipped") if reporter else ():
        yield from reporter.stats.get(category, [])


def seconds_per_lecture(config: pytest.Config) -> dict[str, float]:
    """Sum the run times of each lecture's cells, without the one that imports TensorFlow."""
    seconds: dict[str, float] = defaultdict(float)
    for report in reports(config):
        path = Path(report.nodeid.partition("::")[0])
        counted = ("imports_tensorflow", True) not in getattr(report, "user_properties", [])
        if path.suffix == ".ipynb" and path.parent.name == "notebooks" and report.when == "call":
            seconds[path.stem] += report.duration * counted
    return seconds


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a lecture took more than twice its budget."""
    over = []
    for name, seconds in sorted(seconds_per_lecture(session.config).items()):
        budget = BUDGET.get(name[3:], DEFAULT_BUDGET)
        if seconds > 2 * budget:
            over.append(f"{name} took {seconds:.0f} s, more than twice its budget of {budget} s")
    session.config.stash[OVER_BUDGET] = over
    if over and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List what was not checked, and why; and the lectures that are too slow."""
    skipped: Counter[str] = Counter()
    relaxed: Counter[str] = Counter()
    for report in reports(config):
        if report.skipped and isinstance(report.longrepr, tuple):
            skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1
        elif getattr(report, "when", "") == "call":
            relaxed.update(why for key, why in report.user_properties if key == "not_compared")
    terminalreporter.section("what was not checked")
    terminalreporter.line(f"{skipped.total()} tests skipped")
    for reason, count in skipped.most_common():
        terminalreporter.line(f"  {count}: {reason}")
    terminalreporter.line(f"{relaxed.total()} cells executed, their outputs not compared")
    for reason, count in relaxed.most_common():
        terminalreporter.line(f"  {count}: {reason}")
    for line in config.stash.get(OVER_BUDGET, []):
        terminalreporter.line(f"FAILED: {line}", red=True, bold=True)
