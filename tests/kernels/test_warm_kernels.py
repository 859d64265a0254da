"""A forked kernel is as good as a new one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager, KernelManager

from tests.kernels.support import run_async, wait_until, warm_server

FIT = """
import numpy as np, keras
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile('adam', 'mse')
history = model.fit(np.ones((64, 4)), np.ones((64, 3)), epochs={epochs}, verbose=0)
print('losses', len(history.history['loss']))
"""
ENDLESS = FIT.format(epochs=1) + "print('started')\n" + FIT.format(epochs=10**9)


def test_tensorflow_trains(open_kernel):
    kernel = open_kernel("warm")
    assert kernel.run(FIT.format(epochs=2)) == "losses 2\n"
    assert type(kernel.process).__name__ == "WarmProcess"


def test_kernels_differ_and_nothing_leaks(open_kernel):
    draws = """
import random, numpy, keras, tensorflow as tf
print(random.random(), numpy.random.rand(), numpy.random.default_rng().random(),
      float(keras.random.normal(())), float(tf.random.normal(())), sep='\\n')
"""
    first, second = open_kernel("warm"), open_kernel("warm")
    numbers = [kernel.run(draws).split() for kernel in (first, second)]
    assert [a for a, b in zip(*numbers, strict=True) if a == b] == []
    first.run("import numpy; leak = numpy.leak = 1; import os; os.environ['LEAK'] = '1'")
    third = open_kernel("warm")
    asked = "import numpy, os; print('leak' in dir(), hasattr(numpy, 'leak'), 'LEAK' in os.environ)"
    assert third.run(asked) == "False False False\n"


def test_process_is_its_own(open_kernel, kind, tmp_path):
    """Session, group, folder, environment, signals, open files: for both kinds of kernel."""
    env = {**os.environ, "WORD": "a b=ü"}
    env.pop("USER", None)
    kernel = open_kernel(kind, cwd=str(tmp_path), env=env)
    seen = json.loads(
        kernel.run("""
import json, os, signal, sys, threading
print(json.dumps(dict(
    pid=os.getpid(), session=os.getsid(0), group=os.getpgid(0), cwd=os.getcwd(),
    word=os.environ['WORD'], user=os.environ.get('USER'), mask=len(signal.pthread_sigmask(0, [])),
    parent=os.environ['JPY_PARENT_PID'], leaked=[x for x in os.environ if 'COURSEKIT' in x],
    term=signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, argv=sys.argv[1:2],
    program=os.path.basename(sys.argv[0]), main=sys.modules['__main__'].__name__,
    path='' in sys.path, blank=os.read(0, 1).decode(),
    children=os.popen('echo $WORD').read(),
    unix=sum('socket' in os.path.realpath(f'/proc/self/fd/{x}') and True
             for x in os.listdir('/proc/self/fd')) > 0,
)))""")
    )
    assert seen["pid"] == seen["session"] == seen["group"] == kernel.pid
    assert seen["cwd"] == str(tmp_path)
    assert seen["word"] == "a b=ü"
    assert seen["children"] == "a b=ü\n"
    assert seen["user"] is None
    assert seen["parent"] == str(os.getpid())
    assert set(seen["leaked"]) == {name for name in env if "COURSEKIT" in name}
    assert seen["term"] is True
    assert seen["mask"] == 0
    assert (seen["argv"], seen["program"]) == (["-f"], "ipykernel_launcher.py")
    assert seen["main"] == "__main__"
    assert seen["path"] is True
    assert seen["blank"] == ""


def test_no_file_of_the_server_is_open(open_kernel, folders):
    other = open_kernel("warm")
    kernel = open_kernel("warm")
    names = kernel.run(
        "import os\nfor x in os.listdir('/proc/self/fd'):\n"
        "    if os.path.exists(f'/proc/self/fd/{x}'): print(os.readlink(f'/proc/self/fd/{x}'))"
    )
    assert "coursekit" not in names
    sockets = {c.raddr or c.laddr for c in psutil.Process(kernel.pid).net_connections("unix")}
    assert not [name for name in sockets if "coursekit" in str(name)]
    theirs = {c.fd for c in psutil.Process(other.pid).net_connections("tcp")}
    assert theirs  # the kernel's own ports


def test_limits_of_the_asking_process(open_kernel):
    """A child inherits umask, niceness, processors and limits; so does a forked kernel."""
    code = """
import os, resource
mask = os.umask(0); os.umask(mask)
print(oct(mask), len(os.sched_getaffinity(0)), resource.getrlimit(resource.RLIMIT_CORE))
"""
    script = f"""
import os, resource, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.kernels.support import Notebook
os.umask(0o27)
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
kernel = Notebook("warm")
print(type(kernel.process).__name__, kernel.run({code!r}))
kernel.close(now=True)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[0] == "WarmProcess 0o27 1 (0, 0)"


@pytest.mark.parametrize("variable", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("value", ["1", "3"])
def test_blas_threads_are_those_of_the_launch_environment(open_kernel, variable, value):
    count = """
import ctypes, numpy, re
path = re.search(r'(/\\S*openblas64\\S*)', open('/proc/self/maps').read())[1]
print(ctypes.CDLL(path).scipy_openblas_get_num_threads64_())
a = numpy.arange(360_000.0).reshape(600, 600)
print(numpy.allclose((a @ a)[5], [(a[5] * a[:, j]).sum() for j in range(600)]))
"""
    kernel = open_kernel("light", env={**os.environ, variable: value})
    assert kernel.run(count) == f"{value}\nTrue\n"


def test_tensorflow_threads_are_those_of_the_launch_environment(open_kernel):
    """Both kinds count the threads of TensorFlow's pools; fewer are wanted than the default."""
    count = """
import os, tensorflow as tf
before = len(os.listdir('/proc/self/task'))
tf.linalg.matmul(tf.ones((300, 300)), tf.ones((300, 300)))
print(len(os.listdir('/proc/self/task')) - before)
"""
    numbers = {}
    for threads in ("1", "6"):
        env = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
        numbers[threads] = int(open_kernel("warm", env={**os.environ, **env}).run(count))
    # two pools of so many threads each, and a few that serve other ends
    assert numbers["6"] - numbers["1"] >= 5


def test_figures_appear(open_kernel, kind):
    kernel = open_kernel(kind)
    kernel.run("import matplotlib.pyplot as plt; line = plt.plot([1, 2])")  # shown at cell's end
    assert "image/png" in kernel.displayed[0]
    kernel.run("len(plt.get_fignums())")  # and closed there
    assert kernel.displayed == [{"text/plain": "0"}]
    kernel.run("import matplotlib; matplotlib.get_backend()")
    assert "inline" in kernel.displayed[0]["text/plain"]


def test_backend_of_the_launch_environment(open_kernel, tmp_path):
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7\n")
    kernel = open_kernel("warm", env={**os.environ, "MPLBACKEND": "pdf"}, cwd=str(tmp_path))
    out = kernel.run(
        "import matplotlib as m; print(m.get_backend(), m.rcParams['lines.linewidth'])"
    )
    assert out == "pdf 7.0\n"


def test_widgets_appear_and_answer(open_kernel):
    kernel = open_kernel("warm")
    kernel.run("import ipywidgets; slider = ipywidgets.IntSlider(value=3); slider")
    (shown,) = kernel.displayed
    comm = shown["application/vnd.jupyter.widget-view+json"]["model_id"]
    content = {
        "comm_id": comm,
        "data": {"method": "update", "state": {"value": 5}, "buffer_paths": []},
    }
    message = kernel.client.session.msg("comm_msg", content)
    kernel.client.shell_channel.send(message)
    assert kernel.run("print(slider.value)") == "5\n"
    targets = "print(sorted(get_ipython().kernel.comm_manager.targets))"
    assert kernel.run(targets) == "['jupyter.widget', 'jupyter.widget.control']\n"


def test_log_lines_reach_the_notebook(open_kernel):
    kernel = open_kernel("warm")
    out = kernel.run("import absl.logging; absl.logging.error('a word of warning')")
    assert "a word of warning" in out


def test_debugger_stops_at_a_breakpoint(open_kernel):
    kernel = open_kernel("warm")
    number = iter(range(1, 100))

    def debug(command: str, **arguments: object) -> dict:
        content = {
            "type": "request",
            "seq": next(number),
            "command": command,
            "arguments": arguments,
        }
        message = kernel.client.session.msg("debug_request", content)
        kernel.client.control_channel.send(message)
        while True:
            reply = kernel.client.get_control_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return reply["content"]

    assert debug("initialize", clientID="t", adapterID="")["success"]
    assert debug("attach")["success"]
    code = "a = 1\nb = 2\n"
    path = debug("dumpCell", code=code)["body"]["sourcePath"]
    points = debug("setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}])
    assert points["body"]["breakpoints"][0]["verified"]
    debug("configurationDone")
    kernel.client.execute(code)
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "debug_event" and message["content"].get("event") == "stopped":
            break
    else:
        pytest.fail("the breakpoint was not hit")
    assert debug("disconnect", restart=False, terminateDebuggee=False)["success"]


def test_interrupt_during_fit(open_kernel):
    kernel = open_kernel("warm")
    identifier = kernel.client.execute(ENDLESS)
    wait_for_output(kernel, "started")
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=60)
    while reply["parent_header"]["msg_id"] != identifier:
        reply = kernel.client.get_shell_msg(timeout=60)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    # ipykernel drops what arrives in the moment after an error: ask until it listens again.
    answers = (kernel.run("print(model.count_params())") for _ in range(20))
    assert next(filter(None, answers), "") == "15\n"


def wait_for_output(kernel, word: str) -> None:
    while word not in kernel.client.get_iopub_msg(timeout=60)["content"].get("text", ""):
        pass


def test_restart_during_fit_keeps_ports(open_kernel):
    kernel = open_kernel("warm")
    pid, ports = kernel.pid, kernel.manager.get_connection_info()
    kernel.client.execute(ENDLESS)
    wait_for_output(kernel, "started")
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.run("print('model' in dir())") == "False\n"
    assert kernel.pid != pid
    assert not psutil.pid_exists(pid)
    assert kernel.manager.get_connection_info() == ports
    assert type(kernel.process).__name__ == "WarmProcess"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os._exit(7)", 7),
        ("import os; os.abort()", -6),
        # What the kernel of the system does to a process that ate all memory.
        ("import os; hog = bytearray(b'x') * 400_000_000; os.kill(os.getpid(), 9)", -9),
    ],
)
def test_death_is_noticed_with_its_exit_code(open_kernel, code, expected):
    other, kernel = open_kernel("warm"), open_kernel("warm")
    kernel.client.execute(code)
    wait_until(lambda: not kernel.manager.is_alive())
    assert kernel.process.poll() == expected
    assert kernel.process.wait(timeout=1) == expected
    assert other.run("print(1)") == "1\n"  # nobody else is touched
    kernel.manager.restart_kernel(now=True)  # as JupyterLab does
    kernel.client.wait_for_ready(timeout=60)


def test_shutdown_runs_exit_handlers(open_kernel, kind, tmp_path):
    kernel = open_kernel(kind, cwd=str(tmp_path))
    kernel.run("import atexit, pathlib; atexit.register(lambda: pathlib.Path('bye').touch())")
    pid = kernel.pid
    kernel.manager.shutdown_kernel()
    assert not psutil.pid_exists(pid)
    assert (tmp_path / "bye").exists()


def test_killed_group(open_kernel):
    kernel = open_kernel("warm")
    child = int(kernel.run("import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"))
    kernel.manager.shutdown_kernel(now=True)
    wait_until(lambda: not psutil.pid_exists(child))


def test_kernel_ends_with_the_process_that_asked(folders):
    """A killed Jupyter leaves no kernel behind, though the kernel is not its child."""
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.kernels.support import Notebook
kernel = Notebook("warm")
print(type(kernel.process).__name__, kernel.pid, flush=True)
time.sleep(1000)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as asker:
        kind, pid = asker.stdout.readline().split()
        assert kind == "WarmProcess"
        assert psutil.pid_exists(int(pid))
        asker.kill()
        wait_until(lambda: not psutil.pid_exists(int(pid)))


def test_fifty_in_a_row_leave_nothing_behind(folders):
    server = psutil.Process(warm_server())
    wait_until(lambda: not server.children())
    files, descriptors = runtime_files(folders), server.num_fds()
    for _ in range(50):
        manager = KernelManager(kernel_name="warm")
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.kernel_info(reply=True, timeout=60)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()
    assert server.children() == []
    assert runtime_files(folders) == files
    wait_until(lambda: server.num_fds() <= descriptors)


def test_eight_at_once(folders):
    server = psutil.Process(warm_server())
    wait_until(lambda: not server.children())
    before = server.num_fds()

    async def one() -> str:
        manager = AsyncKernelManager(kernel_name="warm")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=120)
        found: list[str] = []
        code = "import tensorflow as tf; print(float(tf.constant(1.0) + 1.0))"
        await client.execute_interactive(
            code, timeout=120, output_hook=lambda m: found.append(m["content"].get("text", ""))
        )
        client.stop_channels()
        await manager.shutdown_kernel()
        manager.context.destroy()
        return "".join(found)

    async def eight() -> list[str]:
        return await asyncio.gather(*[one() for _ in range(8)])

    assert run_async(eight) == ["2.0\n"] * 8
    assert server.children() == []
    wait_until(lambda: server.num_fds() <= before)


def runtime_files(root: Path) -> list[str]:
    """List what lies in the runtime folders: connection files, sockets, locks, logs."""
    return sorted(str(path) for path in root.glob("*runtime_dir/**/*") if not path.is_dir())


def test_further_kernels_share_memory(open_kernel):
    """A further idle kernel adds at most 80 MB to the sum of the proportional set sizes."""
    open_kernel("warm")
    first = proportional_megabytes()
    open_kernel("warm")
    assert 0 < proportional_megabytes() - first <= 80


def proportional_megabytes() -> float:
    server = psutil.Process(warm_server())
    return sum(p.memory_full_info().pss for p in (server, *server.children())) / 1e6


def test_signals_after_the_end_do_no_harm(open_kernel):
    kernel = open_kernel("warm")
    process = kernel.process
    kernel.manager.shutdown_kernel(now=True)
    process.send_signal(signal.SIGTERM)  # nobody is there any more
    assert process.poll() == -signal.SIGKILL


def test_files_for_standard_output(open_kernel, tmp_path):
    """What bypasses the notebook goes where the caller says, as with a normal kernel."""
    with (tmp_path / "out").open("w") as stream:
        kernel = open_kernel("light", stdout=stream, stderr=subprocess.DEVNULL)
    assert type(kernel.process).__name__ == "WarmProcess"
    # ipykernel leaves the descriptors alone under pytest
    kernel.run("import os; os.write(1, b'past the notebook'); os.write(2, b'nowhere')")
    assert (tmp_path / "out").read_text() == "past the notebook"


def test_output_of_c_libraries_reaches_the_notebook(open_kernel, kind):
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    kernel = open_kernel(kind, env=env)
    kernel.client.execute("import os; count = os.write(2, b'from a library')")
    wait_for_output(kernel, "from a library")
