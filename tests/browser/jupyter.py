"""A real JupyterLab in a real browser, for tests and benchmarks.

Everything runs on this machine: JupyterLab on a free port, and the Chromium that the system
provides, driven by Playwright.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from coursekit import server

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Without the background flags Chromium tries to reach the network at every start.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium_path() -> str | None:
    """Find the system's Chromium, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def jupyterlab(folder: Path, private: Path) -> Iterator[str]:
    """Run JupyterLab on `folder`; its settings go to `private`. Gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = os.environ | {name: str(private / name.lower()) for name in names}
    settings = (server.SETTINGS / "quiet", server.SETTINGS / "student")
    environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(map(str, settings))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    command += ["--expose-app-in-browser", f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.contents_manager_class=coursekit.contents.CourseContents"]
    private.mkdir(parents=True, exist_ok=True)
    with (private / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api", process, private / "server.log")
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url):
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def write_notebook(path: Path, *cells: str) -> Path:
    """Write a notebook of code cells without outputs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)
    return path


def open_notebook(page: Page, address: str, name: str) -> Page:
    """Open a notebook in JupyterLab's single-document view and wait until it is there."""
    page.goto(f"{address}/doc/tree/{name}?reset")
    page.wait_for_function("window.jupyterapp && document.querySelector('.jp-Cell')", timeout=60000)
    page.wait_for_function(
        "() => { const p = window.jupyterapp.shell.currentWidget;"
        " return p && p.sessionContext && p.sessionContext.isReady"
        " && p.sessionContext.session?.kernel?.connectionStatus === 'connected'; }",
        timeout=90000,
    )
    return page


def command(page: Page, name: str) -> None:
    """Run a JupyterLab command, for example ``notebook:run-all-cells``, to its end."""
    page.evaluate("name => window.jupyterapp.commands.execute(name)", name)


def start_command(page: Page, name: str) -> None:
    """Start a JupyterLab command without waiting for its end."""
    page.evaluate("name => { window.jupyterapp.commands.execute(name); }", name)


def dark_theme(page: Page) -> None:
    """Switch JupyterLab to its dark theme."""
    page.evaluate(
        "window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")


def slider(page: Page, label: str) -> Locator:
    """Find a slider's handle by the label beside it."""
    return page.get_by_role("slider", name=label)


def sentence(page: Page) -> Locator:
    """Find the line under the (first) lab's picture."""
    return page.locator(".ck-sentence").first
