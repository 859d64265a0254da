"""Find or start the fork server of this environment, and ask it for kernels. Linux only."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import resource
import select
import signal
import site
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_core.paths import jupyter_runtime_dir

from coursekit import __path__ as package_path
from coursekit.kernels import IDLE_SECONDS, MODULES
from coursekit.kernels.messages import close_all, receive, send

# What a kernel or its first use imports besides. Names may come and go with versions.
# matplotlib_inline is missing on purpose: its import sets up the notebook.
LATE_MODULES = (
    *("ipykernel.debugger", "IPython.core.debugger", "IPython.core.completerlib"),
    *("IPython.extensions.storemagic", "tornado.platform.asyncio", "sqlite3", "runpy"),
    *("jedi", "jedi.api.interpreter", "IPython.core.latex_symbols", "IPython.core.guarded_eval"),
    *("stack_data", "pygments.lexers.python", "pygments.formatters.html"),
    *("pygments.formatters.terminal256", "pygments.styles.default", "IPython.core.pylabtools"),
    *("matplotlib.backends.backend_agg", "PIL.PngImagePlugin", "PIL.JpegImagePlugin"),
)
# Read when Python starts or when a library is imported: a launch environment that differs in one
# of these is served by a server of its own.
IMPORT_TIME_PREFIXES = (
    *("PYTHON", "LD_", "MALLOC_", "GLIBC_TUNABLES", "LANG", "LC_", "HOME", "XDG_CONFIG_HOME"),
    *("XDG_CACHE_HOME", "TF_", "XLA_", "KERAS_", "CUDA_", "NVIDIA_", "DNNL_", "ONEDNN_", "MKL_"),
    *("OPENBLAS_", "NPY_", "NUMPY_", "MPLCONFIGDIR", "MATPLOTLIBRC", "JUPYTER_WIDGETS_ECHO"),
    "ANYWIDGET_",
)
# Of those, the ones that a forked kernel can still obey.
READ_LATER = {
    *("PYTHONSTARTUP", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    *("TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC"),
}
# What else the server itself gets. Nothing private, for every kernel can read it.
SERVER_VARIABLES = ("PATH", "USER", "LOGNAME", "TMPDIR", "TZ")
# As `import coursekit` does, so that a notebook need not import it before TensorFlow.
TENSORFLOW_DEFAULTS = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}

MAX_SOCKET_PATH = 107  # bytes; Linux's limit less the closing zero
CONNECT_SECONDS = 5.0
REPLY_SECONDS = 20.0
SPAWN_SECONDS = 30.0
REPORT_SECONDS = 1.0  # how long the exit code may come after the exit
LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "STACK")


class WarmKernelError(Exception):
    """No warm kernel could be had; the message is half a sentence for the user."""


class RefusedError(WarmKernelError):
    """The server could not start this one kernel; others may do."""


class OutdatedError(WarmKernelError):
    """The server ended between being found and being asked; another one may be started."""


class Place(NamedTuple):
    """The files of one server."""

    socket: Path
    lock: Path
    log: Path


class Wanted(NamedTuple):
    """What a server is started with.

    Its place depends on all of it but the idle time.
    """

    env: Mapping[str, str]
    modules: tuple[str, ...] = tuple(MODULES)
    idle_seconds: float = IDLE_SECONDS


# --- which server -------------------------------------------------------------------------------


def runtime_folder() -> Path:
    """Give the private folder for sockets, made if needed.

    Raises
    ------
    WarmKernelError
        If no candidate is ours alone with a path short enough.
    """
    candidates = [
        Path(os.environ.get("XDG_RUNTIME_DIR") or jupyter_runtime_dir()) / "coursekit",
        Path(tempfile.gettempdir()) / f"coursekit-{os.getuid()}",
    ]
    for folder in candidates:
        if len(os.fsencode(folder)) + len("/0123456789abcdef.sock") > MAX_SOCKET_PATH:
            continue
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
            if found.st_uid == os.getuid() and found.st_mode & 0o077 == 0 and folder.is_dir():
                return folder
    raise WarmKernelError("no private folder for their socket was found")


def fingerprint() -> str:
    """Describe the files that a server imports: any change makes another string.

    Looks at Python itself, at the names (with versions) of the installed packages, and at size
    and time of every file of the course.
    """
    digest = hashlib.sha256(repr((sys.version, sys.prefix, sys.executable)).encode())
    folders = {*site.getsitepackages(), sysconfig.get_path("purelib"), site.getusersitepackages()}
    for folder in sorted(folders):
        with contextlib.suppress(OSError):
            names = sorted(path.name for path in Path(folder).glob("*-info"))
            digest.update(repr((folder, names)).encode())
    for path in _course_files():
        with contextlib.suppress(OSError):  # deleted meanwhile
            stat = path.stat()
            digest.update(repr((str(path), stat.st_size, stat.st_mtime_ns)).encode())
    return digest.hexdigest()


def _course_files() -> Iterator[Path]:
    for root in package_path:
        for folder, subfolders, names in os.walk(root):
            subfolders[:] = sorted(set(subfolders) - {"__pycache__", "_course"})
            yield from (Path(folder, name) for name in sorted(names))


def import_time_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Select the variables that matter before or while modules are imported."""
    return {
        name: value
        for name, value in sorted(env.items())
        if name.startswith(IMPORT_TIME_PREFIXES) and name not in READ_LATER
    }


def place(wanted: Wanted) -> Place:
    """Give the files of the server for these wishes, for this environment, as it is now.

    Containers, namespaces and control groups (which carry memory limits) have their own servers.
    """
    spaces = []
    for name in ("cgroup", "ipc", "mnt", "net", "pid", "user"):
        with contextlib.suppress(OSError):
            spaces.append(str(Path(f"/proc/self/ns/{name}").readlink()))
    with contextlib.suppress(OSError):
        spaces.append(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    parts = [fingerprint(), import_time_variables(wanted.env), wanted.modules, spaces]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return place_of(runtime_folder() / f"{key}.sock")


def place_of(socket_path: Path) -> Place:
    """Give all files of the server with this socket."""
    return Place(socket_path, socket_path.with_suffix(".lock"), socket_path.with_suffix(".log"))


# --- connecting and starting --------------------------------------------------------------------


def connect(path: Path) -> socket.socket:
    """Connect to a server and check that it belongs to this user.

    Raises
    ------
    OSError
        If nobody answers there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(str(path))
        if peer_uid(connection) != os.getuid():
            raise PermissionError("the server belongs to another user")
    except BaseException:
        connection.close()
        raise
    return connection


def peer_uid(connection: socket.socket) -> int:
    """Ask the system who is at the other end."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])


def take_lock(path: Path) -> int | None:
    """Lock a file without waiting.

    Returns
    -------
    int or None
        A descriptor that holds the lock until its last copy is closed; None if another has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The server deletes the file when it ends; a lock on a deleted file excludes nobody.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def ensure_server(
    wanted: Wanted, seconds: float = 120.0, say: Callable[[str], None] = lambda line: None
) -> socket.socket:
    """Connect to the right server, started first if need be.

    Of several processes that want it at once, one starts it and the others wait. The server holds
    the lock while it warms up, so that a killed starter does no harm.

    Parameters
    ----------
    wanted : Wanted
        Environment and modules of the server.
    seconds : float
        How long to wait for it to be ready.
    say : callable
        Gets one line for each step of a warm-up.

    Raises
    ------
    WarmKernelError
        If it can't be started in time.
    """
    files = place(wanted)
    limit = time.monotonic() + seconds
    started = waited = False
    told = 0
    while True:
        try:
            connection = connect(files.socket)
            if waited:
                report(files.log, told, say)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        except OSError as error:
            raise WarmKernelError(f"their server does not answer ({error})") from error
        if (lock := take_lock(files.lock)) is not None:
            try:
                if started:
                    raise WarmKernelError(f"their server did not start: {last_line(files.log)}")
                sweep(files.socket.parent)
                spawn(wanted, files, lock)
                started = True
            finally:
                os.close(lock)
        waited = True
        told = report(files.log, told, say)
        if time.monotonic() > limit:
            raise WarmKernelError(f"their server was not ready after {seconds:.0f} seconds")
        time.sleep(0.05)


def prepare(wanted: Wanted) -> None:
    """Start the right server, unless it runs, without waiting until it is ready.

    Raises
    ------
    WarmKernelError
        If it can't be started.
    """
    files = place(wanted)
    try:
        connect(files.socket).close()
    except OSError:
        if (lock := take_lock(files.lock)) is not None:
            try:
                spawn(wanted, files, lock)
            finally:
                os.close(lock)


def spawn(wanted: Wanted, files: Place, lock: int) -> None:
    """Start a server in the background; it inherits the lock until it is ready."""
    files.socket.unlink(missing_ok=True)  # left by a server that was killed
    env = {name: wanted.env[name] for name in SERVER_VARIABLES if name in wanted.env}
    env |= import_time_variables(wanted.env)
    command = [sys.executable, "-m", "coursekit.kernels.server", str(files.socket), str(lock)]
    command += [str(wanted.idle_seconds), ",".join(wanted.modules)]
    options = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    log = os.open(files.log, options, 0o600)
    try:
        subprocess.run(
            command,
            cwd=files.socket.parent,
            env=env,
            pass_fds=[lock],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            timeout=SPAWN_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = last_line(files.log) or str(error)
        raise WarmKernelError(f"their server did not start: {reason}") from error
    finally:
        os.close(log)


def last_line(log: Path) -> str:
    """Give the last line of a server's log, which after a failure says what went wrong."""
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""


def report(log: Path, told: int, say: Callable[[str], None]) -> int:
    """Pass on the progress lines of a server from number `told`; give the number reached."""
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        steps = [line for line in lines if line.startswith("Warm")]
        for line in steps[told:]:
            say(line)
        return max(told, len(steps))
    return told


def sweep(folder: Path) -> None:
    """Delete the files of servers that were killed."""
    for path in folder.glob("*.sock"):
        try:
            connect(path).close()
        except ConnectionRefusedError:
            remove(place_of(path))
        except OSError:
            continue


def remove(files: Place) -> None:
    """Delete a server's files unless another process is starting it again just now."""
    lock = take_lock(files.lock)
    if lock is not None:
        for path in files:
            path.unlink(missing_ok=True)
        os.close(lock)


def servers() -> list[Place]:
    """List the servers of this user that have a socket, whatever their environment."""
    return [place_of(path) for path in sorted(runtime_folder().glob("*.sock"))]


# --- requests ----------------------------------------------------------------------------------


def ask(path: Path, what: str) -> dict[str, Any]:
    """Ask a server one thing that is not a kernel: "status" or "stop".

    Raises
    ------
    OSError
        If it does not answer.
    """
    with connect(path) as connection:
        connection.settimeout(REPLY_SECONDS)
        send(connection, {"do": what})
        return receive(connection)[0]


def limits() -> dict[str, Any]:
    """Collect what a child process inherits from this one besides its environment."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("Umask:"))
    names = [f"RLIMIT_{name}" for name in LIMITS]
    return {
        "umask": int(mask, 8),
        "affinity": sorted(os.sched_getaffinity(0)),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "rlimits": {name: resource.getrlimit(getattr(resource, name)) for name in names},
    }


def start_kernel(
    wanted: Wanted,
    arguments: Sequence[str],
    *,
    cwd: str,
    stdout: int = 1,
    stderr: int = 2,
    watch: bool = True,
    seconds: float = 120.0,
    say: Callable[[str], None] = lambda line: None,
) -> WarmProcess:
    """Start a kernel, and its server if need be.

    Parameters
    ----------
    wanted : Wanted
        `wanted.env` becomes the kernel's whole environment.
    arguments : sequence of str
        As for ``python -m ipykernel_launcher``.
    cwd : str
        The kernel's working directory.
    stdout, stderr : int
        Descriptors for the kernel's standard output and error.
    watch : bool
        Whether the kernel ends when this process ends.
    seconds, say
        As for `ensure_server`.

    Raises
    ------
    WarmKernelError
        If there is none to be had.
    """
    request: dict[str, Any] = {"do": "kernel", "arguments": [*arguments], "cwd": cwd}
    request |= {"env": dict(wanted.env), "limits": limits(), "watch": watch}
    for attempt in range(2):
        connection = ensure_server(wanted, seconds, say)
        try:
            return _request_kernel(connection, request, stdout, stderr)
        except OutdatedError:
            connection.close()
            if attempt:
                raise
        except BaseException:
            connection.close()
            raise
    raise AssertionError("unreachable")


def _request_kernel(
    connection: socket.socket, request: dict[str, Any], stdout: int, stderr: int
) -> WarmProcess:
    connection.settimeout(REPLY_SECONDS)
    myself = os.pidfd_open(os.getpid())
    try:
        send(connection, request, [stdout, stderr, myself])
        reply, descriptors = receive(connection, 1)
    except ConnectionError as error:
        raise OutdatedError("their server ended meanwhile") from error
    except OSError as error:
        raise WarmKernelError(f"their server does not answer ({error})") from error
    finally:
        os.close(myself)
    if "error" in reply:
        close_all(descriptors)
        raise RefusedError(reply["error"])
    return WarmProcess(reply["pid"], descriptors[0], connection)


# --- a kernel's process -------------------------------------------------------------------------


class WarmProcess:
    """A forked kernel, seen from the process that asked for it; behaves like a `Popen`.

    It is the server's child, so that the server reports how it ended. When the server is gone,
    the end is still noticed, but not the exit code.

    Parameters
    ----------
    pid : int
        Process number; that of its session and process group, too.
    pidfd : int
        Descriptor of the process. Unlike the number it never means another process.
    connection : socket.socket
        To the server.
    """

    stdin = stdout = stderr = None
    UNKNOWN = 1

    def __init__(self, pid: int, pidfd: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._connection = connection
        self._ended: float | None = None

    def __del__(self) -> None:
        self._connection.close()
        os.close(self._pidfd)

    def poll(self) -> int | None:
        """Give the exit code (negative for a signal), or None while the process runs."""
        if self.returncode is None and self._has_ended(0):
            self._ended = self._ended or time.monotonic()
            self.returncode = self._reported()
            if self.returncode is not None:
                self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and give the exit code.

        Raises
        ------
        subprocess.TimeoutExpired
            If it runs for longer.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if limit is not None and time.monotonic() > limit:
                raise subprocess.TimeoutExpired("warm kernel", timeout or 0)
            if self._has_ended(0.1):
                time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process group: the kernel and what it started."""
        try:
            signal.pidfd_send_signal(self._pidfd, 0)
        except ProcessLookupError:
            # The kernel is gone; what it started may live on. The number can't be taken by
            # another process as long as the group has members.
            if Path(f"/proc/{self.pid}").exists():
                return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, seconds: float) -> bool:
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def _reported(self) -> int | None:
        """Read the server's report; None if it may still come."""
        self._connection.setblocking(False)
        try:
            message, _ = receive(self._connection)
            return int(message["returncode"])
        except BlockingIOError:
            late = time.monotonic() - (self._ended or 0) > REPORT_SECONDS
            return self.UNKNOWN if late else None
        except (OSError, ValueError):
            return self.UNKNOWN
