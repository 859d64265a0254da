"""Launchers: which level, what stays behind, and what happens when something is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursekit.grading import launch
from coursekit.grading.limits import LEVELS, GradingError, Limits
from tests.grading import jails
from tests.grading.jails import ask, once, tell, wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@pytest.fixture(scope="module", params=["namespaces", "landlock", "rlimits"])
def launcher(request: pytest.FixtureRequest) -> Iterator[launch.ForkLauncher]:
    with jails.closing(jails.start(request.param)) as started:
        yield started


# --- which level ---------------------------------------------------------------------------------


def test_probe_names_every_level_with_a_reason():
    found = launch.probe()
    assert [level for level, _, _ in found] == [*LEVELS]
    assert all(why for _, _, why in found)
    assert found[-1][1]


def made_up(*works: str) -> list[tuple[str, bool, str]]:
    return [(level, level in works, f"why of {level}") for level in LEVELS]


def test_a_level_below_the_least_is_refused_in_one_line():
    with pytest.raises(GradingError, match=r"of namespaces.*of landlock.*--isolation") as error:
        launch.start([], "landlock", levels=made_up("container", "rlimits", "spawned"))
    assert "\n" not in str(error.value)
    assert "why of container" not in str(error.value)


@linux
def test_the_best_level_is_taken():
    for best, levels, expected in (
        ("namespaces", made_up("rlimits", "spawned"), "rlimits"),
        ("rlimits", made_up(*LEVELS), "rlimits"),
        ("spawned", made_up(*LEVELS), "spawned"),
        ("namespaces", made_up("spawned"), "spawned"),
    ):
        options = {"modules": ["tests.grading.probes"], "least": "spawned", **jails.PROBES}
        started = launch.start(best=best, levels=levels, **options)
        assert started.isolation == expected
        started.close()


@linux
def test_a_module_that_cannot_be_imported_is_one_line():
    with pytest.raises(
        GradingError, match=r"^the fork server did not start: ModuleNotFound.*nosuch"
    ):
        launch.ForkLauncher(["nosuch"], "rlimits", **jails.PROBES)


@linux
def test_progress_is_told():
    told: list[str] = []
    jails.start("rlimits", progress=told.append).close()
    assert told == ["tests.grading.probes"]


# --- pairs ---------------------------------------------------------------------------------------


@linux
def test_every_pair_is_fresh(launcher):
    assert once(launcher, "import json\njson.mark = 1\nresult = 1") == 1
    assert once(launcher, "import json\nresult = hasattr(json, 'mark')") is False


@linux
def test_limits_reach_the_student(launcher):
    seen = once(launcher, "result = limits.cell_seconds, limits.disk", cell_seconds=7.5)
    assert seen == [7.5, 256 << 20]


@linux
def test_no_files_of_the_server_or_of_others_are_open(launcher):
    code = """
import os, stat
result = []
for number in range(100):
    try:
        result.append([number, stat.S_IFMT(os.fstat(number).st_mode)])
    except OSError:
        pass
"""
    with launcher.start(Limits()):
        found = once(launcher, code)
    kinds = [kind for number, kind in found if number > 2]
    assert len(found) == 5  # standard three, and the channel twice
    assert set(kinds) == {0o140000}  # sockets


@linux
def test_threads_may_start_pairs_at_once(launcher):
    answers: list[object] = []

    def one(number: int) -> None:
        answers.append(once(launcher, f"result = {number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [*range(8)]


@linux
def test_nothing_stays_behind(launcher):
    guards: list[int] = []
    temporary = Path(tempfile.gettempdir())

    def left() -> dict[str, object]:
        return {
            "files": len([*Path("/proc/self/fd").iterdir()]),
            "server's files": len([*Path(f"/proc/{launcher.pid}/fd").iterdir()]),
            "children": jails.children(launcher.pid),
            "mounts": Path("/proc/self/mountinfo").read_text(),
            "folders": [path for pid in guards for path in temporary.glob(f"grading-{pid}-*")],
        }

    once(launcher, "result = 1")
    # Standard three, from and to the runner, and the selector; it closes a report's after sending.
    wait_until(lambda: left()["server's files"] == 6)
    before = left()
    for number in range(30):
        with launcher.start(Limits()) as pair:
            guards.append(pair._guard)
            assert ask(pair, "open('file', 'w').write('x')\nresult = 1") == 1
            if number % 10 == 0:  # in the middle of something
                tell(pair, "import os\nos.mkdir('d', 0)\nwhile True: os.fork()")
                pair.kill()
            elif number % 10 == 1:
                pair.kill_student()
            elif number % 10 == 2:
                pair.writer.close()
        pair.wait()
    wait_until(lambda: left() == before)


# --- what is killed ------------------------------------------------------------------------------


@linux
def test_another_server_is_started_when_one_has_died(launcher):
    first = launcher.pid
    with launcher.start(Limits()) as pair:
        ask(pair, "result = 1")
        os.kill(first, signal.SIGKILL)
        assert pair.reader.readline() == b""
        ending = pair.wait()
        assert (ending.student, ending.checker) == (None, None)
    assert once(launcher, "result = 2") == 2
    assert launcher.pid != first


@linux
@pytest.mark.parametrize("level", ["namespaces", "landlock", "rlimits"])
def test_everything_ends_with_the_runner(level):
    words = f"88{os.getpid()}"
    # The student is busy, so that it does not see that its checker is gone.
    code = f"""
import os
if os.fork() == 0:
    os.execv('/bin/sleep', ['sleep', '{words}'])
while True:
    pass
"""
    script = f"""
import signal
from coursekit.grading.limits import Limits
from tests.grading import jails
launcher = jails.start({level!r})
pair = launcher.start(Limits())
jails.tell(pair, {code!r})
print(launcher.pid, flush=True)
signal.pause()
"""
    works, why = {name: about for name, *about in launch.probe()}[level]
    if not works:
        pytest.skip(f"{level}: {why}")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        server = int(runner.stdout.readline())
        wait_until(lambda: jails.is_running(words))
        pids = [server, *jails.children(server)]
        runner.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    wait_until(lambda: not jails.is_running(words))


@linux
def test_a_closed_launcher_ends_what_runs():
    launcher = jails.start("rlimits")
    with launcher.start(Limits()) as pair:
        ask(pair, "result = 1")
        launcher.close()
        assert pair.reader.readline() == b""
    with pytest.raises(GradingError):
        launcher.start(Limits())


# --- spawned -------------------------------------------------------------------------------------


def test_spawned_processes_work_anywhere():
    launcher = launch.SpawnLauncher("tests.grading.probes")
    with launcher.start(Limits()) as pair:
        assert ask(pair, "data = bytearray(100 << 20)\nresult = 6 * 7") == 42
        assert pair.memory() > 90 << 20
        pair.kill_student()
        assert pair.reader.readline() == b""
        ending = pair.wait()
    assert ending.checker == 0
    assert ending.peak_memory > 90 << 20
    assert ending.cpu_seconds > 0


def test_a_spawned_student_is_killed_with_its_children():
    program = "import time; time.sleep(600)"
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {program!r}])
result = child.pid
"""
    import psutil

    with launch.SpawnLauncher("tests.grading.probes").start(Limits()) as pair:
        pid = ask(pair, code)
        process = psutil.Process(pid)
        pair.kill()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
