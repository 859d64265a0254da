"""What stands for a library's function while a test runs, because the answer is in another process.

A test may look at the current figure, at the source of a function, or start the random numbers
that an answer draws. In the checker these functions ask the student process. What they give is
as true as any other answer of the student: it is graded, and never executed.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np

from coursekit.grading import testcell
from coursekit.grading.proxies import IN_PROCESS, REAL, Handle, Student

QUIET_MAGICS = ("matplotlib", "config", "load_ext", "reload_ext", "autoreload", "precision")


@contextlib.contextmanager
def standing_in(student: Student, source: str) -> Iterator[None]:
    """Replace functions of libraries while a test runs.

    Parameters
    ----------
    student : Student
        Who is asked.
    source : str
        The test.
    """
    functions: list[tuple[Any, str, Any]] = [
        # as they are, so that what the test does to them ends with it
        (sys, "stdin", student.stdin),
        *((builtins, name, function) for name, function in REAL.items()),
        (inspect, "getsourcelines", functools.partial(_source_lines, inspect.getsourcelines)),
    ]
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        for name in ("gca", "gcf", "get_fignums", "close"):
            current = functools.partial(_current, student, pyplot, name, getattr(pyplot, name))
            functions.append((pyplot, name, current))
    seeds = written_numbers(source)
    for library, module in (("random", random), ("numpy", np.random)):
        seed = functools.partial(_seed, student, library, seeds, module.seed)
        functions.append((module, "seed", seed))
    with contextlib.ExitStack() as stack:
        for module, name, function in functions:
            stack.enter_context(mock.patch.object(module, name, function))
        yield


def _source_lines(real: Callable[..., Any], function: Any) -> tuple[list[str], int]:
    """Ask for the source of a student's function."""
    if not isinstance(function, Handle):
        return real(function)
    student = function.coursekit_student
    text = student.once("source", function)
    if type(text) is not str:
        raise OSError("could not get source code")
    note = f"A test read the source of {function.coursekit_title}, as the student's process tells."
    if note not in student.notes:
        student.notes.append(note)
    return text.splitlines(keepends=True), 0


def _current(
    student: Student, pyplot: Any, name: str, real: Callable[..., Any], *arguments: Any
) -> Any:
    """Ask for the figures of the student, unless the test has drawn its own."""
    if name == "close":
        plain = [a for a in arguments if a is None or isinstance(a, int | str)]
        if len(plain) == len(arguments):
            real(*arguments)
        return student.ask("pyplot", name, *arguments)
    if pyplot._pylab_helpers.Gcf.figs:
        return real(*arguments)
    student.changed()
    return student.ask("pyplot", name, *arguments)


def _seed(
    student: Student,
    library: str,
    written: frozenset[int],
    real: Callable[..., None],
    value: Any = None,
    *more: Any,
    **named: Any,
) -> None:
    """Start random numbers; those from a seed that anybody can read are the student's, too."""
    real(value, *more, **named)
    if type(value) is int and value in written:
        student.random[library] = None
    else:
        student.random.pop(library, None)


def written_numbers(source: str) -> frozenset[int]:
    """List the whole numbers that are written in a test."""
    try:
        tree = testcell.parse(source)
    except SyntaxError:
        return frozenset()
    values = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(value for value in values if type(value) is int)


class Shell:
    """IPython, as far as a test may need it: what only prepares a notebook does nothing."""

    def run_line_magic(self, name: str, line: str, *_: Any) -> None:
        """Pass over magics such as ``%matplotlib inline``."""
        if name not in QUIET_MAGICS:
            raise TypeError(f"a test can't use %{name}{IN_PROCESS}")

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        """Refuse: it would run what follows somewhere else."""
        raise TypeError(f"a test can't use %%{name}{IN_PROCESS}")

    def system(self, line: str) -> None:
        """Pass over shell lines such as ``!pip install``."""

    def getoutput(self, line: str) -> None:
        """Refuse: there is no shell."""
        raise TypeError(f"a test can't read what !{line} prints{IN_PROCESS}")


def get_ipython() -> Shell:
    """Give what magics and shell lines become calls of."""
    return Shell()
