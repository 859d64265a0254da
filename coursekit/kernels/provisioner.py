"""The Jupyter kernel provisioner ``coursekit-warm``: a forked kernel where possible."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Float, List, Unicode

from coursekit import kernels

# What `launch_kernel` may be asked for. Anything else is left to a normal kernel.
UNDERSTOOD = {"env", "cwd", "stdout", "stderr", "independent"}
IGNORED = {"extra_arguments", "kernel_id"}  # LocalProvisioner drops them, too
RETRY_SECONDS = 300.0


class NoWarmKernelError(Exception):
    """A normal kernel has to do; the message is half a sentence."""


class WarmProvisioner(LocalProvisioner):
    """Starts this environment's own Python kernels by forking, all others as Jupyter does."""

    idle_seconds = Float(
        kernels.IDLE_SECONDS, help="The fork server ends after so many seconds without a kernel."
    ).tag(config=True)
    warm_up_seconds = Float(
        120.0, help="If the fork server is not ready by then, a normal kernel starts."
    ).tag(config=True)
    modules = List(
        Unicode(),
        default_value=list(kernels.MODULES),
        help="The modules that the fork server imports in advance.",
    ).tag(config=True)

    _failed_at: float | None = None  # of the class: in this process

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start a kernel: forked if it is ours and it can be had, else a normal one."""
        arguments = launcher_arguments(cmd)
        if arguments is None:  # another language, another environment, other Python options
            return await super().launch_kernel(cmd, **kwargs)
        try:
            process = await self._launch_warm(arguments, kwargs)
        except NoWarmKernelError as error:
            self._say(f"Warm kernels are off ({error}). A normal kernel starts.", logging.WARNING)
            return await super().launch_kernel(cmd, **kwargs)
        self.process = process
        self.pid = self.pgid = process.pid
        self.cwd = kwargs.get("cwd") or Path.cwd()
        return self.connection_info

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and what it started."""
        if self.process is None or isinstance(self.process, subprocess.Popen):
            await super().send_signal(signum)
        else:
            self.process.send_signal(signum)

    async def _launch_warm(self, arguments: list[str], kwargs: dict[str, Any]) -> Any:
        if reason := kernels.unsupported():
            raise NoWarmKernelError(reason)
        if unknown := kwargs.keys() - UNDERSTOOD - IGNORED:
            raise NoWarmKernelError(f"they don't know the option {min(unknown)}")
        failed = WarmProvisioner._failed_at
        if failed is not None and time.monotonic() - failed < RETRY_SECONDS:
            raise NoWarmKernelError("they failed a short while ago")
        from coursekit.kernels import client

        independent = kwargs.get("independent", False)
        env = {**client.TENSORFLOW_DEFAULTS, **kwargs.get("env", os.environ)}
        if not independent:
            env["JPY_PARENT_PID"] = str(os.getpid())
        wanted = client.Wanted(env, tuple(self.modules), self.idle_seconds)
        with descriptors(kwargs.get("stdout"), kwargs.get("stderr")) as (stdout, stderr):
            start = partial(
                client.start_kernel,
                wanted,
                arguments,
                cwd=str(kwargs.get("cwd") or Path.cwd()),
                stdout=stdout,
                stderr=stderr,
                watch=not independent,
                seconds=self.warm_up_seconds,
                say=self._say,
            )
            try:
                return await in_thread(start)
            except client.WarmKernelError as error:
                if not isinstance(error, client.RefusedError):
                    WarmProvisioner._failed_at = time.monotonic()
                raise NoWarmKernelError(str(error)) from error

    def _say(self, line: str, level: int = logging.INFO) -> None:
        """Tell the user where a person can see it and no notebook will."""
        if is_shown(self.log, level):
            self.log.log(level, line)
        elif sys.stderr is not None and (level >= logging.WARNING or sys.stderr.isatty()):
            print(line, file=sys.stderr)


def is_shown(logger: Any, level: int) -> bool:
    """Say whether a logger writes lines of this level anywhere; outside of servers many don't."""
    if isinstance(logger, logging.LoggerAdapter):
        logger = logger.logger
    handlers: list[logging.Handler] = []
    each: logging.Logger | None = logger
    while each:
        handlers += each.handlers
        each = each.parent if each.propagate else None
    real = [handler for handler in handlers if not isinstance(handler, logging.NullHandler)]
    return logger.isEnabledFor(level) and any(handler.level <= level for handler in real)


def launcher_arguments(command: list[str]) -> list[str] | None:
    """Give the kernel's arguments if a command starts this environment's plain Python kernel.

    Parameters
    ----------
    command : list of str
        The kernelspec's command with everything filled in.

    Returns
    -------
    list of str or None
        What follows ``ipykernel_launcher``; None for any other kernel.
    """
    rest = [word for word in command[1:] if word != "-Xfrozen_modules=off"]
    if rest[:2] != ["-m", "ipykernel_launcher"] or not is_this_python(command[0]):
        return None
    return rest[2:]


def is_this_python(program: str) -> bool:
    """Say whether a program is the Python of this environment, under any of its names.

    The files in several environments are links to one interpreter, so the folder decides.
    """
    path, own = Path(program), Path(sys.executable)
    named = re.fullmatch(r"python(3(\.\d+)?)?(\.exe)?", path.name)
    return bool(named) and path.parent.resolve() == own.parent.resolve()


@contextlib.contextmanager
def descriptors(stdout: Any, stderr: Any) -> Iterator[tuple[int, int]]:
    """Turn `Popen`'s arguments into two descriptors.

    Raises
    ------
    NoWarmKernelError
        For a pipe, or when this process has no standard output.
    """
    with contextlib.ExitStack() as stack:
        found = []
        for value, inherited in ((stdout, 1), (stderr, 2)):
            if value == subprocess.DEVNULL:
                null = os.open(os.devnull, os.O_WRONLY)
                stack.callback(os.close, null)
                found.append(null)
            elif isinstance(value, int) and value < 0:
                raise NoWarmKernelError("they can't write to a pipe made by subprocess")
            else:
                value = inherited if value is None else value
                number = value if isinstance(value, int) else value.fileno()
                found.append(number)
        yield found[0], found[1]


async def in_thread(start: Any) -> Any:
    """Start a kernel in a thread; if nobody waits for it any more, end it."""
    abandoned = threading.Event()

    def work() -> Any:
        process = start()
        if abandoned.is_set():
            process.kill()
        return process

    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        abandoned.set()
        raise
