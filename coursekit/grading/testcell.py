"""Run a test cell statement by statement, and say what came out in words that help.

Nothing here knows of processes: the checker runs tests with it on handles of the student's objects,
and ``--in-process`` runs them on the objects themselves.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import difflib
import inspect
import io
import itertools
import linecache
import math
import numbers
import random
import reprlib
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.grading.alarm import TimeUpError

MAX_TEXT = 2000  # characters of a message
MAX_VALUE = 300  # characters of a value
MAX_PRINTED = 20_000
KEEP = "__coursekit_keep__"
FROM_STUDENT = "coursekit_from_student"  # marks exceptions that student code raised
COUNTER = itertools.count(1)

SYMBOLS = {
    ast.Eq: "",
    ast.NotEq: "not ",
    ast.Lt: "< ",
    ast.LtE: "<= ",
    ast.Gt: "> ",
    ast.GtE: ">= ",
    ast.Is: "",
    ast.IsNot: "not ",
    ast.In: "in ",
    ast.NotIn: "not in ",
}


def run_test(
    source: str,
    points: float,
    released: str,
    names: dict[str, Any],
    last_call: Callable[[], str] = lambda: "",
    stop: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run a test cell.

    Parameters
    ----------
    source : str
        The cell of the instructor's notebook.
    points : float
        What it is worth.
    released : str
        The part of it that students see.
    names : dict
        Globals of the tests.
    last_call : callable
        Gives the latest call of a student's function as text.
    stop : callable
        Lifts the time limit; called when the cell is over.

    Returns
    -------
    dict
        ``verdict``, ``points``, ``message``, ``tried``, ``expected``, ``got``, ``hidden``,
        ``seconds``.
    """
    began = time.monotonic()
    watch = Watch()
    name = f"<test {next(COUNTER)}>"
    printed = Printed(MAX_PRINTED)
    value, failure = None, None
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")
        try:
            with contextlib.redirect_stderr(Printed(0)):
                value = _execute(source, name, names, watch)
        except (Exception, TimeUpError, SystemExit, KeyboardInterrupt) as error:
            failure = error
        finally:
            stop()
    result = {"tried": "", "expected": "", "got": "", "hidden": False}
    if failure is None:
        result |= _marks(value, points, source, printed)
    else:
        line = _line(failure, name)
        result["hidden"] = line in hidden_lines(source, released)
        result |= {"points": 0.0, "verdict": verdict(failure)}
        result["message"] = _message(failure, source, line, bool(result["hidden"]))
        if printed.getvalue() and not result["message"]:
            result["message"] = short(printed.getvalue(), MAX_TEXT)
        if result["verdict"] == "wrong" and not result["hidden"]:
            result |= watch.explain(failure, last_call)
    result["seconds"] = round(time.monotonic() - began, 6)
    return result


def failed(failure: TimeUpError) -> dict[str, Any]:
    """Give the result of a test that could not even say how long it took."""
    texts = dict.fromkeys(("tried", "expected", "got"), "")
    message = _message(failure, "", 0, hidden=False)
    about = {"verdict": verdict(failure), "points": 0.0, "message": message}
    return {**texts, **about, "hidden": False, "seconds": 0.0}


def _execute(source: str, name: str, names: dict[str, Any], watch: Watch) -> Any:
    """Execute statements; give the value of the last one if it is an expression."""
    tree = parse(source)
    names[KEEP] = watch.keep
    body = [watch.visit(statement) for statement in tree.body]
    ast.fix_missing_locations(tree)
    silent = source.rstrip().endswith(";")
    value = None
    with asyncio.Runner() as runner:  # starts a loop only if there is something to await
        for statement in body:
            last = statement is body[-1] and isinstance(statement, ast.Expr) and not silent
            code = compile(
                ast.Expression(statement.value) if last else ast.Module([statement], []),
                name,
                "eval" if last else "exec",
                flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,  # as in IPython
                dont_inherit=True,
            )
            value = eval(code, names)
            if code.co_flags & inspect.CO_COROUTINE:
                value = runner.run(value)
    return value


def parse(source: str) -> ast.Module:
    """Parse a cell; magics and shell lines become the calls that IPython makes of them."""
    try:
        return ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        return ast.parse(TransformerManager().transform_cell(source))


def _marks(value: Any, points: float, source: str, printed: Printed) -> dict[str, Any]:
    """Give what a cell without an error earns; a number at its end is the points."""
    earned = points
    text = ""
    kind = type(value)  # for `isinstance` asks the value
    if issubclass(kind, numbers.Real) and not issubclass(kind, bool | np.bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        earned = min(max(number, 0.0), points) if math.isfinite(number) else 0.0
    if earned < points:
        text = printed.getvalue().strip() or f"{earned:g} of {points:g} points."
    return {
        "points": float(earned),
        "verdict": "passed" if earned >= points else "wrong",
        "message": short(text, MAX_TEXT),
    }


def verdict(failure: BaseException) -> str:
    """Give the verdict of a test that raised this."""
    if isinstance(failure, TimeUpError):
        return "timeout"
    if isinstance(failure, MemoryError):
        return "out_of_memory"
    if isinstance(failure, AssertionError) and not getattr(failure, FROM_STUDENT, False):
        return "wrong"
    return "error"


def _message(failure: BaseException, source: str, line: int, hidden: bool) -> str:
    if isinstance(failure, TimeUpError):
        return "It took too long."
    text = short(safe_text(failure), MAX_TEXT)
    kind = short(type(failure).__name__, 100)
    if isinstance(failure, MemoryError):
        return "It needs too much memory."
    if isinstance(failure, AssertionError) and not getattr(failure, FROM_STUDENT, False):
        if text or hidden:
            return text or "A hidden test failed."
        return short(f"This is not true: {_statement(source, line)}", MAX_TEXT)
    if isinstance(failure, NotImplementedError):
        return "This task is not solved yet: NotImplementedError is raised." + (
            f" ({text})" if text else ""
        )
    if isinstance(failure, NameError) and not getattr(failure, FROM_STUDENT, False):
        return f"This task is not solved yet, or its cell failed: {text}."
    return f"{kind}: {text}" if text else kind


def _statement(source: str, line: int) -> str:
    """Give the condition of the assert around a line, as it is written."""
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or 0):
            return ast.unparse(node.test)
    return ""


def _line(failure: BaseException, name: str) -> int:
    """Give the line of the cell where it failed, 0 if it was none."""
    line = getattr(failure, "lineno", 0) or 0 if isinstance(failure, SyntaxError) else 0
    traceback = failure.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename == name:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def hidden_lines(source: str, released: str) -> set[int]:
    """Give the numbers of the lines that students do not see."""
    lines, seen = source.splitlines(), released.splitlines()
    matcher = difflib.SequenceMatcher(None, lines, seen, autojunk=False)
    hidden = set(range(1, len(lines) + 1))
    for start, _, size in matcher.get_matching_blocks():
        hidden -= set(range(start + 1, start + size + 1))
    return hidden


class Watch(ast.NodeTransformer):
    """Make the asserts of a cell keep the values that they compare, without a second evaluation."""

    def __init__(self) -> None:
        self.sites: list[tuple[ast.expr, ast.expr | None, str]] = []
        self.site = -1
        self.values: dict[int, Any] = {}

    def keep(self, site: int, side: int, value: Any) -> Any:
        """Keep a value; called by the cell."""
        if site != self.site:
            self.site, self.values = site, {}
        self.values[side] = value
        return value

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        """Wrap what is compared."""
        node.test = self._wrap(node.test, "")
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        """Wrap the arguments of functions such as np.testing.assert_allclose."""
        call = node.value
        if isinstance(call, ast.Call):
            function = call.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            name = function.id if isinstance(function, ast.Name) else name
            if name.startswith("assert"):
                self._wrap(call, "")
        return node

    def _wrap(self, node: ast.expr, negation: str) -> ast.expr:
        if isinstance(node, ast.BoolOp):
            node.values = [self._wrap(value, negation) for value in node.values]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            node.operand = self._wrap(node.operand, "" if negation else "not ")
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            site = self._site(node.left, node.comparators[0], negation + SYMBOLS[type(node.ops[0])])
            node.left = _kept(site, 0, node.left)
            node.comparators = [_kept(site, 1, node.comparators[0])]
        elif isinstance(node, ast.Call) and _has_two(node):
            site = self._site(node.args[0], node.args[1], negation)
            node.args[:2] = [_kept(site, side, node.args[side]) for side in (0, 1)]
        else:
            return _kept(self._site(node, None, negation), 0, node)
        return node

    def _site(self, left: ast.expr, right: ast.expr | None, relation: str) -> int:
        self.sites.append((left, right, relation))
        return len(self.sites) - 1

    def explain(self, failure: BaseException, last_call: Callable[[], str]) -> dict[str, str]:
        """Say what the failing assert tried, expected and got."""
        if self.site < 0:
            return {}
        left, right, relation = self.sites[self.site]
        got, expected = self.values.get(0), self.values.get(1)
        if right is None:
            return {"tried": last_call(), "got": describe(got)}
        if 1 not in self.values:
            return {}
        if _is_literal(left) and not _is_literal(right):
            left, got, expected = right, expected, got
        tried = last_call() or ("" if _is_literal(left) else ast.unparse(left))
        return {
            "tried": short(tried, MAX_VALUE),
            "expected": relation + describe(expected),
            "got": describe(got),
        }


def _kept(site: int, side: int, node: ast.expr) -> ast.expr:
    function = ast.Name(KEEP, ast.Load())
    made = ast.Call(function, [ast.Constant(site), ast.Constant(side), node], [])
    return ast.copy_location(made, node)


def _has_two(node: ast.Call) -> bool:
    return len(node.args) >= 2 and not any(isinstance(a, ast.Starred) for a in node.args[:2])


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


class Printed(io.TextIOBase):
    """Text that is printed, up to a number of characters; the rest is counted.

    Parameters
    ----------
    room : int
        Characters that are kept.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.dropped = 0
        self.parts: list[str] = []

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        kept = text[: self.room]
        if kept:
            self.parts.append(kept)
        self.room -= len(kept)
        self.dropped += len(text) - len(kept)
        return len(text)

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def getvalue(self) -> str:
        """Give what was kept."""
        return "".join(self.parts)

    def take(self) -> str:
        """Give what was kept since the last time."""
        text = self.getvalue()
        self.parts = []
        return text


class Short(reprlib.Repr):
    """Short texts of values for people to read."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 20
        self.maxlevel = 4
        self.maxstring = self.maxlong = self.maxother = MAX_VALUE

    def repr_ndarray(self, value: Any, level: int) -> str:
        """Give the text of an array."""
        if value.dtype.kind in "biufc" and type(value) is np.ndarray:
            text = np.array2string(value, threshold=20, edgeitems=5, precision=6, separator=", ")
            if value.size > 20:
                text += f", shape {value.shape}"
            return text
        return self.repr_instance(value, level)

    def repr_type(self, value: Any, level: int) -> str:
        """Give the name of a class."""
        return str(value.__name__)


def describe(value: Any) -> str:
    """Give a short text of a value, whatever it does when it is asked for one."""
    try:
        if isinstance(value, np.generic):
            value = value.item()
        return short(Short().repr(value), MAX_VALUE)
    except Exception:
        return f"an object of the type {type(value).__name__}"


def safe_text(error: BaseException) -> str:
    """Give an exception's text, whatever it does when it is asked for one."""
    try:
        text = str(error)
    except Exception:
        return ""
    return text if type(text) is str else ""


def short(text: str, limit: int) -> str:
    """Cut a text."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def seed_all(seed: int) -> None:
    """Start all random generators of the tests at the same place."""
    random.seed(seed)
    np.random.seed(seed % (1 << 32))  # noqa: NPY002
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(seed % (1 << 32))
