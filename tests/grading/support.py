"""What the tests of the checker share: jobs run with a forked student process, without a jail."""

import contextlib
import faulthandler
import io
import json
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import IPython.core.interactiveshell  # noqa: F401  # once, not in each fork
import numpy.random  # noqa: F401

from coursekit.grading import checker, student
from coursekit.grading.limits import Limits


@contextlib.contextmanager
def forked(limits: Limits) -> Iterator[tuple[Any, Any]]:
    """Fork a student process; give the checker's reader and writer."""
    here, there = socket.socketpair()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of pytest sleep
        pid = os.fork()
    if pid == 0:
        try:
            here.close()
            # Attacks write to every file that they find: not to pytest's, as in the real server.
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            os.closerange(3, there.fileno())
            os.closerange(there.fileno() + 1, 4096)
            faulthandler.disable()
            warnings.resetwarnings()  # pytest has made them errors
            student.run(there.makefile("rb"), there.makefile("wb"), limits)
        finally:
            os._exit(0)
    there.close()
    reader, writer = here.makefile("rb"), here.makefile("wb")
    try:
        yield reader, writer
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        for stream in (reader, writer, here):
            with contextlib.suppress(OSError):
                stream.close()


def run_job(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a job; give its events."""
    limits = {"cell_seconds": 10.0, **job.get("limits", {})}
    job = {"seed": 7, "imports": [], "own_classes": [], **job, "limits": limits}
    job["steps"] = [{"index": index, **step} for index, step in enumerate(job["steps"])]
    events = io.BytesIO()
    environment = dict(os.environ)
    try:
        with forked(Limits(**limits)) as (reader, writer):
            line = io.BytesIO(json.dumps(job).encode() + b"\n")
            checker.run(line, events, reader, writer)
    finally:
        os.environ.clear()
        os.environ.update(environment)
    return [json.loads(line) for line in events.getvalue().splitlines()]


def cell(source: str, *binds: str) -> dict[str, Any]:
    return {"kind": "cell", "grade_id": None, "source": source, "binds": list(binds)}


def trusted(source: str, *binds: str) -> dict[str, Any]:
    return {"kind": "trusted", "grade_id": "locked", "source": source, "binds": list(binds)}


def check(source: str, **about: Any) -> dict[str, Any]:
    step = {"kind": "tests", "grade_id": "t", "source": source, "points": 2.0, "released": source}
    return {**step, **about}


def grade(*steps: dict[str, Any], **about: Any) -> list[dict[str, Any]]:
    """Run steps; give the events of the tests."""
    events = run_job({"imports": ["import numpy as np"], **about, "steps": list(steps)})
    assert events[-1]["event"] in ("end", "lost"), events[-1]
    return [event for event in events if event["event"] == "test"]


def one(*steps: dict[str, Any], **about: Any) -> dict[str, Any]:
    """Run steps with one test; give what it got."""
    (result,) = grade(*steps, **about)
    return result
