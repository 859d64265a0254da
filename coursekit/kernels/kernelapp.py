"""What a freshly forked process does to become a Jupyter kernel. Runs in the child only."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import resource
import select
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

import ipykernel_launcher
import ipywidgets
import matplotlib
from ipykernel.kernelapp import IPKernelApp
from traitlets.log import get_logger

from coursekit.kernels import forking

INLINE = "module://matplotlib_inline.backend_inline"
READY = b"ready"


class ParentWatch(threading.Thread):
    """Ends this kernel when the process that asked for it has ended.

    ipykernel's own poller compares the parent's process number. The parent of a forked kernel is
    the fork server, whose end should not matter.

    Parameters
    ----------
    pidfd : int
        Descriptor of the process to watch.
    """

    def __init__(self, pidfd: int) -> None:
        super().__init__(name="parent-watch", daemon=True)
        self.pidfd = pidfd

    def run(self) -> None:
        """Wait for the end of the watched process, then leave at once."""
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        poller.poll()
        get_logger().warning("Parent appears to have exited, shutting down.")
        os._exit(1)


class ForkedKernelApp(IPKernelApp):
    """ipykernel's application, started in a process that had imported everything before."""

    watched: int | None = None

    def init_poller(self) -> None:
        """Watch the process that asked for the kernel."""
        if self.watched is not None:
            self.poller = ParentWatch(self.watched)

    def init_io(self) -> None:
        """Lead the log handlers of imported libraries into the notebook, too."""
        before = {id(sys.stdout): "stdout", id(sys.stderr): "stderr"}
        # Those of ipykernel itself stay where they are.
        own = {id(handler) for handler in self.log.handlers + logging.getLogger("tornado").handlers}
        super().init_io()
        for reference in list(logging._handlerList):  # type: ignore[attr-defined]
            handler = reference()
            if not isinstance(handler, logging.StreamHandler) or id(handler) in own:
                continue
            if name := before.get(id(handler.stream)):
                handler.stream = getattr(sys, name)  # setStream would flush the old one first

    def init_shell(self) -> None:
        """Do what ipywidgets does when it is imported in a notebook."""
        super().init_shell()
        ipywidgets.register_comm_target()


def run(request: dict[str, Any], watched: int | None, ready: int) -> NoReturn:
    """Prepare the forked process as requested, say so, and be a kernel until it ends.

    Parameters
    ----------
    request : dict
        What `client.kernel_request` makes.
    watched : int or None
        Descriptor of the process whose end ends this kernel.
    ready : int
        Pipe to the server. Gets `READY`, or the reason why it did not work.
    """
    try:
        apply_limits(request["limits"])
        os.chdir(request["cwd"])
        forking.replace_environment(request["env"])
        tempfile.tempdir = None  # remembered from the server's environment
        Path("/proc/self/comm").write_text("warm-kernel", encoding="ascii")
    except (OSError, ValueError) as error:
        os.write(ready, str(error).encode())
        os._exit(1)
    os.write(ready, READY)
    os.close(ready)
    leave(become_kernel(request["arguments"], watched))


def apply_limits(limits: dict[str, Any]) -> None:
    """Take over what a child of the requesting process would have inherited from it."""
    os.umask(limits["umask"])
    os.sched_setaffinity(0, limits["affinity"])
    if limits["nice"] != os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, limits["nice"])
    for name, pair in limits["rlimits"].items():
        number = getattr(resource, name)
        if resource.getrlimit(number) != tuple(pair):
            resource.setrlimit(number, tuple(pair))


def become_kernel(arguments: list[str], watched: int | None) -> int:
    """Run a kernel with the arguments of `python -m ipykernel_launcher`.

    Returns
    -------
    int
        The exit code that the process should have.
    """
    sys.argv = [str(ipykernel_launcher.__file__), *arguments]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=os.isatty(stream.fileno()))  # type: ignore[union-attr]
    forking.set_blas_threads()
    choose_backend()
    try:
        app = ForkedKernelApp.instance(parent_handle=int(os.environ.get("JPY_PARENT_PID", 0)))
        app.watched = watched
        app.initialize(arguments)
        app.start()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def choose_backend() -> None:
    """Do what importing matplotlib in the notebook would have done in this folder."""
    local = Path("matplotlibrc")
    if local.is_file():
        matplotlib.rc_file(local)
    matplotlib.rcParams["backend"] = os.environ.get("MPLBACKEND") or INLINE


def leave(code: int) -> NoReturn:
    """End the process as the interpreter does, except for taking every module apart.

    That would write to all memory shared with the server, for nothing.
    """
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # joins the user's threads
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code)
