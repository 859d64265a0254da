"""The jail around a student's code: what it can see, reach and use up. Linux only.

`enter` turns a freshly forked process into a *guard* and gives it a child, the student's process.
The guard stays outside of the jail, ends everything in it, and reports how it ended.

At level "namespaces" the jail has its own processes, network, host name, and a file system made of
read-only views of Python and the system's libraries. Without namespaces Landlock hides files, and
the guard counts processes and files. Each level below keeps what works of the levels above.

``python -m coursekit.grading.jail`` tries the levels and prints what works, as JSON.

References
----------
namespaces(7), user_namespaces(7), pivot_root(2), mount_setattr(2), landlock(7), capabilities(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import math
import os
import platform
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coursekit.grading import seccomp
from coursekit.grading.limits import Limits
from coursekit.kernels import messages
from coursekit.kernels.forking import replace_environment

libc = ctypes.CDLL(None, use_errno=True)

NEW_USER, NEW_PID, NEW_NET, NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
NEW_MOUNTS, NEW_HOST_NAME, NEW_CGROUP = 0x00020000, 0x04000000, 0x02000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 1, 4, 8, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 36, 38, 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, LAST_CAP = 1, 2, 63
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
DETACH = 2
MOUNT_SETATTR, AT_RECURSIVE, AT_FDCWD = 442, 0x8000, -100
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

# The user numbers of root's jails: one for each guard, which nobody else has.
FIRST_UID, NOBODY = 1_000_000_000, 65534
ENTRIES = 20_000  # files and folders in the working folder
SHARED_MEMORY = 64 << 20  # bytes in /dev/shm
OPEN_FILES = 1024
GRACE_SECONDS = 0.2
LOOK_SECONDS = 0.1  # between the guard's looks at a jail that the system does not limit
BUFFERS = {"socket:": 256 << 10, "pipe:": 64 << 10}  # bytes of the system's memory in one
MANY = 8  # so many times the limit of processes where the system counts other jails, too

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache"),
    *("/etc/alternatives", "/etc/localtime", "/sys/devices/system/cpu"),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Harmless parts of /proc, for jails that can't have their own.
FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/filesystems")
PREFIX_PARTS = ("bin", "lib", "lib64", "libexec", "share", "pyvenv.cfg")

# What the student's process finds in its environment: harmless parts of its server's, and this.
INHERITED = (
    *("LANG", "MPLBACKEND", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "TZ"),
    *("CUDA_VISIBLE_DEVICES", "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"),
    *("COURSEKIT_GRADING", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS"),
)
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "USER": "student", "LOGNAME": "student"}


def checked(result: int, doing: str) -> int:
    """Raise the C library's error, naming the step, if a call gave -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")
    return result


# --- the guard ----------------------------------------------------------------------------------


def enter(level: str, limits: Limits, parent: int, report: int) -> None:
    """Become a guard; return only in its child, which is shut in.

    The child may use the descriptors that are open now, but `report`, and its working folder. It
    should end with `os._exit`.

    Parameters
    ----------
    level : str
        One of `limits.LEVELS` but "spawned".
    limits : Limits
        What the jail may use.
    parent : int
        Descriptor of the process that forked this one; the jail ends with it.
    report : int
        Descriptor of a pipe. The guard writes one JSON object at the end: ``student`` (exit code or
        negative signal, None if unknown), ``cpu_seconds``, ``peak_memory`` (bytes, a lower bound),
        ``exceeded`` ("disk", "processes" or ""), ``problem`` if there was no jail, and ``missing``
        if it lacks something.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, Guard.SIGNALS)
    checked(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "adopt orphans")
    allow_looks(True)  # else /proc/self belongs to root
    folder = None
    try:
        told, tell = os.pipe()
        if level == "namespaces":
            leave_namespaces()
        die_with(parent, signal.SIGTERM)
        if level != "namespaces":
            folder = Path(tempfile.mkdtemp(prefix=f"grading-{os.getpid()}-"))
        guard = os.pidfd_open(os.getpid())
        uid = jail_uid(os.getpid())
        if folder is not None:
            os.chown(folder, uid, -1)
        child = os.fork()
    except OSError as error:
        if folder is not None:
            remove_tree(folder)
        say(report, {"problem": problem(error)})
        os._exit(1)
    if child == 0:
        os.close(report)
        os.close(told)
        try:
            os.setsid()
            die_with(guard)
            if folder is None:
                become_init(limits, uid, guard, tell)
            else:
                shut_in_folder(level, limits, uid, guard, folder)
            os.close(guard)
            os.close(tell)
        except BaseException as error:
            say(tell, {"problem": problem(error)})
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        return
    close_all_but(report, told)
    ending = Guard(child, limits, folder).watch()
    for line in os.read(told, 1 << 16).splitlines():
        ending |= json.loads(line)
    say(report, ending)
    os._exit(0)


def say(pipe: int, about: dict[str, Any]) -> None:
    """Write one line of JSON, if somebody reads."""
    with contextlib.suppress(BrokenPipeError):
        os.write(pipe, json.dumps(about).encode() + b"\n")


def problem(error: BaseException) -> str:
    """Describe an error in a few words."""
    return error.strerror if isinstance(error, OSError) and error.strerror else repr(error)


class Guard:
    """Watches a jail from outside.

    Parameters
    ----------
    child : int
        Process number of the first process in the jail.
    limits : Limits
        For jails that the system does not limit.
    folder : Path or None
        The working folder, if it is on the machine's disk.
    """

    # SIGTERM ends the jail at once; SIGHUP leaves it a moment to end by itself.
    SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, child: int, limits: Limits, folder: Path | None) -> None:
        self.child = child
        self.limits = limits
        self.folder = folder
        self.code: int | None = None
        self.cpu_seconds = 0.0
        self.peak_memory = 0
        self.exceeded = ""
        self.start_memory = amount(os.getpid(), "status", ("VmRSS:",))

    def watch(self) -> dict[str, Any]:
        """Wait until the student's process ends or has to; leave nothing behind."""
        deadline = math.inf
        next_look = math.inf if self.folder is None else 0.0
        while not self.exceeded and (now := time.monotonic()) < deadline:
            patience = min(deadline - now, max(0.0, next_look - now), 3600.0)
            info = signal.sigtimedwait(self.SIGNALS, patience)
            number = info.si_signo if info else 0
            if number == signal.SIGTERM or (number == signal.SIGCHLD and self.reap()):
                break
            if number == signal.SIGHUP:
                deadline = now + GRACE_SECONDS
            if now >= next_look:
                self.exceeded = self.looks()
                next_look = now + LOOK_SECONDS
        self.end_all()
        if self.folder is not None:
            remove_tree(self.folder)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "student": self.code,
            "cpu_seconds": max(self.cpu_seconds, used.ru_utime + used.ru_stime),
            "peak_memory": max(0, self.peak_memory, (used.ru_maxrss << 10) - self.start_memory),
            "exceeded": self.exceeded,
        }

    def reap(self) -> bool:
        """Collect what has ended; say whether the first process has."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == self.child:
                    self.code = os.waitstatus_to_exitcode(status)
                if pid == 0:
                    break
        return self.code is not None

    def looks(self) -> str:
        """Look at what the jail uses; say which limit it broke, if any."""
        if sum(count_threads(pid) for pid in descendants(os.getpid())) > self.limits.processes:
            return "processes"
        if self.folder is not None and not fits(self.folder, self.limits.disk):
            return "disk"
        return ""

    def end_all(self) -> None:
        """Kill every process of the jail and wait until they are gone."""
        pids = list(descendants(os.getpid()))
        self.cpu_seconds = sum(map(cpu_seconds, pids))
        most = max((amount(pid, "status", ("VmHWM:",)) for pid in pids), default=0)
        self.peak_memory = most - self.start_memory
        while pids:
            # No new ones first: else a fork bomb might be faster.
            for pid in pids:
                with contextlib.suppress(OSError):
                    resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            if not (pids := list(descendants(os.getpid()))):
                break
            signal.sigtimedwait({signal.SIGCHLD}, 0.01)
        self.reap()


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Make this process get a signal when its parent ends.

    Parameters
    ----------
    parent : int
        Descriptor of the parent's process.
    number : int
        The signal.
    """
    checked(libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "watch the parent")
    if select.select([parent], [], [], 0)[0]:  # it ended before
        os._exit(1)


def close_all_but(*keep: int) -> None:
    """Close all files but standard input, output, error and some."""
    first = 3
    for descriptor in [*sorted(keep), 1 << 20]:
        os.closerange(first, descriptor)
        first = descriptor + 1


# --- looking at processes ------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    """List the numbers of all processes below one, as far as they are alive."""
    found: list[int] = []
    open_ends = [pid]
    while open_ends:
        parent = open_ends.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                with contextlib.suppress(OSError):
                    children = [int(pid) for pid in (task / "children").read_text().split()]
                    open_ends += children
                    found += children
    return found


def stat_fields(pid: int) -> list[str]:
    """Give the fields of /proc/PID/stat from the third one, the state; empty if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return []


def cpu_seconds(pid: int) -> float:
    """Give the processor time of a process and of its children that were waited for."""
    ticks = sum(map(int, stat_fields(pid)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def count_threads(pid: int) -> int:
    """Count the threads of a process."""
    fields = stat_fields(pid)
    return int(fields[17]) if fields and fields[0] != "Z" else 0


def memory(guard: int, enough: int) -> int:
    """Give the memory that a guard's processes use, beyond what they share with their server.

    Files do not count. Looking closely takes milliseconds, so that it is done only where it may
    matter; else pages that the student's processes share among themselves count several times.

    Parameters
    ----------
    guard : int
        Process number.
    enough : int
        Bytes; a closer look is taken only above.

    Returns
    -------
    int
        Bytes.
    """
    pids = descendants(guard)
    used = [amount(pid, "status", ("RssAnon:", "RssShmem:")) for pid in pids]
    tables = [amount(pid, "status", ("VmPTE:",)) for pid in pids]  # of empty pages, too
    server_tables = amount(guard, "status", ("VmPTE:",))
    system = buffers(pids) + sum(max(0, each - server_tables) for each in tables)
    if sum(used) + system <= enough:
        shared = amount(guard, "status", ("RssAnon:",))
        return system + sum(max(0, each - shared) for each in used)
    # Shared pages count in parts, those of the server, too: so much as in its idle child.
    parts = ("Pss_Anon:", "Pss_Shmem:")
    close = [amount(pid, "smaps_rollup", parts) or one for pid, one in zip(pids, used, strict=True)]
    return system + max(0, sum(close) - amount(guard, "smaps_rollup", parts))


def buffers(pids: Iterable[int]) -> int:
    """Give the bytes that the sockets and pipes of processes may hold, at most."""
    found: set[str] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for file in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(str(file.readlink()))
    return sum(size for name in found for kind, size in BUFFERS.items() if name.startswith(kind))


def amount(pid: int, file: str, fields: tuple[str, ...]) -> int:
    """Add up lines of a file about a process, in bytes; 0 if it may not be read."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/{file}").read_text("utf-8", "replace").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(fields)) << 10
    return 0


def count_of_user(uid: int) -> int:
    """Count the threads of one user on the machine."""
    count = 0
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and path.stat().st_uid == uid:
                count += count_threads(int(path.name))
    return count


def fits(folder: Path, limit: int) -> bool:
    """Say whether a folder holds no more than so many bytes and `ENTRIES` entries."""
    size = entries = 0
    with contextlib.suppress(RecursionError):  # raised for folders in folders in folders
        for place, folders, files in os.walk(folder):
            entries += len(folders) + len(files)
            for name in files:
                with contextlib.suppress(OSError):
                    size += os.lstat(f"{place}/{name}").st_blocks * 512
            if size > limit or entries > ENTRIES:
                return False
        return True
    return False


def remove_tree(folder: Path) -> None:
    """Delete a folder, whatever its owner did to it."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        subprocess.run(["chmod", "-R", "u+rwX", str(folder)], stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", str(folder)], stderr=subprocess.DEVNULL)


# --- into the jail -------------------------------------------------------------------------------


def jail_uid(guard: int) -> int:
    """Choose the user number of a jail: our own, but for root one that nobody else has."""
    if os.getuid() != 0:
        return os.getuid()
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text("ascii").splitlines()]
    wanted = FIRST_UID + guard
    if any(int(first) <= wanted < int(first) + int(count) for first, _, count in ranges):
        return wanted
    return NOBODY


def leave_namespaces() -> None:
    """Put this process into new namespaces; its children get new process numbers, too."""
    spaces = NEW_PID | NEW_NET | NEW_IPC | NEW_HOST_NAME | NEW_CGROUP
    uid, gid = os.getuid(), os.getgid()
    if uid != 0:
        spaces |= NEW_USER
    checked(libc.unshare(spaces), "make namespaces")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", "ascii")


def become_init(limits: Limits, uid: int, guard: int, tell: int) -> None:
    """Build the jail around its first process; return in the student's process.

    The first process outlives the student's only to say how that ended; then the kernel ends the
    rest.
    """
    # A handler of Python's would let the student's signals in.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    checked(libc.unshare(NEW_MOUNTS), "make a mount namespace")
    name = b"grading"
    checked(libc.sethostname(name, len(name)), "set the host name")
    be_first_out_of_memory()
    limit_resources(limits, limits.processes)
    if not build_root(limits):
        say(tell, {"missing": "The student has no /proc."})
    drop_privileges(uid)
    die_with(guard)
    allow_looks(False)
    restrict_files(["/"], ["/tmp", "/dev"])
    seccomp.install(seccomp.rules(own_processes=True, own_signals=True, pid=0))
    student = os.fork()
    if student == 0:
        allow_looks(True)
        settle(Path("/tmp"))
        return
    close_all_but(tell)
    while True:
        pid, status = os.wait()
        if pid == student:
            say(tell, {"student": os.waitstatus_to_exitcode(status)})
            os._exit(0)


def shut_in_folder(level: str, limits: Limits, uid: int, guard: int, folder: Path) -> None:
    """Shut this process in without namespaces."""
    be_first_out_of_memory()
    processes = limits.processes
    own_user = uid not in (os.getuid(), NOBODY)
    if not own_user:  # the system counts all processes of the user; the guard counts this jail's
        processes = MANY * processes + count_of_user(uid)
    drop_privileges(uid, keep_reading=level == "landlock")
    try:
        os.close(os.open(os.__file__, os.O_RDONLY))
    except PermissionError as error:  # late imports would fail, and honest work with them
        error.strerror = "Python lies in a folder that is closed to ordinary users"
        raise
    die_with(guard)
    allow_looks(True)
    limit_resources(limits, processes)
    scoped = False
    if level == "landlock":
        seen = [*visible(), *FACTS, f"/proc/{os.getpid()}"]
        version = restrict_files(seen, [str(folder), *DEVICES])
        if version == 0:
            raise OSError(errno.ENOSYS, "this system has no Landlock")
        scoped = version >= SCOPES
    refused = seccomp.rules(False, own_user or scoped, os.getpid())
    try:
        seccomp.install(refused)
    except OSError:
        if level == "landlock":
            raise
    settle(folder)


def be_first_out_of_memory() -> None:
    """Make the system choose this process when it runs out of memory."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def allow_looks(allow: bool) -> None:
    """Let processes of the same user look into this one, or not."""
    checked(libc.prctl(PR_SET_DUMPABLE, int(allow), 0, 0, 0), "set dumpable")


def settle(folder: Path) -> None:
    """Go to an empty working folder, with an environment that tells nothing of the host's."""
    work = folder / "work"
    work.mkdir()
    os.chdir(work)
    private = {"HOME": str(folder), "TMPDIR": str(folder), "PWD": str(work)}
    private["MPLCONFIGDIR"] = private["IPYTHONDIR"] = str(folder / ".config")
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    replace_environment(inherited | ENVIRONMENT | private)
    tempfile.tempdir = None
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        null = os.open(os.devnull, mode)
        os.dup2(null, descriptor)
        os.close(null)


def visible() -> list[str]:
    """List the files and folders that the jail shows, read-only: Python and the system's libraries.

    Of an editable install it is the package alone: the folder around it holds the solutions.
    """
    paths = [*SYSTEM]
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        for spelled in (Path(prefix), Path(prefix).resolve()):
            paths += [str(spelled / part) for part in PREFIX_PARTS]
    paths += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    paths.append(str(Path(__file__).resolve().parent.parent))
    found: list[str] = []
    for path in filter(os.path.lexists, paths):
        if not any(path == above or path.startswith(above + "/") for above in found):
            found.append(path)
    return found


def mount(
    source: str | Path, target: str | Path, kind: str | None, flags: int, options: str = ""
) -> None:
    """Call mount(2)."""
    names = [None if name is None else str(name).encode() for name in (source, target, kind)]
    result = libc.mount(*names, ctypes.c_ulong(flags), options.encode())
    checked(result, f"mount {kind or source} on {target}")


def set_mount(target: Path, attributes: int, recursive: bool = True) -> None:
    """Add attributes to a mount, and to all below it."""
    about = struct.pack("4Q", attributes, 0, 0, 0)
    how = AT_RECURSIVE if recursive else 0
    size = ctypes.c_size_t(len(about))
    result = libc.syscall(MOUNT_SETATTR, AT_FDCWD, str(target).encode(), how, about, size)
    checked(result, f"protect {target}")


def build_root(limits: Limits) -> bool:
    """Make a new file system of read-only views and of small ones in memory; move into it.

    Returns
    -------
    bool
        Whether it has a /proc.
    """
    mount("none", "/", None, RECURSIVE | PRIVATE)
    links = {path: Path(path).readlink() for path in visible() if Path(path).is_symlink()}
    # Opened now: the new root hides what is below it.
    views = [(path, os.open(path, os.O_PATH)) for path in visible() if path not in links]
    devices = [(path, os.open(path, os.O_PATH)) for path in DEVICES]
    facts = [(path, os.open(path, os.O_PATH)) for path in FACTS]
    root = Path("/tmp")
    mount("tmpfs", root, "tmpfs", NO_SUID, "size=1m,mode=755")
    # First: Python may lie below the host's /tmp.
    for name, size in (("tmp", limits.disk), ("dev/shm", SHARED_MEMORY)):
        (root / name).mkdir(parents=True)
        options = f"size={size},nr_inodes={ENTRIES},mode=1777"
        mount("tmpfs", root / name, "tmpfs", NO_SUID | NO_DEVICES, options)
    for path, target in links.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).symlink_to(target)
    show(views, root, NO_SUID | NO_DEVICES)
    show(devices, root, NO_SUID | NO_EXEC)
    for name, number in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (root / "dev" / name).symlink_to(f"/proc/self/fd{number}")
    (root / "proc").mkdir()
    try:
        mount("proc", root / "proc", "proc", NO_SUID | NO_DEVICES | NO_EXEC)
        own_proc = True
    except OSError:  # as in containers that hide parts of theirs
        own_proc = False
        show(facts, root, NO_SUID | NO_DEVICES | NO_EXEC)
    messages.close_all([descriptor for _, descriptor in (*views, *devices, *facts)])
    set_mount(root, READ_ONLY, recursive=False)
    os.chdir(root)
    result = libc.syscall(PIVOT_ROOT[platform.machine()], b".", b".")
    checked(result, "change the root")
    checked(libc.umount2(b".", DETACH), "leave the old root")
    os.chdir("/")
    return own_proc


def show(views: list[tuple[str, int]], root: Path, attributes: int) -> None:
    """Show open files and folders of the host under a new root, read-only."""
    for path, descriptor in views:
        target = root / path[1:]
        source = Path(f"/proc/self/fd/{descriptor}")
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        mount(source, target, None, BIND | RECURSIVE)
        set_mount(target, READ_ONLY | attributes)


def drop_privileges(uid: int, keep_reading: bool = False) -> None:
    """Become an ordinary user without capabilities, for ever.

    Parameters
    ----------
    uid : int
        User and group number.
    keep_reading : bool
        For root's jails without a file system of their own: folders above Python's may be closed
        to others, as ``/root`` is. What may be read is then a matter of Landlock's.
    """
    kept = 0
    if os.getuid() == 0:
        if keep_reading:
            held = capabilities()
            kept = held & 1 << CAP_DAC_READ_SEARCH or held & 1 << CAP_DAC_OVERRIDE
        drop_bounds(but=kept)
        checked(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep a capability")
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    else:
        drop_bounds(but=0)
    header = struct.pack("Ii", 0x20080522, 0)
    checked(libc.capset(header, struct.pack("6I", kept, kept, kept, 0, 0, 0)), "drop capabilities")
    if kept:  # for programs that the student starts
        cap = kept.bit_length() - 1
        checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0), "pass a capability on")
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "give up privileges")


def drop_bounds(but: int) -> None:
    """Make sure that no program gives capabilities back; without the right to do so, none could."""
    for cap in range(LAST_CAP + 1):
        if not but >> cap & 1:
            libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)


def capabilities() -> int:
    """Give the set of this process's capabilities."""
    status = Path("/proc/self/status").read_text("ascii", "replace")
    return int(status.split("CapPrm:")[1].split()[0], 16)


def limit_resources(limits: Limits, processes: int) -> None:
    """Set the limits that the system keeps for each process, or for each user."""
    cores = len(os.sched_getaffinity(0))
    limit(resource.RLIMIT_DATA, limits.memory + private_data())
    limit(resource.RLIMIT_CPU, int(limits.seconds * cores) + 5)
    limit(resource.RLIMIT_FSIZE, limits.disk)
    limit(resource.RLIMIT_NPROC, processes)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    limit(resource.RLIMIT_STACK, 8 << 20)
    for number in (resource.RLIMIT_CORE, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_MEMLOCK):
        limit(number, 0)


def limit(number: int, value: int) -> None:
    """Set one limit, unless it is lower."""
    hard = resource.getrlimit(number)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))


def private_data() -> int:
    """Give the bytes that count for RLIMIT_DATA in this process."""
    status = Path("/proc/self/status").read_text("ascii", "replace")
    return int(status.split("VmData:")[1].split()[0]) << 10


# --- Landlock -----------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF, VERSION, PATH_BENEATH = 444, 445, 446, 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1, 2, 4, 8, 1 << 14
MAKE_CHAR, MAKE_BLOCK, IOCTL_DEVICE = 1 << 6, 1 << 11, 1 << 15
TCP, SCOPED = 3, 3  # bind and connect; abstract sockets and signals
SCOPES = 6  # the first version with `SCOPED`
FILE_RIGHTS = (0, 13, 14, 15, 15, 16)  # how many each version has, the last one for later ones


def landlock_version() -> int:
    """Ask which version of Landlock the system has; 0 for none."""
    return max(0, libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION))


def restrict_files(read: Iterable[str], write: Iterable[str]) -> int:
    """Close the file system but for some files and folders, and TCP, for ever.

    Parameters
    ----------
    read : iterable of str
        What may be read and executed, with all below it.
    write : iterable of str
        What may be written, too.

    Returns
    -------
    int
        Version of Landlock in force, 0 for none.
    """
    version = landlock_version()
    if version == 0:
        return 0
    rights = (1 << FILE_RIGHTS[min(version, 5)]) - 1
    about = struct.pack("3Q", rights, TCP if version >= 4 else 0, SCOPED if version >= 6 else 0)
    size = 24 if version >= SCOPES else 16 if version >= 4 else 8
    result = libc.syscall(CREATE_RULESET, about, ctypes.c_size_t(size), 0)
    rules = checked(result, "make Landlock's rules")
    reading = EXECUTE | READ_FILE | READ_DIR
    writing = rights & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEVICE)
    for path, allowed in [
        *((path, reading) for path in read),
        *((path, writing) for path in write),
    ]:
        with contextlib.suppress(FileNotFoundError):
            beneath = os.open(path, os.O_PATH)
            if not Path(path).is_dir():
                allowed &= EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
            rule = struct.pack("=Qi", allowed & rights, beneath)
            checked(libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0), f"show {path}")
            os.close(beneath)
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "give up privileges")
    checked(libc.syscall(RESTRICT_SELF, rules, 0), "apply Landlock's rules")
    os.close(rules)
    return version


# --- what works here ----------------------------------------------------------------------------


def attempt(level: str) -> dict[str, Any]:
    """Build a jail and end it; give the guard's report, with `problem` if that failed.

    The calling process must have one thread.
    """
    told, report = os.pipe()
    myself = os.pidfd_open(os.getpid())
    guard = os.fork()
    if guard == 0:
        os.close(told)
        try:
            enter(level, Limits(), myself, report)
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(report)
    os.close(myself)
    answer = b""
    while part := os.read(told, 1 << 16):
        answer += part
    os.close(told)
    os.waitpid(guard, 0)
    ending = json.loads(answer or "{}")
    if ending.get("student") != 0:
        ending.setdefault("problem", f"the first process ended with {ending.get('student')}")
    return ending


def container() -> str:
    """Say how one can see that this is a container; empty if it is none, as far as one can see."""
    for mark in ("/.dockerenv", "/run/.containerenv", "/run/systemd/container"):
        if Path(mark).exists():
            return f"{mark} is there"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "KUBERNETES_SERVICE_HOST is set"
    with contextlib.suppress(OSError):
        groups = Path("/proc/1/cgroup").read_text("ascii", "replace")
        for name in ("docker", "kubepods", "containerd", "libpod", "lxc"):
            if name in groups:
                return f"the first process belongs to {name}"
    return ""


def probe() -> list[tuple[str, bool, str]]:
    """Try all levels; changes nothing, but must not be called with several threads.

    Returns
    -------
    list of (str, bool, str)
        Level, whether it can be had, and why or why not.
    """
    mark = container()
    found = []
    for level, good in (
        ("namespaces", "processes, network and files of its own."),
        ("landlock", f"Landlock (version {landlock_version()}), seccomp and resource limits."),
        ("container", f"{mark}."),
        ("rlimits", "resource limits only: files and network are open."),
    ):
        if level == "container" and not mark:
            found.append((level, False, "this does not look like a container"))
            continue
        report = attempt(level)
        why = f"{good} {report.get('missing', '')}".strip()
        found.append((level, "problem" not in report, report.get("problem", why)))
    found.append(("spawned", True, "a process of its own, nothing more"))
    return found


if __name__ == "__main__":
    print(json.dumps(probe()))
