"""The gate of `conftest.py`, in runs of pytest of its own on small notebooks that break things."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

CONFTEST = (Path(__file__).parents[1] / "conftest.py").read_text(encoding="utf-8")
NO_MNIST = '\n\ndef mnist_is_missing():\n    return "no mirror answers"\n'
TESTS = """
import pytest

@pytest.mark.mnist
def test_digits(): pass

@pytest.mark.browser
def test_lab(): pytest.skip("no Chromium here")

@pytest.fixture
def page(): pytest.skip("no Chromium here")

@pytest.mark.browser
def test_pad(page): pass

@pytest.mark.skip(reason="Linux only")
def test_jail(): pass
"""


def lecture(folder, name, *cells, data=None):
    nb = nbformat.v4.new_notebook()
    nb.metadata["coursekit"] = {"slug": name[3:]} | ({"data": data} if data else {})
    for count, (source, shown, metadata) in enumerate(cells, start=1):
        outputs = [nbformat.v4.new_output("stream", name="stdout", text=shown)] if shown else []
        nb.cells.append(
            nbformat.v4.new_code_cell(
                source, outputs=outputs, metadata=metadata, execution_count=count
            )
        )
    (folder / "notebooks").mkdir(exist_ok=True)
    nbformat.write(nb, folder / "notebooks" / f"{name}.ipynb")


def run(folder, *options, require=""):
    environment = {**os.environ, "COURSEKIT_REQUIRE": require, "PYTHONPATH": str(folder)}
    # With CI set pytest repeats every message uncut.
    for name in [key for key in environment if key == "CI" or key.startswith(("PYTEST_", "COV_"))]:
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "--color=no", "-W", "error", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    (folder / "conftest.py").write_text(CONFTEST + NO_MNIST, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    (folder / "test_course.py").write_text(TESTS, encoding="utf-8")
    lecture(
        folder,
        "06_ema",
        ("print('β = 0.9')", "β = 0.9\n", {}),
        ("weights = 3\nprint(weights)", "2\n", {}),
        ("assert weights == 2, 'two weights'", "", {}),
        ("print(id(0))", "1\n", {"tags": ["nbval-ignore-output"], "reason": "an address"}),
    )
    lecture(
        folder,
        "11_sequential_mnist",
        ("print('accuracy 0.93')", "accuracy 0.97\n", {}),
        ("assert 0.93 > 0.965, 'accuracy too low'", "", {}),
        data="mnist",
    )
    return folder


def test_report_names_what_failed_and_what_was_not_checked(broken):
    code, output = run(broken, "-n", "2", "--dist", "loadfile")
    assert code == 1
    assert "5 passed" not in output
    assert re.search(r"3 failed, 3 passed, 4 skipped", output), output
    # Lecture, cell and what differs.
    assert '06_ema, In [2] "weights = 3"' in output
    assert '06_ema, In [3] "assert weights == 2' in output
    assert "two weights" in output
    # The MNIST lecture's texts are not compared, its asserts count.
    assert '11_sequential_mnist, In [2] "assert 0.93' in output
    assert "11_sequential_mnist, In [1]" not in output
    summary = output.partition("what was not checked")[2]
    assert "4 tests skipped\n  2: no Chromium here\n" in summary
    assert "1: the real MNIST is out of reach: no mirror answers" in summary
    assert "1: Linux only" in summary
    assert "3 cells executed, their outputs not compared" in summary
    assert "2: the real MNIST is out of reach, the lecture ran on the UCI digits" in summary
    assert "1: an address" in summary


def test_required_tests_must_not_be_skipped(broken):
    options = ["-n", "0", "test_course.py", "notebooks/11_sequential_mnist.ipynb"]
    code, output = run(broken, *options, require="browser, mnist")
    assert code == 1
    assert "1 failed, 1 skipped, 4 errors" in output, output
    assert output.count("COURSEKIT_REQUIRE names browser, but: Skipped: no Chromium here") == 2
    assert "COURSEKIT_REQUIRE names mnist: no mirror answers" in output
    assert "not_compared" not in output


def test_unknown_requirement_is_refused(broken):
    code, output = run(broken, require="brower")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "COURSEKIT_REQUIRE names browser and mnist" in output


def test_lecture_far_over_its_budget_fails_the_run(tmp_path):
    budget = "\n\nBUDGET = {'ema': 0.2, 'losses': 0.2}\n"
    (tmp_path / "conftest.py").write_text(CONFTEST + budget, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    slow = "import time\ntime.sleep(1)"
    lecture(tmp_path, "06_ema", (slow, "", {}))
    lecture(tmp_path, "02_losses", (slow + "  # import keras", "", {}))
    code, output = run(tmp_path, "-n", "0")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "2 passed" in output, output
    over = [line for line in output.splitlines() if "more than twice its budget" in line]
    assert over == ["FAILED: 06_ema took 1 s, more than twice its budget of 0.2 s"]
