"""The rule that makes forking safe: the parent imports and never computes."""

import os
import subprocess
import sys
import textwrap


def run(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(script)]
    env = {**os.environ, **variables}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True)


def test_importing_the_package_runs_no_tensorflow_operation():
    """Every module, the command line and the graders included; an operation would be noticed."""
    script = """
        import importlib, os, pkgutil, coursekit
        for module in pkgutil.walk_packages(coursekit.__path__, "coursekit."):
            importlib.import_module(module.name)
        import tensorflow
        from tensorflow.python.eager import context
        def look():
            print(context.context()._context_handle is None, len(os.listdir("/proc/self/task")))
        look()
        tensorflow.constant(1) + 1
        look()
    """
    before, after = run(script, OPENBLAS_NUM_THREADS="1").stdout.splitlines()
    assert before == "True 1"
    assert after.split()[0] == "False"
    assert int(after.split()[1]) > 1


def test_fork_refuses_with_a_second_thread():
    script = """
        import threading
        from coursekit.kernels import forking
        stop = threading.Event()
        threading.Thread(target=stop.wait).start()
        try:
            forking.fork()
        except forking.NotForkableError as error:
            print(error)
        stop.set()
    """
    done = run(script)
    assert done.stdout == "2 threads run in the process that should be forked\n"


def test_a_broken_module_of_the_course_is_left_to_the_notebook(tmp_path):
    (tmp_path / "broken.py").write_text("import this is not Python")
    script = f"""
        import coursekit
        coursekit.__path__.append({str(tmp_path)!r})
        from coursekit.kernels import forking
        forking.import_course()
    """
    done = run(script)
    assert "coursekit.broken was not imported in advance: SyntaxError" in done.stderr
