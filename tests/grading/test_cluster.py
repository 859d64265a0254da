"""Grading on a Dask cluster of real processes: the same marks, whatever happens to a worker."""

import contextlib
import os
import sys
import time

import psutil
import pytest

from coursekit.grading import launch
from coursekit.grading.assignment import read_assignment
from coursekit.grading.launch import probe
from coursekit.grading.limits import GradingError
from coursekit.grading.results import Store
from coursekit.grading.runner import Grader, Settings, grade_all
from coursekit.grading.submissions import find
from tests.grading.notebook import answered, code, notebook, write

distributed = pytest.importorskip("distributed")

from coursekit.grading import cluster  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux"
        or not next(works for level, works, _ in probe() if level == "landlock"),
        reason="strangers' code can't be shut in here",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
]

STUDENTS = 16
DOUBLE = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
SERVER = ["-m", "coursekit.grading.server"]


def source():
    return notebook(
        code(DOUBLE, "answer", "double"),
        code("assert double(2) == 4", "tests", "test_two", 1),
        code("assert double(3) == 6", "tests", "test_three", 2),
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    for number in range(STUDENTS):
        body = "def double(x):\n    return x " + ("+ x", "* x")[number % 2]
        write(answered(source(), double=body), root / "handed" / f"s{number:02}.ipynb")
    return Settings(read_assignment(write(source(), root / "ps1" / "one.ipynb")))


@pytest.fixture(scope="module")
def work(settings):
    folder = settings.assignment.path.parents[1] / "handed"
    found = find(folder, settings.assignment.name, settings.assignment.notebook)
    return [(submission,) for submission in found]


@pytest.fixture(scope="module")
def expected(settings, work, tmp_path_factory):
    """The CSV of an ordinary run."""
    out = tmp_path_factory.mktemp("ordinary")
    with Grader(settings) as grader, Store(out) as store:
        for result in grade_all(lambda about: grader.grade(*about), work, 2):
            store.add(result)
    return (out / "grades.csv").read_bytes()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Two workers in processes of their own."""
    about = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    folder = str(tmp_path_factory.mktemp("dask"))
    with distributed.LocalCluster(**about, local_directory=folder) as local:
        yield local


def worker_pids(local):
    return [nanny.pid for nanny in local.workers.values() if nanny.pid]


def servers(pids):
    """List the fork servers beside workers: their direct children."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(pid).children()
            found += [child for child in children if SERVER[1] in child.cmdline()]
    return found


def wait_until(condition, message, seconds=30):
    limit = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < limit, message
        time.sleep(0.01)
    return result


def test_same_marks_with_one_server_per_worker(local, settings, work, expected, tmp_path):
    pids = worker_pids(local)
    seen = set()
    with cluster.connected(local.scheduler_address, settings) as client, Store(tmp_path) as store:
        for result in cluster.grade_all(client, work):
            store.add(result)
            seen |= {server.pid for server in servers(pids)}
            # All children of a worker are programs of their own; Dask's are, too.
            for pid in pids:
                mine = psutil.Process(pid).cmdline()
                assert all(child.cmdline() != mine for child in psutil.Process(pid).children())
    assert (tmp_path / "grades.csv").read_bytes() == expected
    assert len(seen) == 2
    wait_until(lambda: not servers(pids), "a server is left")
    assert sorted(worker_pids(local)) == sorted(pids)


def test_killed_worker(local, settings, work, expected, tmp_path):
    students = []
    with cluster.connected(local.scheduler_address, settings) as client, Store(tmp_path) as store:
        pids = worker_pids(local)
        (orphan,) = servers(pids[:1])
        for result in cluster.grade_all(client, work):
            students.append(result.student)
            store.add(result)
            if len(students) == 3:
                os.kill(pids[0], 9)
    assert sorted(students) == sorted({submission.student for (submission,) in work})
    assert (tmp_path / "grades.csv").read_bytes() == expected
    wait_until(lambda: not orphan.is_running(), "a server outlives its worker")
    wait_until(lambda: not servers(worker_pids(local)), "a server is left")


def test_no_scheduler(settings, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with (
        pytest.raises(GradingError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9:") as no,
        cluster.connected("tcp://127.0.0.1:9", settings),
    ):
        pass
    assert "\n" not in str(no.value)


def test_no_workers(settings):
    about = {"n_workers": 0, "processes": False, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**about) as local,
        pytest.raises(GradingError, match="has no workers; start some"),
        cluster.connected(local.scheduler_address, settings),
    ):
        pass


def test_workers_that_can_not_isolate(local, settings):
    client = distributed.Client(local, set_as_default=False)
    with client:
        client.run(_forget_levels)
        try:
            with (
                pytest.raises(GradingError, match=r"A worker .*this machine can't shut in") as no,
                cluster.connected(local.scheduler_address, settings),
            ):
                pass
        finally:
            client.run(_remember_levels)
    assert "\n" not in str(no.value)
    assert not servers(worker_pids(local))


def _forget_levels():
    launch.known_probe = launch.probe
    launch.probe = lambda: [(level, False, "not here") for level in ("namespaces", "landlock")]


def _remember_levels():
    launch.probe = launch.known_probe
