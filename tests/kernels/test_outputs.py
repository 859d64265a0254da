"""Warm and cold kernels give the same outputs. tests/browser does the same in real JupyterLab."""

import os
from pathlib import Path

import nbformat
import pytest

from tests.kernels.small_notebook import notebook, run

LECTURE = Path(__file__).parents[2] / "notebooks" / "11_sequential_mnist.ipynb"


@pytest.fixture(scope="module")
def cold_outputs(folders, tmp_path_factory) -> list[object]:
    return run(notebook(), "normal", tmp_path_factory.mktemp("cold"))


def test_small_notebook(cold_outputs, tmp_path):
    warm = run(notebook(), "warm", tmp_path)
    assert warm == cold_outputs
    assert len(warm) == 6
    assert warm[-1]["ename"] == "ValueError"


@pytest.mark.skipif(not LECTURE.exists(), reason="the lecture is not there")
@pytest.mark.skipif("COURSEKIT_SLOW" not in os.environ, reason="slow: set COURSEKIT_SLOW=1")
def test_lecture():
    """The committed outputs are compared with a warm kernel's by the notebook gate."""
    book = nbformat.read(LECTURE, 4)
    assert run(book, "warm", LECTURE.parent) == run(book, "normal", LECTURE.parent)
