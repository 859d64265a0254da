"""The graders' fork server: imports everything once, then forks two processes per submission.

Started by `launch.ForkLauncher` as ``python -m coursekit.grading.server CONTROL RUNNER SETTINGS``.
It has one thread and one loop, never computes (see `kernels.forking`), and never sees a source, a
test or a submission. It ends with the runner, and its children end with it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from coursekit.grading import jail
from coursekit.grading.limits import Limits
from coursekit.kernels import forking, messages

CHECKER_MEMORY = 2  # times the student's: it holds copies of answers
Become = Callable[[], None]  # what a forked child does instead of serving
# Imported by a student's first figure or cell otherwise. Names may come and go with versions.
LATE = (
    *("IPython.core.pylabtools", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"),
    *("IPython.core.interactiveshell", "matplotlib_inline.backend_inline", "tempfile"),
    *("IPython.core.application", "IPython.core.completer", "IPython.core.completerlib"),
    *("IPython.core.crashhandler", "IPython.core.logger", "IPython.core.magics"),
    *("IPython.core.oinspect", "IPython.utils.generics", "bdb", "encodings.utf_8_sig"),
    *("numpy.random", "numpy.testing"),
)


@dataclass
class Submission:
    """Two processes, their connection to the runner, and how they ended."""

    connection: socket.socket
    told: int  # where the guard reports
    folder: Path  # where the checker works
    pidfds: dict[str, int] = field(default_factory=dict)
    ending: dict[str, Any] = field(default_factory=dict)


class Server:
    """Forks a checker and a student for each request, and reports how they ended.

    Parameters
    ----------
    control : socket.socket
        From the runner: requests, each with two sockets attached.
    runner : int
        Descriptor of the runner's process.
    level : str
        Isolation of the students.
    folder : str
        For the checkers' working folders.
    checker, student : callable
        What the processes run.
    """

    def __init__(
        self,
        control: socket.socket,
        runner: int,
        level: str,
        folder: str,
        checker: Callable[..., None],
        student: Callable[..., None],
    ) -> None:
        self.control = control
        self.level = level
        self.folder = Path(folder)
        self.checker = checker
        self.student = student
        self.open = True
        self.submissions: list[Submission] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(control, selectors.EVENT_READ, self.accept)
        self.selector.register(runner, selectors.EVENT_READ, self.close)

    def serve(self) -> Become | None:
        """Run until the runner closes its end or ends.

        Returns
        -------
        callable or None
            In a child what it has to do; None in the server at its end.
        """
        while self.open:
            if become := forking.handle_events(self.selector, 60.0):
                return become
        for submission in self.submissions:
            end(submission, signal.SIGTERM)
        return None

    def close(self, _: object) -> None:
        """End; every child notices."""
        self.open = False

    def accept(self, control: socket.socket) -> Become | None:
        """Take one request."""
        try:
            request, (job, connection) = messages.receive(control, 2)
        except ConnectionError:
            self.close(control)
            return None
        return self.start(Limits(**request), job, socket.socket(fileno=connection))

    def start(self, limits: Limits, job: int, connection: socket.socket) -> Become | None:
        """Fork both processes of a submission and hand them to the runner."""
        channel = [end.detach() for end in socket.socketpair()]
        told, report = os.pipe()
        myself = os.pidfd_open(os.getpid())
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        submission = Submission(connection, told, folder)
        self.submissions.append(submission)
        answer: dict[str, Any] = {}
        for name, run, files in (
            ("student", self.run_student, [channel[0], myself, report]),
            ("checker", self.run_checker, [job, channel[1], myself]),
        ):
            try:
                pid = forking.fork()
            except (OSError, forking.NotForkableError) as error:
                answer = {"error": str(error)}
                break
            if pid == 0:
                if name == "checker":
                    os.chdir(folder)
                self.become_child(files)
                return functools.partial(run, limits, *files)
            answer[name] = pid
            submission.pidfds[name] = pidfd = os.pidfd_open(pid)
            ended = functools.partial(self.reap, submission, name, pid)
            self.selector.register(pidfd, selectors.EVENT_READ, ended)
        messages.close_all([job, *channel, report, myself])
        try:
            messages.send(connection, answer, [*submission.pidfds.values()])
        except OSError:  # the runner has given up
            answer = {"error": "nobody wants it"}
        if "error" in answer:
            end(submission, signal.SIGTERM)
            self.forget_if_over(submission)
        return None

    def become_child(self, keep: list[int]) -> None:
        """Drop everything that belongs to the server. Runs in the child."""
        for submission in self.submissions:
            submission.connection.close()
        self.control.close()
        self.selector.close()
        forking.become_independent(keep)

    def reap(self, submission: Submission, name: str, pid: int, pidfd: int) -> None:
        """Collect a process that has ended; a student has no purpose without its checker."""
        self.selector.unregister(pidfd)
        del submission.pidfds[name]
        code = forking.collect(pid, pidfd)
        if name == "checker":
            submission.ending["checker"] = code
            end(submission, signal.SIGHUP)
        else:
            with contextlib.suppress(ValueError):  # nothing, if the guard was killed
                submission.ending |= json.loads(os.read(submission.told, 1 << 16))
        self.forget_if_over(submission)

    def forget_if_over(self, submission: Submission) -> None:
        """Report to the runner once both processes have ended."""
        if submission.pidfds:
            return
        self.submissions.remove(submission)
        os.close(submission.told)
        jail.remove_tree(submission.folder)
        with contextlib.suppress(OSError), submission.connection:
            messages.send(submission.connection, submission.ending)

    def run_student(self, limits: Limits, channel: int, parent: int, report: int) -> None:
        """Be the student's process, in its jail. Runs in a child."""
        jail.enter(self.level, limits, parent, report)
        os.close(parent)
        self.student(*both_ways(channel), limits)

    def run_checker(self, limits: Limits, job: int, channel: int, parent: int) -> None:
        """Be the checker. Runs in a child."""
        jail.die_with(parent)
        jail.allow_looks(False)
        # A test may make something of the size that an answer says.
        jail.limit(resource.RLIMIT_DATA, CHECKER_MEMORY * limits.memory + jail.private_data())
        os.close(parent)
        self.checker(*both_ways(job), *both_ways(channel))


def end(submission: Submission, number: int) -> None:
    """End what runs of a submission; the student's guard gets a signal that it understands."""
    for name, pidfd in submission.pidfds.items():
        signal.pidfd_send_signal(pidfd, number if name == "student" else signal.SIGKILL)


def both_ways(descriptor: int) -> tuple[BinaryIO, BinaryIO]:
    """Open a socket for reading and for writing."""
    return os.fdopen(descriptor, "rb"), os.fdopen(os.dup(descriptor), "wb")


def find(name: str) -> Callable[..., None]:
    """Import a function, named as in "package.module:function"."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def main(arguments: list[str]) -> Become | None:
    """Run the server; returns what to do in each child."""
    control = socket.socket(fileno=int(arguments[0]))
    settings = json.loads(arguments[2])
    try:
        checker, student = find(settings["checker"]), find(settings["student"])
        modules = settings["modules"]
        forking.import_all(modules, LATE, lambda name: messages.send(control, {"importing": name}))
        forking.freeze()
    except Exception as error:
        messages.send(control, {"error": f"{type(error).__name__}: {error}"})
        return None
    server = os.getpid()
    folder = tempfile.mkdtemp(prefix="grading-checkers-")
    try:
        messages.send(control, {"ready": server, "folder": folder})
        about = (settings["level"], folder, checker, student)
        return Server(control, int(arguments[1]), *about).serve()
    finally:
        if os.getpid() == server:  # not in a child
            jail.remove_tree(Path(folder))


if __name__ == "__main__":
    become = main(sys.argv[1:])
    if become is not None:
        code = 1
        try:
            become()
            code = 0
        finally:
            os._exit(code)
