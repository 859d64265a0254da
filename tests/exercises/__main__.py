"""Executes the variants of one exercise: job on stdin, results to the file named first.

Grades as nbgrader does: an error or output on stderr gives 0; a last expression that is a number
gives that many points; anything else gives full marks. Later cells run after an error.
"""

import ast
import contextlib
import io
import itertools
import json
import linecache
import os
import sys
import warnings
from pathlib import Path
from typing import Any

COUNTER = itertools.count(1)


def run_variant(cells: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Execute code cells in a fresh namespace; grade those that have points."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    graded = {}
    for cell in cells:
        value, error, out, err = execute(cell["source"], namespace)
        if cell["points"] is None:
            continue
        points, message = grade(cell["points"], value, error, out, err)
        worth = float(cell["points"])
        graded[cell["grade_id"]] = {"points": points, "worth": worth, "message": message}
    return graded


def execute(source: str, namespace: dict[str, Any]) -> tuple[Any, str, str, str]:
    """Execute a cell; return its last expression's value, its error, stdout and stderr."""
    name = f"<cell {next(COUNTER)}>"
    # With the source at hand, tf.function can read it; a modification time of None keeps it.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    out, err = io.StringIO(), io.StringIO()
    value, error = None, ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            body = ast.parse(source, name).body
            last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), name, "exec"), namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        except (Exception, SystemExit) as failure:
            error = f"{type(failure).__name__}: {failure}"
    return value, error, out.getvalue(), err.getvalue()


def grade(worth: float, value: Any, error: str, out: str, err: str) -> tuple[float, str]:
    """Give the points of a test cell, and what the student would read."""
    if error or err:
        return 0.0, error or f"wrote to stderr: {err}"
    if value is None:
        return float(worth), out
    try:
        points = float(repr(value))
    except ValueError:
        # nbgrader would give full marks for it, even for a 0 of NumPy.
        raise SystemExit(f"a test cell ends with {value!r}: end it with float(points)") from None
    if not 0 <= points <= worth:
        raise SystemExit(f"a test cell gives {points} of {worth} points")
    return points, out


def main() -> None:
    """Run all variants, each as a fresh notebook would run, but in one process."""
    job = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    results = {}
    for name, variant in job.items():
        os.environ["COURSEKIT_SEED"] = variant["seed"]
        # Entering this context makes Python show a warning again that it has shown before.
        with warnings.catch_warnings():
            results[name] = run_variant(variant["cells"])
        if "keras" in sys.modules:
            sys.modules["keras"].utils.clear_session()
    Path(sys.argv[1]).write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
