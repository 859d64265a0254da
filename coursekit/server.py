"""Start JupyterLab on the course, say where it is, and stop it cleanly."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from coursekit import kernels
from coursekit.course import OWN_FOLDER, CourseError

FIRST_PORT = 8888
START_SECONDS = 120.0  # the first start after an installation compiles a few hundred modules
STOP_SECONDS = 15.0

SETTINGS = Path(__file__).resolve().parent / "jupyter"

#: What every kernel of the course inherits. Values that the user has set win.
KERNEL_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "KERAS_BACKEND": "tensorflow",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else the debugger writes a warning into the log
}


def choose_port(wanted: int | None = None) -> int:
    """Give a port that is free on this machine: `wanted`, else the first one from 8888 on.

    Raises
    ------
    CourseError
        If `wanted` is taken.
    """
    if wanted is not None:
        if not _is_free(wanted):
            raise CourseError(f"Port {wanted} is taken. Choose another, or leave --port out.")
        return wanted
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        if _is_free(port):
            return port
    raise CourseError("No port from 8888 to 8987 is free. Name one with --port.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # a port whose last connection is just closing is free as well
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_root() -> bool:
    """Say whether this process runs as root (never on Windows)."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def lab_command(
    root: Path, lecture: Path | None, port: int, browser: bool, options: list[str]
) -> list[str]:
    """Make the command that starts JupyterLab with this very Python.

    Parameters
    ----------
    root : pathlib.Path
        The folder that JupyterLab shows.
    lecture : pathlib.Path or None
        The notebook to open, relative to `root`.
    port : int
        The port to listen on. If someone else takes it meanwhile, Jupyter tries others.
    browser : bool
        Whether Jupyter opens the browser.
    options : list of str
        Further options, last, so that they win.
    """
    return [
        *(sys.executable, "-m", "jupyterlab", "--Application.log_level=ERROR"),
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url={_page(lecture)}",
        "--ServerApp.contents_manager_class=coursekit.contents.CourseContents",
        f"--ServerApp.port={port}",
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if is_root() else []),
        *options,
    ]


def _page(lecture: Path | None) -> str:
    return "/lab" if lecture is None else f"/lab/tree/{quote(lecture.as_posix())}"


def lab_environment(root: Path, token: str) -> dict[str, str]:
    """Make the environment of the server and so of its kernels."""
    environment = {**KERNEL_ENVIRONMENT, **kernels.environment(), **os.environ}
    environment.setdefault("JUPYTER_TOKEN", token)
    settings = [SETTINGS / "quiet"]
    if (root / OWN_FOLDER).is_dir():
        settings.append(SETTINGS / "student")
        # Tabs are remembered per user, not per folder: without a place of its own, the course
        # would open with the tabs of the user's other projects, which it cannot find.
        environment.setdefault("JUPYTERLAB_WORKSPACES_DIR", str(root / OWN_FOLDER / "workspaces"))
    others = os.environ.get("JUPYTER_CONFIG_PATH")
    folders = [*map(str, settings), *([others] if others else [])]
    environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(folders)
    kernels.prepare(environment)  # it imports TensorFlow while JupyterLab loads
    return environment


@contextlib.contextmanager
def running_lab(
    command: list[str], root: Path
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Run JupyterLab inside the ``with`` block.

    Yields
    ------
    server : subprocess.Popen
        The server's process.
    info : dict
        What the server says of itself: ``url``, ``token``, ``pid`` and more.

    Raises
    ------
    CourseError
        If it stops before it listens, or does not listen in time.
    """
    token = secrets.token_hex(24)
    # A session of its own: Ctrl-C reaches only us, and we stop the server once and in order.
    new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    server = subprocess.Popen(
        command,
        env=lab_environment(root, token),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=new_group,
    )
    info: dict[str, Any] | None = None
    try:
        info = _wait_until_it_listens(server, token)
        yield server, info
    finally:
        try:
            _stop(server, info)
        except KeyboardInterrupt:  # a second Ctrl-C: at once, then
            server.kill()


def _wait_until_it_listens(server: subprocess.Popen[bytes], token: str) -> dict[str, Any]:
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir())
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise CourseError(
                f"JupyterLab stopped at once (exit code {server.returncode}); what it wrote is "
                "above. 'coursekit doctor' checks the installation."
            )
        for file in folder.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):  # being written, or just removed
                info = json.loads(file.read_text(encoding="utf-8"))
                # On Windows the process we started may be a launcher with another number.
                if info["pid"] == server.pid or info["token"] == token:
                    return dict(info)
        time.sleep(0.1)
    raise CourseError(
        f"JupyterLab did not start within {START_SECONDS:.0f} s. 'coursekit doctor' checks the "
        "installation."
    )


def page_url(info: dict[str, Any], lecture: Path | None) -> str:
    """Make the address of the first lecture, with the token that lets its reader in."""
    token = f"?token={info['token']}" if info.get("token") else ""
    return info["url"].rstrip("/") + _page(lecture) + token


def _stop(server: subprocess.Popen[bytes], info: dict[str, Any] | None) -> None:
    """Ask the server to shut its kernels down and end; insist if it does not."""
    if info and server.poll() is None:
        # Over HTTP, since Windows has no signal that a server could answer in order.
        request = urllib.request.Request(
            info["url"] + "api/shutdown",
            method="POST",
            headers={"Authorization": f"token {info.get('token', '')}"},
        )
        local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with contextlib.suppress(OSError, urllib.error.URLError):
            local.open(request, timeout=5).close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
            return
    if server.poll() is None:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
            return
    if server.poll() is None:
        server.kill()
        server.wait()


@contextlib.contextmanager
def signals_end_it() -> Iterator[None]:
    """Turn "terminate" and "terminal closed" into an orderly end, so that no server is left."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), end) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
