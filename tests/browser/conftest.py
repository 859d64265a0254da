"""Fixtures: one JupyterLab and one Chromium for all browser tests of a worker."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import jupyter

expect.set_options(timeout=20_000)  # machines are busy at times; a broken lab never gets there


@pytest.fixture(scope="session")
def browser():
    if jupyter.chromium_path() is None:
        pytest.skip("no Chromium on PATH: install the system's chromium package")
    with jupyter.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="session")
def lab_address(lab_folder, tmp_path_factory):
    with jupyter.jupyterlab(lab_folder, tmp_path_factory.mktemp("jupyter")) as address:
        yield address


@pytest.fixture(scope="module")
def open_page(browser, lab_address, lab_folder):
    """``open_page(name, *cells, dpr=1, theme="light", run=True)`` gives a page with a notebook."""
    contexts = []

    def open_page(name, *cells, dpr=1, theme="light", run=True, reduced_motion=None):
        context = browser.new_context(
            viewport={"width": 1100, "height": 900},
            device_scale_factor=dpr,
            reduced_motion=reduced_motion,
        )
        contexts.append(context)
        page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        if cells:
            jupyter.write_notebook(lab_folder / name, *cells)
        jupyter.open_notebook(page, lab_address, name)
        if theme == "dark":
            jupyter.dark_theme(page)
        if run:
            jupyter.start_command(page, "notebook:run-all-cells")
        return page

    yield open_page
    for context in contexts:
        context.close()
