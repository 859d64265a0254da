"""Warm kernels in real JupyterLab: the outputs of cold ones, interrupt, restart and death."""

import copy
import os
import signal
from pathlib import Path

import nbformat
import pytest
from nbconvert.preprocessors import ClearOutputPreprocessor

from coursekit import kernels
from tests.browser import jupyter
from tests.kernels.small_notebook import CELLS, comparable, notebook, run, texts
from tests.kernels.support import private_folders

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(kernels.unsupported() is not None, reason="no warm kernels here"),
]

LECTURE = Path(__file__).parents[2] / "notebooks" / "11_sequential_mnist.ipynb"
CELLS_DONE = """count => {
    const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells;
    return cells.filter(cell => cell.execution_count).length >= count;
}"""
EXECUTE = """async code => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({code: code});
    let text = '';
    future.onIOPub = message => { text += message.content.text || ''; };
    const reply = await future.done;
    return text + (reply.content.ename || '');
}"""


@pytest.fixture(scope="module")
def folders():
    with private_folders() as root:
        yield root


@pytest.fixture(scope="module")
def server(folders, tmp_path_factory):
    """Run JupyterLab with warm kernels switched on: its folder and address."""
    folder = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kernels.environment().items():
            patch.setenv(name, value)
        with jupyter.jupyterlab(folder, folder / "private") as address:
            yield folder, address


@pytest.fixture(scope="module")
def page(server, browser):
    """Open the small notebook."""
    folder, address = server
    book = notebook()
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, folder / "small.ipynb")
    page = browser.new_page()
    jupyter.open_notebook(page, address, "small.ipynb")
    yield page
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()


@pytest.mark.mnist
def test_the_mnist_lecture_says_what_it_says_cold(server, browser):
    """The committed outputs; tests/kernels shows that a cold kernel gives them, too."""
    folder, address = server
    book = nbformat.read(LECTURE, 4)
    cleared, _ = ClearOutputPreprocessor().preprocess(copy.deepcopy(book), {})
    nbformat.write(cleared, folder / LECTURE.name)
    page = browser.new_page()
    jupyter.open_notebook(page, address, LECTURE.name)
    jupyter.start_command(page, "notebook:run-all-cells")
    count = sum(cell.cell_type == "code" for cell in book.cells)
    page.wait_for_function(CELLS_DONE, arg=count, timeout=180_000)
    page.wait_for_timeout(500)  # the last cell's output
    shown = page.evaluate(
        "window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON()"
    )
    assert texts(shown) == texts(book)
    page.close()


def test_jupyterlab_runs_all(page, tmp_path):
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(CELLS_DONE, arg=len(CELLS), timeout=120_000)
    page.wait_for_selector("text=the last cell", timeout=60_000)
    book = page.evaluate("window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON()")
    cold = run(notebook(), "normal", tmp_path)
    for shown, expected in zip(comparable(book), cold, strict=True):
        if "image/png" not in expected.get("data", {}):  # JupyterLab strips a line end there
            assert shown == expected
        else:
            assert shown["data"]["image/png"].strip() == expected["data"]["image/png"].strip()
    # through a forked kernel, and the warm-up was not told in the notebook
    pid = page.evaluate(EXECUTE, "print(kernel)").strip()
    assert Path(f"/proc/{pid}/comm").read_text() == "warm-kernel\n"


def test_jupyterlab_interrupts_restarts_and_sees_death(page):
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    page.evaluate(f"() => {{ window.endless = ({EXECUTE})('while True: pass'); }}")
    page.wait_for_function(f"{kernel}.status === 'busy'")
    page.evaluate(f"{kernel}.interrupt()")
    assert page.evaluate("window.endless") == "KeyboardInterrupt"
    page.evaluate(f"{kernel}.restart()")
    first = page.evaluate(EXECUTE, "import os; print(os.getpid())")
    # A new kernel is there so soon that its predecessor's state must be recorded to be seen.
    record = "(_, status) => { (window.seen ??= []).push(status); }"
    page.evaluate(f"() => {{ {kernel}.statusChanged.connect({record}); }}")
    os.kill(int(first), signal.SIGKILL)
    # Jupyter looks for dead kernels every three seconds, and starts another one.
    page.wait_for_function("(window.seen || []).includes('autorestarting')", timeout=60_000)
    page.wait_for_function(f"{kernel}.status === 'idle'", timeout=60_000)
    second = page.evaluate(EXECUTE, "import os; print(os.getpid())")
    assert first != second
    assert Path(f"/proc/{int(second)}/comm").read_text() == "warm-kernel\n"
