"""Warm and cold kernels give the same outputs. tests/browser does the same in real JupyterLab."""

from pathlib import Path

import nbformat
import pytest

from tests.kernels.small_notebook import executed, notebook, run, texts

LECTURE = Path(__file__).parents[2] / "notebooks" / "11_sequential_mnist.ipynb"


@pytest.fixture(scope="module")
def cold_outputs(folders, tmp_path_factory) -> list[object]:
    return run(notebook(), "normal", tmp_path_factory.mktemp("cold"))


def test_small_notebook(cold_outputs, tmp_path):
    warm = run(notebook(), "warm", tmp_path)
    assert warm == cold_outputs
    assert len(warm) == 6
    assert warm[-1]["ename"] == "ValueError"


@pytest.mark.mnist
def test_lecture_in_a_cold_kernel():
    """The notebook gate and the browser compare the committed outputs with warm kernels'."""
    committed = nbformat.read(LECTURE, 4)
    assert texts(executed(committed, "normal", LECTURE.parent)) == texts(committed)
