"""The fork server's life, and what happens when something goes wrong."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import venv
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import KernelManager

from coursekit import kernels
from coursekit.kernels import client, provisioner
from tests.kernels.support import run_async, wait_until

LIGHT = ("numpy", "ipykernel.kernelapp", "matplotlib.pyplot")


def light(**changes: str) -> client.Wanted:
    return client.Wanted({**os.environ, **changes}, LIGHT, 60.0)


def status(place: client.Place) -> dict:
    return client.ask(place.socket, "status")


def test_two_that_need_a_server_at_once_share_one(own_server):
    """Started from two processes, as from two workers of a test run."""
    script = textwrap.dedent(f"""
        import os
        from coursekit.kernels import client
        wanted = client.Wanted(dict(os.environ), {LIGHT!r}, 60.0)
        lines = []
        with client.ensure_server(wanted, say=lines.append):
            print(len([line for line in lines if "ready" in line]))
    """)
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == ["1", "1"]
    (place,) = client.servers()
    assert status(place)["kernels"] == []


def test_prepared_server_is_the_one_that_kernels_use(own_server):
    client.prepare(light())
    client.prepare(light())  # while it warms up
    lines: list[str] = []
    client.ensure_server(light(), say=lines.append).close()
    client.prepare(light())  # while it runs
    assert len([line for line in lines if "ready" in line]) == 1
    assert len(client.servers()) == 1


def test_the_socket_is_private(own_server):
    client.ensure_server(light()).close()
    place = client.place(light())
    assert place.socket.stat().st_mode & 0o777 == 0o600
    assert place.socket.parent.stat().st_mode & 0o777 == 0o700
    assert place.log.stat().st_mode & 0o077 == 0


def test_a_client_of_another_user_gets_nothing(own_server, monkeypatch):
    connection = client.ensure_server(light())
    assert client.peer_uid(connection) == os.getuid()
    connection.close()
    monkeypatch.setattr(client, "peer_uid", lambda connection: os.getuid() + 1)
    with pytest.raises(client.WarmKernelError, match="another user"):
        client.ensure_server(light(), seconds=5)


def test_a_folder_open_to_others_is_not_used(own_server, monkeypatch):
    folder = client.runtime_folder()
    folder.chmod(0o755)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(own_server))
    assert client.runtime_folder() == own_server / f"coursekit-{os.getuid()}"
    client.runtime_folder().chmod(0o777)
    with pytest.raises(client.WarmKernelError, match="private folder"):
        client.runtime_folder()


def test_a_long_path_is_not_used(own_server, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own_server / ("x" * 100)))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(own_server))
    assert client.runtime_folder() == own_server / f"coursekit-{os.getuid()}"


@pytest.mark.parametrize(
    ("variable", "same"),
    [
        ("TF_ENABLE_ONEDNN_OPTS", False),
        ("PYTHONHASHSEED", False),
        ("LD_PRELOAD", False),
        ("TF_NUM_INTRAOP_THREADS", True),
        ("OPENBLAS_NUM_THREADS", True),
        ("MPLBACKEND", True),
        ("SECRET", True),
    ],
)
def test_variables_read_at_import_have_a_server_of_their_own(own_server, variable, same):
    assert (client.place(light(**{variable: "1x"})) == client.place(light())) is same


def test_other_modules_have_a_server_of_their_own(own_server):
    assert client.place(light()) != client.place(light()._replace(modules=("numpy",)))
    assert client.place(light()) == client.place(light()._replace(idle_seconds=1.0))


def test_another_virtual_environment_has_a_server_of_its_own(own_server):
    """Though its Python is a link to the same program, and it sees the same packages."""
    other = own_server / "other"
    venv.create(other, with_pip=False, symlinks=True)
    folder = next((other / "lib").glob("python*/site-packages"))
    (folder / "ours.pth").write_text("\n".join(path for path in sys.path if "site-pack" in path))
    (folder / "course.pth").write_text(str(Path(kernels.__file__).parents[2]))
    script = "import os; from coursekit.kernels import client\n"
    script += "print(client.place(client.Wanted(dict(os.environ))).socket)"
    places = []
    for python in (sys.executable, str(other / "bin" / "python")):
        run = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
        places.append(run.stdout)
    assert places[0] != places[1]
    assert not provisioner.is_this_python(str(other / "bin" / "python"))


def test_the_server_knows_no_secret(own_server):
    client.ensure_server(light(API_TOKEN="hush")).close()
    (place,) = client.servers()
    environ = Path(f"/proc/{status(place)['pid']}/environ").read_bytes()
    assert b"hush" not in environ
    assert b"JUPYTER" not in environ


def test_changed_files_end_the_server(own_server, open_kernel, monkeypatch):
    """A server that runs old files starts no kernel; one with the new files takes over."""
    package = own_server / "coursekit"
    shutil.copytree(Path(kernels.__file__).parents[1], package)
    script = textwrap.dedent("""
        import os, pathlib, sys
        import coursekit
        from coursekit.kernels import client
        wanted = client.Wanted(dict(os.environ), tuple(sys.argv[1].split(",")), 60.0)
        def start():
            return client.start_kernel(wanted, ["-f", "no.json"], cwd=os.getcwd(), stdout=2)
        def server():
            return client.ask(client.servers()[0].socket, "status")["pid"]
        first = start(); one = server(); place = client.place(wanted)
        assert coursekit.__file__.startswith(os.getcwd()), coursekit.__file__
        pathlib.Path("coursekit/new_module.py").write_text("x = 1")
        assert client.place(wanted) != place
        # Asked by a client that has not noticed the change: it must not get an old kernel.
        client.place = lambda wanted: place
        try:
            second = start()
        except client.WarmKernelError:
            raise SystemExit("no second server")
        two = server()
        print(one, two, first.poll(), second.poll())
        for kernel in (first, second):
            kernel.kill(); kernel.wait(10)
    """)
    monkeypatch.setenv("PYTHONPATH", str(own_server))
    command = [sys.executable, "-c", script, ",".join(LIGHT)]
    run = subprocess.run(command, cwd=own_server, capture_output=True, text=True)
    one, two, *polls = run.stdout.split() or [run.stderr]
    assert one != two
    assert polls == ["None", "None"]
    wait_until(lambda: not psutil.pid_exists(int(one)))


def test_idle_server_ends_and_leaves_nothing(own_server):
    wanted = light()._replace(idle_seconds=0.5)
    client.ensure_server(wanted).close()
    (place,) = client.servers()
    pid = status(place)["pid"]
    wait_until(lambda: not psutil.pid_exists(pid))
    assert list(client.runtime_folder().iterdir()) == []


def test_stopped_server_waits_for_its_kernels(own_server, open_kernel):
    kernel = open_kernel("light")
    (place,) = client.servers()
    pid = client.ask(place.socket, "stop")["pid"]
    assert client.servers() == []
    assert kernel.run("print(1)") == "1\n"
    kernel.manager.shutdown_kernel()
    wait_until(lambda: not psutil.pid_exists(pid))


def test_killed_server_does_not_take_its_kernels_along(own_server, open_kernel):
    kernel, doomed = open_kernel("light"), open_kernel("light")
    (place,) = client.servers()
    old = status(place)["pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(old))
    time.sleep(1.5)  # ipykernel's own watch looks once a second
    assert kernel.run("print(1)") == "1\n"
    assert kernel.manager.is_alive()
    doomed.client.execute("import os; os._exit(0)")
    wait_until(lambda: not doomed.manager.is_alive())
    assert doomed.process.poll() == client.WarmProcess.UNKNOWN
    # the next one finds a dead socket and starts a new server
    third = open_kernel("light")
    assert type(third.process).__name__ == "WarmProcess"
    assert status(place)["pid"] != old
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.run("print(2)") == "2\n"
    assert len(status(place)["kernels"]) == 2


def test_files_of_killed_servers_are_swept_up(own_server):
    client.ensure_server(light()).close()
    (place,) = client.servers()
    pid = status(place)["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid))
    client.ensure_server(light(PYTHONHASHSEED="3")).close()
    assert not any(path.exists() for path in place)
    assert len(client.servers()) == 1


@pytest.mark.parametrize("broken", ["no_such_module", "starts_a_thread"])
def test_failing_server_gives_a_normal_kernel_and_one_line(own_server, broken, caplog, monkeypatch):
    (own_server / "starts_a_thread.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(own_server))
    manager = KernelManager(kernel_name="light")
    manager.kernel_spec.metadata["kernel_provisioner"]["config"] = {"modules": ["numpy", broken]}
    manager.start_kernel()
    assert isinstance(manager.provisioner.process, subprocess.Popen)
    manager.shutdown_kernel(now=True)
    manager.context.destroy()
    reason = {
        "no_such_module": "No module named 'no_such_module'",
        "starts_a_thread": "2 threads run in the process that should be forked",
    }
    shown = [line for line in caplog.messages if "arm kernels" in line]
    assert len(shown) == 1
    assert reason[broken] in shown[0]
    assert shown[0].endswith("A normal kernel starts.")
    # the next one does not try again for a while
    manager = KernelManager(kernel_name="light")
    manager.start_kernel()
    assert caplog.messages[-1].startswith("Warm kernels are off (they failed a short while ago)")
    manager.shutdown_kernel(now=True)
    manager.context.destroy()


def test_server_that_does_not_answer_gives_a_normal_kernel(own_server, monkeypatch, caplog):
    client.ensure_server(light()).close()
    (place,) = client.servers()
    pid = status(place)["pid"]
    monkeypatch.setattr(client, "REPLY_SECONDS", 0.5)
    os.kill(pid, signal.SIGSTOP)
    try:
        manager = KernelManager(kernel_name="light")
        manager.start_kernel()
        assert isinstance(manager.provisioner.process, subprocess.Popen)
        assert "does not answer" in caplog.text
    finally:
        os.kill(pid, signal.SIGCONT)
    manager.shutdown_kernel(now=True)
    manager.context.destroy()
    monkeypatch.undo()
    assert status(place)["kernels"] == []  # the request that nobody waits for is dropped


def test_warm_up_that_takes_too_long_gives_a_normal_kernel(own_server, monkeypatch, caplog):
    (own_server / "slow_module.py").write_text("import time\ntime.sleep(6)\n")
    monkeypatch.setenv("PYTHONPATH", str(own_server))
    manager = KernelManager(kernel_name="light")
    config = {"modules": ["slow_module"], "warm_up_seconds": 1.0, "idle_seconds": 0.1}
    manager.kernel_spec.metadata["kernel_provisioner"]["config"] = config
    manager.start_kernel()
    assert isinstance(manager.provisioner.process, subprocess.Popen)
    assert "not ready after 1 seconds" in caplog.text
    manager.shutdown_kernel(now=True)
    manager.context.destroy()


def test_impossible_folder_is_refused_as_by_a_normal_kernel(own_server, caplog):
    manager = KernelManager(kernel_name="light")
    with pytest.raises(FileNotFoundError):
        manager.start_kernel(cwd="/no/such/folder")
    assert provisioner.WarmProvisioner._failed_at is None  # the server is well
    manager.context.destroy()


def test_cancelled_start_leaves_no_kernel(own_server, monkeypatch):
    """A kernel that comes when nobody waits for it any more is ended."""
    import asyncio

    ended = threading.Event()

    class Late:
        kill = ended.set

    def slow() -> Late:
        time.sleep(0.3)
        return Late()

    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(provisioner.in_thread(slow), 0.05)

    run_async(impatient)
    assert ended.wait(5)


def test_warm_up_is_told_once_with_progress(own_server, caplog):
    import logging

    with caplog.at_level(logging.INFO):
        for _ in range(2):
            manager = KernelManager(kernel_name="light", log=logging.getLogger("told"))
            manager.start_kernel()
            manager.shutdown_kernel(now=True)
            manager.context.destroy()
    told = [line for line in caplog.messages if line.startswith("Warm")]
    assert told[:3] == [
        "Warming up, once: NumPy (1 of 3) …",
        "Warming up, once: Jupyter (2 of 3) …",
        "Warming up, once: matplotlib (3 of 3) …",
    ]
    assert told[3].startswith("Warm kernels are ready after ")
    assert len(told) == 4


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ([sys.executable, "-m", "ipykernel_launcher", "-f", "x"], ["-f", "x"]),
        ([sys.executable + "3", "-m", "ipykernel_launcher", "-f", "x", "--a"], ["-f", "x", "--a"]),
        ([sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher"], []),
        ([sys.executable, "-O", "-m", "ipykernel_launcher", "-f", "x"], None),
        ([sys.executable, "-m", "other_kernel", "-f", "x"], None),
        (["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "x"], None),
        (["R", "--slave", "-e", "IRkernel::main()"], None),
    ],
)
def test_only_this_environments_python_is_forked(command, arguments):
    assert provisioner.launcher_arguments(command) == arguments


def test_another_kernel_starts_normally_and_silently(own_server, caplog):
    manager = KernelManager(kernel_name="light")
    manager.kernel_spec.argv.insert(1, "-B")
    manager.start_kernel()
    assert isinstance(manager.provisioner.process, subprocess.Popen)
    assert "arm kernels" not in caplog.text
    assert client.servers() == []
    manager.shutdown_kernel(now=True)
    manager.context.destroy()


def test_one_variable_switches_them_on():
    """In a program that knows nothing of them, with Jupyter's plain python3."""
    script = textwrap.dedent("""
        from jupyter_client.manager import KernelManager
        manager = KernelManager()
        manager.start_kernel()
        print(type(manager.provisioner.process).__name__)
        manager.shutdown_kernel(now=True)
    """)
    env = {name: value for name, value in os.environ.items() if name != "JUPYTER_PATH"}
    env.pop("JUPYTER_DEFAULT_PROVISIONER_NAME", None)
    command = [sys.executable, "-c", script]
    for variables, expected in (({}, "Popen"), (kernels.environment(), "WarmProcess")):
        run = subprocess.run(
            command, env=env | variables, capture_output=True, text=True, check=True
        )
        assert run.stdout == expected + "\n"


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"sys.platform": "darwin"}, "only shown safe on Linux"),
        ({"sys.platform": "win32"}, "only shown safe on Linux"),
        ({"os.pidfd_open": None}, "can't watch processes"),
    ],
)
def test_elsewhere_they_are_off(monkeypatch, patch, reason, own_server, caplog):
    kernels.unsupported.cache_clear()
    try:
        with monkeypatch.context() as patched:
            for name, value in patch.items():
                if value is None:
                    patched.delattr(name)
                else:
                    patched.setattr(name, value)
            assert reason in kernels.unsupported()
            assert kernels.environment() == {}
        # the answer is remembered: what the provisioner does with it
        manager = KernelManager(kernel_name="light")
        manager.start_kernel()
        assert isinstance(manager.provisioner.process, subprocess.Popen)
        assert reason in caplog.text
        manager.shutdown_kernel(now=True)
        manager.context.destroy()
    finally:
        kernels.unsupported.cache_clear()


def test_gpu_build_is_not_forked(monkeypatch):
    kernels.unsupported.cache_clear()
    monkeypatch.setattr(kernels, "_installed", lambda name: name == "tensorflow")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    try:
        assert "GPU build" in kernels.unsupported()
    finally:
        kernels.unsupported.cache_clear()


def test_a_lock_on_a_deleted_file_is_none(own_server):
    path = own_server / "lock"
    first = client.take_lock(path)
    assert client.take_lock(path) is None
    path.unlink()
    second = client.take_lock(path)
    assert second is not None
    client.close_all([first, second])
