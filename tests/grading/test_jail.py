"""What code in the jail can't do, what it can, and that nothing of it stays."""

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursekit.grading import jail, launch, seccomp
from coursekit.grading.limits import Limits
from tests.grading import jails
from tests.grading.jails import ask, once, tell, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
ROOT = Path(__file__).parents[2]
COLUMN = seccomp.MACHINES.get(platform.machine(), (0, 0))[0]

# In the student: what became of a try, or of a system call by its number.
HELPERS = """
import ctypes, errno, mmap, os, resource, signal, socket, subprocess, sys, threading, time
def attempt(function, *arguments, **options):
    try:
        return function(*arguments, **options) and "done" or "done"
    except OSError as error:
        return errno.errorcode[error.errno]
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    done = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return errno.errorcode[ctypes.get_errno()] if done == -1 else "done"
"""


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
def launcher(request: pytest.FixtureRequest) -> Iterator[launch.ForkLauncher]:
    with jails.closing(jails.start(request.param)) as started:
        yield started


@pytest.fixture(scope="module")
def pair(launcher: launch.ForkLauncher) -> Iterator[launch.ForkPair]:
    """A student for questions that do it no harm."""
    with launcher.start(Limits(disk=8 << 20)) as started:
        ask(started, HELPERS)
        yield started


# --- files ---------------------------------------------------------------------------------------

HIDDEN = {"ENOENT", "EACCES"}
SOLUTION = next(ROOT.glob("solutions/*/*.ipynb"))


def test_files_of_the_host_cannot_be_read(pair):
    paths = [str(SOLUTION), __file__, "/etc/passwd", "/etc/hostname"]
    assert set(ask(pair, f"result = [attempt(open, path) for path in {paths}]")) <= HIDDEN


def test_nothing_of_the_course_but_its_package_is_visible(pair):
    seen = ask(
        pair, f"result = os.path.exists({str(ROOT)!r}) and attempt(os.listdir, {str(ROOT)!r})"
    )
    assert seen in ("done", "EACCES", False)
    if seen == "done":
        names = ask(pair, f"result = os.listdir({str(ROOT)!r})")
        assert set(names) <= {"coursekit", Path(sys.prefix).name}


def test_files_of_others_cannot_be_read_or_written(pair, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("42")
    for folder in (secret, *secret.parents[:2]):
        folder.chmod(0o777)
    for mode in ("r", "a"):
        assert ask(pair, f"result = attempt(open, {str(secret)!r}, {mode!r})") in (
            "ENOENT",
            "EACCES",
        )
    assert ask(pair, f"result = attempt(os.listdir, {str(tmp_path)!r})") in ("ENOENT", "EACCES")


def test_python_cannot_be_changed(pair):
    code = f"result = [attempt(open, path, 'a') for path in ({jail.__file__!r}, os.__file__)]"
    assert set(ask(pair, code)) <= {"EACCES", "EROFS", "EPERM"}
    code = "result = [attempt(os.mkdir, path) for path in ('/new', '/dev/new', '/usr/new')]"
    assert set(ask(pair, code)) <= {"EACCES", "EROFS", "EPERM"}


def test_the_working_folder_is_empty_and_can_be_used(pair):
    code = """
import tempfile
with tempfile.NamedTemporaryFile(mode="w") as file:
    print("hello", file=file)
before = os.listdir()
open("a", "w").write("text")
os.mkdir("folder")
os.rename("a", "folder/b")
os.remove("folder/b")
os.rmdir("folder")
result = before, os.listdir(), os.environ["HOME"], os.getcwd(), tempfile.gettempdir()
"""
    before, after, home, work, temporary = ask(pair, code)
    assert before == after == []
    assert Path(work).parent == Path(home) == Path(temporary)


def test_the_environment_is_scrubbed(launcher, monkeypatch):
    monkeypatch.setenv("COURSEKIT_SECRET", "42")
    with jails.closing(jails.start(launcher.isolation)) as fresh:
        seen = once(
            fresh, "import os\nresult = dict(os.environ), open('/proc/self/environ').read()"
        )
    assert "COURSEKIT_SECRET" not in str(seen)
    assert not {"COURSEKIT_SEED", "HISTFILE", "SSH_AUTH_SOCK"} & set(seen[0])


def test_modules_can_be_imported_late(pair):
    code = """
import decimal, sqlite3, xml.dom.minidom, coursekit.losses, matplotlib.pyplot as plt
plt.plot([1, 2]); plt.savefig("figure.png")
result = os.path.getsize("figure.png")
os.remove("figure.png")
"""
    assert ask(pair, code) > 1000


# --- other processes -----------------------------------------------------------------------------


def test_processes_outside_cannot_be_seen_or_signalled(launcher, pair):
    for pid in (os.getpid(), launcher.pid, os.getppid(), pair._guard):
        code = f"result = [attempt(os.kill, {pid}, 0), attempt(os.kill, -{pid}, 0)]"
        assert set(ask(pair, code)) <= {"EPERM", "ESRCH"}
        for file in ("environ", "mem", "maps", "cmdline", "status"):
            code = f"result = attempt(open, '/proc/{pid}/{file}')"
            assert ask(pair, code) in ("ENOENT", "EACCES", "EPERM")


def test_a_signal_to_everybody_hits_nobody_else(launcher):
    other = launcher.start(Limits())
    with other, launcher.start(Limits()) as pair:
        ask(pair, HELPERS)
        tell(pair, "attempt(os.kill, -1, signal.SIGKILL)\nos.kill(0, signal.SIGKILL)")
        assert pair.reader.readline() == b""
        assert pair.wait().student == -9
        assert ask(other, "result = 1") == 1


def test_the_first_process_of_the_jail_is_safe(pair):
    code = """
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    attempt(os.kill, os.getppid(), number)
result = [attempt(open, f"/proc/{os.getppid()}/{name}", "rb+") for name in ("mem", "fd/3")]
"""
    assert set(ask(pair, code)) <= {"EACCES", "ENOENT", "EPERM"}
    assert ask(pair, "result = 1") == 1


def test_limits_and_priorities_of_others_cannot_be_changed(pair):
    others = os.getpid()
    code = f"""
result = [attempt(resource.prlimit, {others}, resource.RLIMIT_CPU, (1, 1)),
          attempt(os.sched_setaffinity, {others}, [0]),
          attempt(os.setpriority, os.PRIO_PROCESS, {others}, 19)]
"""
    assert set(ask(pair, code)) <= {"EPERM", "ESRCH"}


# --- system calls --------------------------------------------------------------------------------


def test_dangerous_system_calls_are_refused(pair):
    numbers = {name: seccomp.NUMBERS[name][COLUMN] for name in (*seccomp.ALWAYS, "clone3")}
    numbers = {name: number for name, number in numbers.items() if number is not None}
    answers = ask(pair, f"result = [(name, call(number)) for name, number in {numbers}.items()]")
    assert dict(answers) == dict.fromkeys(numbers, "EPERM") | {"clone3": "ENOSYS"}


def test_dangerous_arguments_are_refused(pair):
    for name, arguments in (
        *(("clone", (flag | 17, 0, 0, 0, 0)) for flag in (jail.NEW_USER, jail.NEW_PID)),
        ("prctl", (jail.PR_SET_DUMPABLE, 0, 0, 0, 0)),
        ("ioctl", (0, seccomp.TIOCSTI, 0)),
        *(("socket", (family, 1, 0)) for family in (2, 10, 16, 17, 38, 40)),
    ):
        number = seccomp.NUMBERS[name][COLUMN]
        assert ask(pair, f"result = call({number}, *{arguments})") == "EPERM", (name, arguments)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86 only")
def test_other_ways_to_number_system_calls_are_closed(launcher, pair):
    assert ask(pair, "result = call(0x40000000 | 39)") == "ENOSYS"  # x32
    code = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))  # mov eax, getpid; int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
"""
    with launcher.start(Limits()) as other:
        tell(other, code)
        assert other.reader.readline() == b""
        assert other.wait().student == -31  # SIGSYS


def test_numbers_of_system_calls():
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no headers here")
    lines = [line.split() for line in header.read_text().splitlines()]
    numbers = {line[1].removeprefix("__NR_"): int(line[2]) for line in lines if len(line) == 3}
    known = {name: number for name, (number, _) in seccomp.NUMBERS.items()}
    assert known == {name: numbers[name] for name in known}


def test_capabilities_are_gone(launcher, pair):
    status = ask(pair, "result = open('/proc/self/status').read()")
    sets = {
        line.split(":")[0]: int(line.split()[1], 16)
        for line in status.splitlines()
        if "Cap" in line
    }
    if launcher.isolation == "namespaces":
        assert not any(sets.values())
    else:  # root's student must find Python below /root; what nobody can get back does not count
        del sets["CapBnd"]
        assert not any(held & ~0b110 for held in sets.values())
    assert "NoNewPrivs:\t1" in status
    assert ask(pair, "result = os.getuid(), os.geteuid()") != [0, 0]


# --- network -------------------------------------------------------------------------------------


def test_no_way_to_sockets_of_the_host(pair, tmp_path):
    tmp_path.chmod(0o777)
    abstract = f"\0coursekit-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as internet,
        socket.socket(socket.AF_UNIX) as hidden,
        socket.socket(socket.AF_UNIX) as visible,
    ):
        for listener, name in ((hidden, abstract), (visible, str(tmp_path / "socket"))):
            listener.bind(name)
            listener.listen()
        (tmp_path / "socket").chmod(0o777)
        code = f"""
def connect(family, name):
    with socket.socket(family) as end:
        end.connect(name)
result = [attempt(connect, socket.AF_INET, {internet.getsockname()!r}),
          attempt(connect, socket.AF_UNIX, {abstract!r}),
          attempt(connect, socket.AF_UNIX, {str(tmp_path / "socket")!r})]
"""
        answer = ask(pair, code)
    assert set(answer) <= {"EPERM", "EACCES", "ECONNREFUSED", "ENOENT"}


# --- limits --------------------------------------------------------------------------------------


def test_a_fork_bomb_ends_with_the_submission(launcher):
    before = len(jail.descendants(launcher.pid))
    code = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.001)
"""
    with launcher.start(Limits(processes=40)) as bomb, launcher.start(Limits()) as other:
        tell(bomb, code)
        wait_until(
            lambda: (
                len(jail.descendants(bomb._guard)) > 30 or launch.has_ended(bomb._pidfds["guard"])
            )
        )
        assert ask(other, "import os\nresult = os.system('/bin/true')") == 0
        bomb.kill()
        ending = bomb.wait()
        assert ending.exceeded in ("", "processes")
        assert len(jail.descendants(launcher.pid)) <= before + 4  # those of the other one
    assert len(jail.descendants(launcher.pid)) == before


def test_threads_count_as_processes(launcher):
    code = """
import threading
stop = threading.Event()
def start(count):
    try:
        for _ in range(count):
            threading.Thread(target=stop.wait, daemon=True).start()
    except RuntimeError as error:
        return str(error)
result = start(60)
"""
    assert once(launcher, code, processes=100) is None
    with launcher.start(Limits(processes=30)) as pair:
        answer = ask(pair, code)
        if answer is None:  # from threads that started, until the guard has counted them
            ending = pair.wait()
            assert ending.exceeded == "processes"
        else:
            assert answer == "can't start new thread"


@pytest.mark.parametrize("how", ["one big file", "many files"])
def test_the_disk_cannot_be_filled(launcher, how):
    code = {
        "one big file": "open('big', 'wb').write(bytes(6 << 20))",
        "many files": "for n in range(100_000): open(f'{n}', 'wb').write(bytes(1000))",
    }[how]
    with launcher.start(Limits(disk=5 << 20)) as pair:
        answer = ask(pair, f"import os\n{code}\nresult = 'done'")
        if answer is None:
            assert pair.wait().exceeded == "disk"
        else:
            assert answer.startswith("OSError: [Errno 2")  # 27, 28: too large, no space left


def test_deep_folders_do_not_stay(launcher):
    code = (
        "import os\nfor _ in range(1500): os.mkdir('d', 0o500); os.chmod('d', 0o700); os.chdir('d')"
    )
    with launcher.start(Limits()) as pair:
        ask(pair, f"{code}\nos.chmod('.', 0)")
    assert not [*Path(tempfile.gettempdir()).glob(f"grading-{pair._guard}-*")]


def test_memory_is_limited_and_counted(launcher):
    with launcher.start(Limits(memory=300 << 20)) as pair:
        assert pair.memory() < 30 << 20
        assert ask(pair, "data = bytearray(400 << 20)\nresult = 1") == "MemoryError: "
        ask(pair, "data = bytearray(100 << 20)\nresult = 1")
        assert 90 << 20 < pair.memory() < 130 << 20
        # Shared memory escapes the system's limit, and is seen all the same.
        ask(pair, "import mmap\nshared = mmap.mmap(-1, 250 << 20)")
        ask(pair, "for n in range(0, len(shared), 4096): shared[n] = 1")
        assert 340 << 20 < pair.memory() < 430 << 20
        # So is memory of child processes, without counting the same pages twice.
        ask(pair, "import os, time\nfor _ in range(3):\n  if os.fork() == 0: time.sleep(60)")
        assert 340 << 20 < pair.memory() < 420 << 20
        pair.kill_student()
        assert pair.wait().peak_memory > 340 << 20


def test_peak_memory_and_time_are_reported_without_being_watched(launcher):
    code = """
import time
data = bytearray(200 << 20)
del data
while time.process_time() < 0.3:
    pass
"""
    with launcher.start(Limits()) as pair:
        tell(pair, f"{code}\nimport os; os._exit(0)")
        ending = pair.wait()
    assert ending.peak_memory > 150 << 20
    assert 0.25 < ending.cpu_seconds < 2


def test_kernel_limits(pair):
    names = ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_NOFILE")
    code = f"result = [(name, resource.getrlimit(getattr(resource, name))) for name in {names}]"
    limits = dict(ask(pair, code))
    assert limits["RLIMIT_CORE"] == [0, 0]
    assert limits["RLIMIT_FSIZE"] == [8 << 20, 8 << 20]
    assert limits["RLIMIT_CPU"][1] >= 300
    assert limits["RLIMIT_NOFILE"][1] <= 1024
    assert (
        ask(pair, "result = attempt(lambda: [open('/dev/null') for _ in range(2000)])") == "EMFILE"
    )


# --- ends ----------------------------------------------------------------------------------------


def test_programs_and_children_work_and_end_with_the_submission(launcher):
    words = f"77{os.getpid()}"
    code = f"""
import os, subprocess, sys
done = subprocess.run(["/bin/sh", "-c", "echo $((6 * 7))"], capture_output=True, text=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", "{words}"])
    os._exit(0)
os.wait()
result = done.stdout
"""
    with launcher.start(Limits()) as pair:
        assert ask(pair, code) == "42\n"
        wait_until(lambda: jails.is_running(words))
        tell(pair, "import os; os._exit(3)")
        assert pair.reader.readline() == b""
        assert pair.wait().student == 3
    assert not jails.is_running(words)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("os._exit(7)", 7),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.abort()", -6),
        ("libc.memset(0, 0, 1)", -11),
    ],
)
def test_exit_codes(launcher, code, expected):
    with launcher.start(Limits()) as pair:
        ask(pair, HELPERS)
        tell(pair, code)
        assert pair.reader.readline() == b""
        assert pair.wait().student == expected


def test_a_student_that_ignores_everything_is_killed_at_once(launcher):
    code = """
import signal
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    pass
"""
    with launcher.start(Limits()) as pair:
        ask(pair, "result = 1")
        tell(pair, code)
        began = time.monotonic()
        pair.kill_student()
        assert pair.reader.readline() == b""
        assert pair.wait().checker in (0, 1)  # the relay ended by itself
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("level", ["namespaces"])
def test_tensorflow_trains_in_the_jail(level):
    """Convolution, recurrence, data pipeline, saving a model; the parent runs no operation."""
    code = """
import numpy as np, tensorflow as tf
from tensorflow import keras
x, y = np.ones((32, 6, 6, 1), "float32"), np.zeros(32)
layers = [keras.layers.Conv2D(2, 3), keras.layers.Reshape((4, 8)), keras.layers.LSTM(3)]
model = keras.Sequential([*layers, keras.layers.Dense(1)])
model.compile("adam", "mse")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(8).batch(16)
model.fit(data.map(lambda a, b: (a * 2, b), num_parallel_calls=2).prefetch(2), verbose=0)
model.save("model.keras")
same = keras.models.load_model("model.keras")
result = bool(np.allclose(same.predict(x, verbose=0), model(x)))
"""
    with jails.closing(jails.start(level, modules=("numpy", "tensorflow"))) as launcher:
        assert once(launcher, code) is True


def test_proc_can_be_missing():
    """As in a container that hides parts of its own, where nobody may mount another."""
    script = "from tests.grading import test_jail; test_jail.attempt_without_proc()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "The student has no /proc.\n", done.stderr


def attempt_without_proc() -> None:
    """Try a jail in this process, which must have one thread."""
    real = jail.mount

    def refuse(source, target, kind, *rest):
        if kind == "proc":
            raise PermissionError(1, "no")
        real(source, target, kind, *rest)

    jail.mount = refuse
    print(jail.attempt("namespaces")["missing"])


# --- once more, as somebody else -----------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="root only")
def test_all_of_this_as_an_ordinary_user(tmp_path):
    """In a mount namespace where Python can be reached, should it be in root's home."""
    if "namespaces" not in [level for level, works, _ in launch.probe() if works]:
        pytest.skip("no namespaces")
    home, python = Path.home(), Path(sys.base_prefix)
    steps = ["set -e"]
    if home in python.parents:
        steps += ["mount --bind $1 /mnt", "mount -t tmpfs -o mode=755 tmpfs $2", "mkdir -p $1"]
        steps += ["mount --bind /mnt $1"]
    steps += ["shift 2", 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"']
    command = ["unshare", "--mount", "sh", "-c", "\n".join(steps), "sh", str(python), str(home)]
    command += [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    files = [__file__, str(Path(__file__).with_name("test_runner.py"))]
    folder = tempfile.mkdtemp()
    Path(folder).chmod(0o777)
    try:
        done = subprocess.run(
            [*command, f"--basetemp={folder}/pytest", "-k", "not tensorflow", *files],
            cwd=ROOT,
            env={**os.environ, "HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
