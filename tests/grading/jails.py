"""Launchers whose students obey the tests, and looks at what is left of them."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.grading import launch
from coursekit.grading.limits import Limits

PROBES = {"checker": "tests.grading.probes:relay", "student": "tests.grading.probes:obey"}
SECONDS = 20.0


def start(level: str, modules: tuple[str, ...] = (), **options: Any) -> launch.ForkLauncher:
    """Start a launcher of exactly this level, or skip the test where there is none."""
    found = {name: (available, why) for name, available, why in launch.probe()}
    if not found[level][0]:
        pytest.skip(f"{level}: {found[level][1]}")
    return launch.ForkLauncher(["tests.grading.probes", *modules], level, **{**PROBES, **options})


@contextlib.contextmanager
def closing(launcher: launch.ForkLauncher) -> Iterator[launch.ForkLauncher]:
    try:
        yield launcher
    finally:
        launcher.close()


def tell(pair: launch.Pair, code: str) -> None:
    """Let the student run code, without waiting."""
    pair.writer.write(json.dumps(code).encode() + b"\n")
    pair.writer.flush()


def ask(pair: launch.Pair, code: str) -> Any:
    """Let the student run code and give what it calls `result`; None if it has died."""
    tell(pair, code)
    return json.loads(pair.reader.readline() or "null")


def once(launcher: launch.Launcher, code: str, **limits: Any) -> Any:
    """Ask one question of a fresh student."""
    with launcher.start(Limits(**limits)) as pair:
        return ask(pair, code)


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s"
        time.sleep(0.01)


def is_running(words: str) -> bool:
    """Say whether a process has these words in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if words in path.read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                return int(path.parent.name) != os.getpid()
    return False


def children(pid: int) -> list[int]:
    """List the processes below one."""
    import psutil

    return sorted(child.pid for child in psutil.Process(pid).children(recursive=True))
