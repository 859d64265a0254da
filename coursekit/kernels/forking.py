"""Import once, fork often: what any server that forks TensorFlow processes needs.

The rule: **the parent imports and never computes.** One TensorFlow operation starts thread pools
that a child does not inherit, and the child then waits for them for ever. Importing starts none,
as long as OpenBLAS is told to use one thread meanwhile.

Linux only. Nothing here knows of Jupyter.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import pkgutil
import random
import re
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

# How OpenBLAS chooses its number of threads, first match wins.
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
# The names under which builds of OpenBLAS export the same function (NumPy's, SciPy's, a system's).
BLAS_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
# `fit` imports these when it is first called.
TENSORFLOW_LATE = tuple(
    f"tensorflow.python.data.ops.{name}"
    for name in ("range_op", "flat_map_op", "from_tensors_op", "zip_op", "concatenate_op")
)
COURSE_EXCLUDED = ("coursekit.cli", "coursekit.kernels", "coursekit.grading")


class NotForkableError(RuntimeError):
    """The process has more than one thread, so its children might hang."""


def import_all(
    modules: Iterable[str],
    late: Iterable[str] = (),
    progress: Callable[[str], None] = lambda name: None,
) -> None:
    """Import modules without starting a thread, TensorFlow's and the course's lazy ones included.

    Parameters
    ----------
    modules : iterable of str
        Names in order. "coursekit" stands for all its modules that lectures use.
    late : iterable of str
        More names, each of which may be missing.
    progress : callable
        Called with each of `modules` before it is imported.

    Raises
    ------
    ImportError
        If one of `modules` can't be imported. Only modules of the course may fail: their author
        may be in the middle of a line, and should see the error in the notebook.
    """
    # Set before NumPy is loaded: OpenBLAS reads it once, and would start a thread per core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in modules:
        progress(name)
        importlib.import_module(name)
        if name == "tensorflow":
            resolve_tensorflow()
        if name == "coursekit":
            import_course()
    import_present(late)


def import_present(modules: Iterable[str]) -> None:
    """Import those of the modules that this version of their library has."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def resolve_tensorflow() -> None:
    """Import what TensorFlow defers until it is first used."""
    import tensorflow

    # Reading an attribute loads Keras behind the lazy name; it builds nothing.
    tensorflow.keras.Sequential  # noqa: B018
    import_present(TENSORFLOW_LATE)


def course_modules() -> list[str]:
    """List the modules of the course that lectures may import."""
    import coursekit

    found = pkgutil.walk_packages(coursekit.__path__, "coursekit.")
    return [module.name for module in found if not module.name.startswith(COURSE_EXCLUDED)]


def import_course() -> None:
    """Import the course's modules; one that fails is left for the notebook to complain about."""
    for name in course_modules():
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"{name} was not imported in advance: {error!r}", file=sys.stderr)


def freeze(seconds: float = 2.0) -> None:
    """Make the process ready to be forked: collect garbage, then keep the rest out of collections.

    Without it the first collection in a child would write to every object and copy all memory.

    Parameters
    ----------
    seconds : float
        How long to wait for helper threads of an import to end.

    Raises
    ------
    NotForkableError
        If more than one thread remains.
    """
    limit = time.monotonic() + seconds
    while count_threads() > 1 and time.monotonic() < limit:
        time.sleep(0.05)
    check_one_thread()
    gc.collect()
    gc.freeze()


def count_threads() -> int:
    """Count this process's threads, those that Python does not know of included."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def check_one_thread() -> None:
    """Raise `NotForkableError` unless this process has exactly one thread."""
    threads = count_threads()
    if threads != 1:
        raise NotForkableError(f"{threads} threads run in the process that should be forked")


def fork() -> int:
    """Fork a process with exactly one thread.

    The child should call `become_independent` first.

    Returns
    -------
    int
        0 in the child, its process number in the parent.

    Raises
    ------
    NotForkableError
        If there is more than one thread.
    OSError
        If the system refuses (out of memory or processes).
    """
    check_one_thread()
    return os.fork()


def handle_events(selector: selectors.BaseSelector, seconds: float) -> Any:
    """Wait for files to become ready and call what was registered as their data.

    Returns
    -------
    object
        What the first call returned that did not return None: that of a forked child, which so
        leaves its server's loop. Else None.
    """
    for event, _ in selector.select(seconds):
        if (result := event.data(event.fileobj)) is not None:
            return result
    return None


def collect(pid: int, pidfd: int) -> int:
    """Wait for the end of a child, close its descriptor, and give its exit code."""
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    return os.waitstatus_to_exitcode(status)


def reseed() -> None:
    """Give Python's and NumPy's global generators fresh random states.

    Keras and TensorFlow draw their first seeds from Python's or from the system in the child.
    """
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def become_independent(keep: Iterable[int] = ()) -> None:
    """Turn a forked child into a process of its own.

    New session and process group, default signals, fresh random states, and no inherited file open
    beyond standard input, output, error and `keep`.
    """
    reseed()
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    kept = {0, 1, 2, *keep}
    for path in list(Path("/proc/self/fd").iterdir()):
        if int(path.name) not in kept:
            with contextlib.suppress(OSError):  # the folder's own descriptor is gone already
                os.close(int(path.name))


def replace_environment(environment: Mapping[str, str]) -> None:
    """Make `environment` the whole environment, for Python and for C libraries."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def set_blas_threads() -> None:
    """Give OpenBLAS the threads that it would have chosen, had it been loaded just now."""
    wanted = len(os.sched_getaffinity(0))
    for variable in BLAS_VARIABLES:
        value = os.environ.get(variable, "")
        if value.isdecimal() and int(value) > 0:
            wanted = int(value)
            break
    if wanted == 1:
        return
    for library in _loaded_openblas():
        for name in BLAS_SETTERS:
            if hasattr(library, name):
                getattr(library, name)(wanted)
                break


def _loaded_openblas() -> list[ctypes.CDLL]:
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    paths = sorted(set(re.findall(r"(/\S*openblas\S*)$", maps, re.MULTILINE)))
    return [ctypes.CDLL(path) for path in paths if Path(path).exists()]
