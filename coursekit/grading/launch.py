"""Start the processes that grade a submission: a trusted checker and a shut-in student.

On Linux both are forked from a server that has imported everything (`ForkLauncher`). Elsewhere
they are ordinary processes (`SpawnLauncher`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from coursekit.grading.limits import DEFAULT_LEVEL, LEVELS, GradingError, Limits

CHECKER = "coursekit.grading.checker:run"
STUDENT = "coursekit.grading.student:run"
START_SECONDS = 300.0  # for importing TensorFlow from a slow disk
REPLY_SECONDS = 30.0
END_SECONDS = 5.0
PROBE_SECONDS = 30.0


@dataclass(frozen=True)
class Ending:
    """How the two processes of a submission ended.

    Parameters
    ----------
    student, checker : int or None
        Exit codes, negative for signals; None if unknown, and for a student that was killed with
        its jail.
    cpu_seconds : float
        Processor time of all processes of the student.
    peak_memory : int
        Bytes, at least: the most that `Pair.memory` saw, or the system.
    exceeded : str
        "disk" or "processes" if the guard ended the student for that, else "".
    problem : str
        Why there was no jail and so no student; normally "".
    missing : str
        What the jail lacks, as a sentence; normally "".
    """

    student: int | None = None
    checker: int | None = None
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    exceeded: str = ""
    problem: str = ""
    missing: str = ""


class Pair(Protocol):
    """The processes of one submission. `wait` must be called at the end, or `with` be used."""

    reader: BinaryIO
    writer: BinaryIO

    def kill_student(self) -> None:
        """End everything in the jail, now."""

    def kill(self) -> None:
        """End the checker and everything in the jail, now."""

    def memory(self) -> int:
        """Give the bytes that all processes of the student use now."""

    def wait(self) -> Ending:
        """Wait for the end, a few seconds at most; what still runs then is killed."""


class Launcher(Protocol):
    """Starts pairs of processes; its methods may be called from several threads."""

    isolation: str

    def start(self, limits: Limits) -> Pair:
        """Start a fresh checker and a fresh student."""

    def close(self) -> None:
        """End the server, if there is one, and all that still runs."""


# --- Linux: a fork server ------------------------------------------------------------------------


class ServerEndedError(Exception):
    """The fork server is gone; another one can be started."""


class ForkLauncher:
    """Starts pairs by asking a fork server, and another server when that one has died.

    Parameters
    ----------
    modules : sequence of str
        What the server imports in advance.
    isolation : str
        Level of the students' jails.
    checker, student : str
        What the processes run, as "module:function".
    progress : callable
        Called with the name of each of `modules` before it is imported.

    Raises
    ------
    GradingError
        If the server can't be started.
    """

    def __init__(
        self,
        modules: Sequence[str],
        isolation: str,
        *,
        checker: str = CHECKER,
        student: str = STUDENT,
        progress: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.isolation = isolation
        self._folders: list[str] = []  # of this server and of those that were killed
        self._settings = json.dumps(
            {"modules": [*modules], "level": isolation, "checker": checker, "student": student}
        )
        self._progress = progress
        self._lock = threading.Lock()
        self._closed = False
        self._start_server()

    def _start_server(self) -> None:
        from coursekit.kernels import messages

        self._control, theirs = socket.socketpair()
        runner = os.pidfd_open(os.getpid())
        command = [sys.executable, "-P", "-m", "coursekit.grading.server"]
        with theirs:
            self._server = subprocess.Popen(
                [*command, str(theirs.fileno()), str(runner), self._settings],
                cwd="/",
                env=server_environment(),
                pass_fds=[theirs.fileno(), runner],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        os.close(runner)
        try:
            self._control.settimeout(START_SECONDS)
            while "ready" not in (answer := messages.receive(self._control)[0]):
                if "error" in answer:
                    raise GradingError(f"the fork server did not start: {answer['error']}")
                self._progress(answer["importing"])
            self._folders.append(answer["folder"])
        except OSError as error:
            self._end_server()
            code = self._server.returncode
            raise GradingError(f"the fork server did not start (exit code {code})") from error
        except BaseException:
            self._end_server()
            raise

    def _end_server(self) -> None:
        self._control.close()
        try:
            self._server.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        for folder in self._folders:  # the server does it, unless it was killed
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Process number of the server."""
        return self._server.pid

    def start(self, limits: Limits) -> ForkPair:
        """Start a fresh checker and a fresh student.

        Raises
        ------
        GradingError
            If there is none to be had.
        """
        with contextlib.suppress(ServerEndedError):
            return self._request(limits)
        with self._lock:
            # Of several threads that notice, the first one starts the new server.
            if not self._closed and self._server.poll() is not None:
                self._control.close()
                self._start_server()
        try:
            return self._request(limits)
        except ServerEndedError as error:
            raise GradingError("the fork server has ended twice; is there memory left?") from error

    def _request(self, limits: Limits) -> ForkPair:
        from coursekit.kernels import messages

        job, their_job = socket.socketpair()
        connection, their_connection = socket.socketpair()
        connection.settimeout(REPLY_SECONDS)
        try:
            with their_job, their_connection, self._lock:
                ends = [their_job.fileno(), their_connection.fileno()]
                messages.send(self._control, vars(limits), ends)
            answer, pidfds = messages.receive(connection, 2)
        except OSError as error:
            job.close()
            connection.close()
            if isinstance(error, TimeoutError):
                raise GradingError("the fork server does not answer") from error
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(END_SECONDS)
            raise ServerEndedError from error
        if "error" in answer:
            messages.close_all(pidfds)
            job.close()
            connection.close()
            raise GradingError(f"no process for a submission could be started: {answer['error']}")
        return ForkPair(job, connection, answer["student"], pidfds[0], pidfds[1], limits)

    def close(self) -> None:
        """End the server and all that still runs."""
        with self._lock:
            self._closed = True
            self._end_server()


class ForkPair:
    """A forked checker and student.

    Parameters
    ----------
    job, connection : socket.socket
        To the checker and to the server.
    guard : int
        Process number of the student's guard.
    guard_pidfd, checker_pidfd : int
        Descriptors of the processes.
    limits : Limits
        What the student may use.
    """

    def __init__(
        self,
        job: socket.socket,
        connection: socket.socket,
        guard: int,
        guard_pidfd: int,
        checker_pidfd: int,
        limits: Limits,
    ) -> None:
        self.reader: BinaryIO = job.makefile("rb")
        self.writer: BinaryIO = job.makefile("wb")
        job.close()  # the files keep it
        self._connection = connection
        self._guard = guard
        self._limits = limits
        self._pidfds = {"guard": guard_pidfd, "checker": checker_pidfd}
        self._peak = 0
        self._ending: Ending | None = None

    def __enter__(self) -> ForkPair:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()

    def kill_student(self) -> None:
        """End everything in the jail, now."""
        self._signal("guard", signal.SIGTERM)  # it ends the others first

    def kill(self) -> None:
        """End the checker and everything in the jail, now."""
        self._signal("checker", signal.SIGKILL)
        self.kill_student()

    def _signal(self, name: str, number: int) -> None:
        if self._ending is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfds[name], number)

    def memory(self) -> int:
        """Give the bytes that all processes of the student use now."""
        from coursekit.grading import jail

        if self._ending is not None or has_ended(self._pidfds["guard"]):
            return 0
        used = jail.memory(self._guard, self._limits.memory)
        self._peak = max(self._peak, used)
        return used

    def wait(self) -> Ending:
        """Wait for the end, a few seconds at most; what still runs then is killed.

        Closes `reader` and `writer`.
        """
        if self._ending is None:
            about = self._receive()
            if about is None:
                self.kill()
                about = self._receive() or {}
            about["peak_memory"] = max(self._peak, about.get("peak_memory", 0))
            self._ending = Ending(**about)
            for each in (self.reader, self.writer, self._connection):
                with contextlib.suppress(OSError):  # what was not sent yet
                    each.close()
            for pidfd in self._pidfds.values():
                os.close(pidfd)
        return self._ending

    def _receive(self) -> dict[str, Any] | None:
        """Give the server's report, {} if it ended, None if nothing came in time."""
        from coursekit.kernels import messages

        self._connection.settimeout(END_SECONDS)
        try:
            return messages.receive(self._connection)[0]
        except TimeoutError:
            return None
        except OSError:
            return {}


def has_ended(pidfd: int) -> bool:
    """Say whether a process has ended."""
    return bool(select.select([pidfd], [], [], 0)[0])


# --- the rest: ordinary processes -----------------------------------------------------------------


class SpawnLauncher:
    """Starts pairs as ordinary processes: ``python -m CHECKER``, which starts the student itself.

    Parameters
    ----------
    checker : str
        Module that reads the job from standard input and writes events to standard output.
    """

    isolation = "spawned"

    def __init__(self, checker: str = CHECKER.partition(":")[0]) -> None:
        self._command = [sys.executable, "-P", "-m", checker]

    def start(self, limits: Limits) -> SpawnPair:
        """Start a checker; the limits reach it with its job.

        Raises
        ------
        GradingError
            If the system refuses.
        """
        try:
            return SpawnPair(self._command)
        except OSError as error:
            raise GradingError(f"no process could be started: {error}") from error

    def close(self) -> None:
        """Do nothing: there is no server."""


class SpawnPair:
    """A checker and the student that it started.

    Parameters
    ----------
    command : list of str
        Starts the checker.
    """

    def __init__(self, command: list[str]) -> None:
        # A test or a data file may write; not where the command was given.
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        student = Path(self._folder.name, "student")
        student.mkdir()
        self._process = subprocess.Popen(
            [*command, str(student)],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=server_environment(),
            start_new_session=True,  # Ctrl-C is for the runner
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.writer: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self.reader: BinaryIO = self._process.stdout  # type: ignore[assignment]
        self._seen: dict[int, tuple[Any, float]] = {}  # process and its processor time, by number
        self._peak = 0
        self._ending: Ending | None = None

    def __enter__(self) -> SpawnPair:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()

    def _students(self) -> list[Any]:
        """List the processes below the checker, those seen before included."""
        import psutil

        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                self._seen.setdefault(process.pid, (process, 0.0))
        for pid, (process, _) in self._seen.items():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self._seen[pid] = (process, times.user + times.system)
        return [process for process, _ in self._seen.values()]

    def kill_student(self) -> None:
        """End the student and what it started."""
        import psutil

        for process in self._students():
            with contextlib.suppress(psutil.Error):  # also if its number means another process now
                process.kill()

    def kill(self) -> None:
        """End the checker, the student and what it started."""
        self.kill_student()  # while they can be found
        self._process.kill()

    def memory(self) -> int:
        """Give the bytes that all processes of the student use now."""
        import psutil

        used = 0
        for process in self._students():
            with contextlib.suppress(psutil.Error):
                used += process.memory_info().rss
        self._peak = max(self._peak, used)
        return used

    def wait(self) -> Ending:
        """Wait for the end, a few seconds at most; what still runs then is killed.

        Closes `reader` and `writer`.
        """
        if self._ending is None:
            self._students()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self.kill_student()
            code = self._process.wait()
            for file in (self.reader, self.writer):
                with contextlib.suppress(OSError):
                    file.close()
            self._folder.cleanup()
            seconds = sum(used for _, used in self._seen.values())
            self._ending = Ending(None, code, seconds, self._peak)
        return self._ending


# --- which ----------------------------------------------------------------------------------------


def server_environment() -> dict[str, str]:
    """Give the environment of the graders' processes: the same everywhere, nothing private.

    Folders that libraries would fill in a home are led into nothing, but for the list of fonts,
    which takes matplotlib a second to make.
    """
    kept = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH")
    nowhere = os.path.join(os.devnull, "home")  # noqa: PTH118
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "matplotlib"
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "COURSEKIT_GRADING": "1",  # so that coursekit.check() in a notebook does not start another
        "CUDA_VISIBLE_DEVICES": "-1",
        "HOME": nowhere,
        "IPYTHONDIR": nowhere,
        "KERAS_BACKEND": "tensorflow",
        "NBGRADER_EXECUTION": "autograde",  # by which tests know where they run
        "KERAS_HOME": nowhere,
        "LANG": "C.UTF-8",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR") or str(cache),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUSERBASE": site.getuserbase(),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
    }


def probe() -> list[tuple[str, bool, str]]:
    """Try the levels of isolation in a process of its own.

    Returns
    -------
    list of (str, bool, str)
        Level, best first, whether it can be had, and why or why not in plain words.
    """
    if sys.platform != "linux":
        found = [(level, False, "only Linux has it") for level in LEVELS[:-1]]
        return [*found, (LEVELS[-1], True, "a process of its own, nothing more")]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "coursekit.grading.jail"],
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PROBE_SECONDS,
        check=True,
    )
    return [(level, available, why) for level, available, why in json.loads(done.stdout)]


def start(
    modules: Sequence[str],
    least: str = DEFAULT_LEVEL,
    *,
    best: str = LEVELS[0],
    levels: Sequence[tuple[str, bool, str]] | None = None,
    checker: str = CHECKER,
    student: str = STUDENT,
    progress: Callable[[str], None] = lambda name: None,
) -> Launcher:
    """Make a launcher of the best level of isolation that works here.

    Parameters
    ----------
    modules : sequence of str
        What a fork server imports in advance.
    least : str
        The worst level accepted, one of `limits.LEVELS`.
    best : str
        Levels above are not used.
    levels : list, optional
        What `probe` gave, if it was called before.
    checker, student : str
        What the processes run, as "module:function"; spawned ones run the checker's module.
    progress : callable
        Called with the name of each of `modules` before it is imported.

    Raises
    ------
    GradingError
        If no level from `best` down to `least` works, or the server can't be started.
    """
    allowed = LEVELS[LEVELS.index(best) : LEVELS.index(least) + 1]
    reasons = []
    for level, available, why in probe() if levels is None else levels:
        if level not in allowed:
            continue
        if level == "spawned":
            return SpawnLauncher(checker.partition(":")[0])
        if available:
            return ForkLauncher(modules, level, checker=checker, student=student, progress=progress)
        reasons.append(f"{level}: {why}")
    raise GradingError(
        f"this machine can't shut in strangers' code as asked ({'; '.join(reasons)}); "
        "use another machine, or accept less with --isolation"
    )
