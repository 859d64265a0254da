"""The trusted process: it runs the instructor's tests, and lets the student process run the rest.

The job comes as one line of JSON, the events go out as lines of JSON, each written at once: what
was decided stays decided, whatever happens later.

``python -m coursekit.grading.checker [FOLDER]`` reads the job from standard input, writes events to
standard output, and starts the student process itself, to work in the folder.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import os
import subprocess
import sys
import time
import warnings
from typing import Any, BinaryIO

from coursekit.grading import standins, testcell, wire
from coursekit.grading.alarm import Alarm, TimeUpError
from coursekit.grading.answers import strict_numpy
from coursekit.grading.limits import Limits
from coursekit.grading.proxies import IN_PROCESS, TABLES, LostError, Names, Student
from coursekit.grading.testcell import short

MAX_ERROR = 2000  # characters
SPARE = 3 * MAX_ERROR  # characters of JSON for errors in one cell, beyond the limit of outputs
RECURSION = 5000  # frames: enough for `wire.MAX_NESTED` calls to and fro
VERDICTS = {"passed", "wrong", "error", "timeout", "out_of_memory"}


def run(
    job_reader: BinaryIO,
    event_writer: BinaryIO,
    channel_reader: BinaryIO,
    channel_writer: BinaryIO,
) -> None:
    """Do a job.

    Parameters
    ----------
    job_reader, event_writer : binary streams
        From and to the runner: one line of JSON, and an event per line.
    channel_reader, channel_writer : binary streams
        From and to the student process.
    """
    line = job_reader.readline()
    if not line:
        return

    def tell(event: str, **about: Any) -> None:
        event_writer.write(json.dumps({"event": event, **about}).encode() + b"\n")
        event_writer.flush()

    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION))
    checker = Checker(json.loads(line), tell, channel_reader, channel_writer)
    try:
        with strict_numpy():
            checker.run()
    except LostError as lost:
        tell("lost", index=checker.index, why=lost.why)
    except (Exception, TimeUpError) as error:
        tell("broken", message=short(f"{type(error).__name__}: {error}", MAX_ERROR))


class Checker:
    """The steps of one job.

    Parameters
    ----------
    job : dict
        What to do; docs/grading.md says what is in it.
    tell : callable
        Writes an event.
    reader, writer : binary streams
        From and to the student process.
    """

    def __init__(self, job: dict[str, Any], tell: Any, reader: BinaryIO, writer: BinaryIO) -> None:
        self.job, self.tell = job, tell
        self.limits = Limits(**job["limits"])
        self.alarm = Alarm()
        self.student = Student(reader, writer, self.alarm)
        self.names = self.student.globals
        self.names["get_ipython"] = standins.get_ipython
        self.own = frozenset(job.get("own_classes", ()))
        self.student.classes = self.own
        self.student.complex = job.get("complex", True)
        self.room = 2 * self.limits.output + SPARE  # characters of JSON
        self.index = -1
        self.skip = frozenset(job.get("skip", ()))  # steps that have ended a student process

    def run(self) -> None:
        """Run all steps."""
        os.environ["COURSEKIT_SEED"] = str(self.job["seed"])
        self._import()
        self.student.request({"op": "begin", "own_classes": sorted(self.own)}, wire.Encoder())
        steps = self.job["steps"]
        decided = set(self.job.get("decided", ()))
        for step in steps:
            if step["kind"] != "cell":
                self.names.kept |= own_names(step["source"], self.names)
        run = {"cell": self._cell, "trusted": self._trusted, "tests": self._test}
        for place, step in enumerate(steps):
            self.index = step["index"]
            if step["kind"] == "tests":
                done = step["grade_id"] in decided
                if self.index in self.skip or (
                    done and not self._is_needed(step, steps[place + 1 :], decided)
                ):
                    continue
                if done:  # its verdict stands, but later tests use its names
                    self.tell("begin", index=self.index, kind="tests")
                    self._test_here(step)
                    continue
            if step["kind"] == "cell" and self.index in self.skip:
                self.names.give(step.get("binds", ()))  # the student's, even if it can't run
                continue
            self.tell("begin", index=self.index, kind=step["kind"])
            run[step["kind"]](step)
        self.tell("end")

    def _is_needed(self, step: Any, later: Any, decided: set[str]) -> bool:
        """Tell whether a test that has not run yet reads names that this one binds."""
        if self.job.get("in_process"):
            return False
        bound = own_names(step["source"], self.names)
        return any(
            bound & read_names(other["source"], self.names)
            for other in later
            if other["kind"] == "tests" and other["grade_id"] not in decided
        )

    def _import(self) -> None:
        """Import what the source imports; a module that is not here may be the student's."""
        for line in self.job.get("imports", ()):
            with contextlib.suppress(Exception), _quiet():
                exec(compile(line, "<imports>", "exec"), self.names)
            for node in ast.walk(ast.parse(line)):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                self.student.roots.update(name.partition(".")[0] for name in names)
        self.student.roots |= {"numpy", "functools"} | (
            {"keras"} if "tensorflow" in self.student.roots else set()
        )
        self.student.trusted.update(self.names)

    # ---- Steps

    def _cell(self, step: dict[str, Any]) -> None:
        """Let the student process run a cell."""
        self._run_there(step)
        self.names.give(step.get("binds", ()))

    def _trusted(self, step: dict[str, Any]) -> None:
        """Run a read-only cell in both processes.

        Whatever the student's process does, its names must not become the student's: tests trust
        them. Exceptions are names whose statement needs what the student has made.
        """
        if self.index not in self.skip:
            self._run_there(step)
        try:
            tree = testcell.parse(step["source"])
        except SyntaxError:
            return
        before = dict(self.names)
        try:
            drop_drawing(tree, self.names)
            with self.alarm.limit(self.limits.cell_seconds), _quiet():
                for statement in tree.body:
                    self._statement(statement, step)
        except (SystemExit, MemoryError, TimeUpError) as error:
            self._note_failure(step, error)
        for name, value in self.names.items():
            if name not in before or before[name] is not value:
                self.student.trusted[name] = value

    def _statement(self, statement: ast.stmt, step: dict[str, Any]) -> None:
        """Run a statement of a read-only cell here, unless it reads the student's names."""
        reader = _Reader(self.names)
        reader.visit(statement)
        if reader.foreign:
            self.names.give(reader.bound)
            return
        code = compile(
            ast.Module([statement], []),
            f"<{step['grade_id'] or 'read-only'}>",
            "exec",
            dont_inherit=True,
        )
        try:
            exec(code, self.names)
        except MemoryError:
            raise
        except Exception as error:
            self.names.give(reader.bound)
            self._note_failure(step, error)

    def _note_failure(self, step: dict[str, Any], error: BaseException) -> None:
        text = f"The read-only cell {step['grade_id']} failed: {type(error).__name__}: {error}"
        self.student.notes.append(short(text, MAX_ERROR))

    def _run_there(self, step: dict[str, Any]) -> None:
        self.student.begin_test(frozenset())
        seconds = self.limits.cell_seconds
        reply = self.student.request(
            {"op": "cell", "source": step["source"], "seconds": seconds}, wire.Encoder()
        )
        error = reply.get("error")
        about = {
            "index": step["index"],
            "grade_id": step["grade_id"],
            "error": short(error, MAX_ERROR) if type(error) is str else None,
            "outputs": self._outputs(reply.get("outputs")),
            "dropped": reply["dropped"] if type(reply.get("dropped")) is int else 0,
        }
        if reply.get("timeout") is True:
            about["fate"] = "timeout"
        self.tell("cell", **about)

    def _outputs(self, outputs: Any) -> list[dict[str, Any]]:
        """Give the outputs that are what they should be, as far as there is room."""
        kept = []
        spare = SPARE  # there is always room for an error
        for output in outputs if type(outputs) is list else ():
            clean = clean_output(output)
            size = len(json.dumps(clean, ensure_ascii=False))
            if clean and size <= self.room:
                self.room -= size
                kept.append(clean)
            elif clean.get("output_type") == "error" and size <= spare:
                spare -= size
                kept.append(clean)
        return kept

    def _test(self, step: dict[str, Any]) -> None:
        """Run a test cell here."""
        self.names.give(step.get("binds", ()))
        run = self._test_there if self.job.get("in_process") else self._test_here
        result = run(step)
        notes, self.student.notes = self.student.notes, []
        self.tell("test", grade_id=step["grade_id"], **result, notes=notes, tampering=[])

    def _test_here(self, step: dict[str, Any]) -> dict[str, Any]:
        source = step["source"]
        self.student.begin_test(frozenset(n for n in self.own if n in words(source)))
        testcell.seed_all(self.job["seed"])
        environment = dict(os.environ)
        points, released = float(step["points"]), step.get("released", source)
        last_call, stop = self.student.last_call, self.alarm.stop
        try:
            with (
                self.alarm.limit(self.limits.cell_seconds),
                standins.standing_in(self.student, source),
            ):
                result = testcell.run_test(source, points, released, self.names, last_call, stop)
        except TimeUpError as error:  # it struck on the way out
            result = testcell.failed(error)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        if self.student.lost:
            raise self.student.lost
        if result["verdict"] == "error":
            result["message"] = explained(result["message"])
        if result["verdict"] != "passed" and not self.student.roots.isdisjoint(TABLES):
            note = f"Tables stay in the student's process: tests can't compare them{IN_PROCESS}."
            self.student.notes.append(note)
        return result

    def _test_there(self, step: dict[str, Any]) -> dict[str, Any]:
        """Run a test in the student process, which may say what it likes."""
        about = {name: step[name] for name in ("source", "points")}
        about["seed"] = self.job["seed"]
        about["released"] = step.get("released", step["source"])
        began = time.monotonic()
        reply: Any = self.student.request({"op": "test", **about}, wire.Encoder()).get("result")
        try:
            result = {
                name: short(str(reply[name]), testcell.MAX_TEXT)
                for name in ("message", "tried", "expected", "got")
            }
            points = min(max(float(reply["points"]), 0.0), float(step["points"]))
            verdict = reply["verdict"] if reply["verdict"] in VERDICTS else "error"
        except (TypeError, KeyError, ValueError) as error:
            raise LostError("protocol") from error
        seconds = round(time.monotonic() - began, 6)
        hidden = reply.get("hidden") is True
        return {
            **result,
            "verdict": verdict,
            "points": points,
            "hidden": hidden,
            "seconds": seconds,
        }


def explained(message: str) -> str:
    """Say so where an error comes from the two processes, not from the answer."""
    if message.startswith("FileNotFoundError"):
        return f"{message} (Tests and answers have separate folders{IN_PROCESS}.)"
    if "'Handle'" in message:
        return f"{message} (This object stays in the student's process{IN_PROCESS}.)"
    return message


def clean_output(output: Any) -> dict[str, Any]:
    """Give an output of a notebook with nothing in it but what belongs there; {} if it is none."""
    kind = output.get("output_type") if type(output) is dict else None
    if kind == "stream" and output.get("name") in ("stdout", "stderr"):
        text = output.get("text")
        text = text if type(text) is str else ""
        return {"output_type": kind, "name": output["name"], "text": text}
    if kind == "error":
        name, text = (short(str(output.get(key, "")), MAX_ERROR) for key in ("ename", "evalue"))
        return {"output_type": kind, "ename": name, "evalue": text, "traceback": []}
    data = output.get("data") if kind in ("display_data", "execute_result") else None
    if type(data) is not dict:
        return {}
    texts = {m: data[m] for m in ("text/plain", "image/png") if type(data.get(m)) is str}
    clean = {"output_type": kind, "data": texts, "metadata": {}}
    return {**clean, "execution_count": None} if kind == "execute_result" else clean


@contextlib.contextmanager
def _quiet() -> Any:
    """Drop what is printed."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            yield


def words(source: str) -> set[str]:
    """List the names in a cell."""
    try:
        tree = testcell.parse(source)
    except SyntaxError:
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def own_names(source: str, names: Names) -> set[str]:
    """List the names that a cell binds before it reads them."""
    reader = _Reader(names)
    with contextlib.suppress(SyntaxError):
        reader.visit(testcell.parse(source))
    return reader.bound - reader.foreign


def read_names(source: str, names: Names) -> set[str]:
    """List the names that a cell reads, also in its functions, and does not bind itself."""
    try:
        tree = testcell.parse(source)
    except SyntaxError:
        return set()
    read = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return read - own_names(source, names)


def drop_drawing(tree: ast.Module, names: Names) -> None:
    """Drop statements such as ``plt.plot(x)``: nobody looks at the checker's pictures."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        tree.body = [
            statement
            for statement in tree.body
            if not (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Call)
                and isinstance(statement.value.func, ast.Attribute)
                and isinstance(statement.value.func.value, ast.Name)
                and dict.get(names, statement.value.func.value.id) is pyplot
            )
        ]


class _Reader(ast.NodeVisitor):
    """Collects the names that code binds, and those that it reads and that are not the checker's.

    What functions read when they are called later does not count: they find it then.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.bound: set[str] = set()
        self.foreign: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        name = node.id
        if not isinstance(node.ctx, ast.Load):
            self.bound.add(name)
        elif name not in self.bound and (
            name in self.names.theirs or not (self.names.has(name) or hasattr(builtins, name))
        ):
            self.foreign.add(name)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound.update((a.asname or a.name).partition(".")[0] for a in node.names)

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.visit(part)
        self.bound.add(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.generic_visit(node)
        self.bound.add(node.name)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.bound.add(node.name or "")
        self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        pass

    def _comprehension(self, node: Any) -> None:
        for generator in node.generators:
            self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for part in ("elt", "key", "value"):
            if hasattr(node, part):
                self.visit(getattr(node, part))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def visit_For(self, node: ast.For) -> None:
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)


def main() -> None:
    """Do the job on standard input, with a student process of its own."""
    job_reader = os.fdopen(os.dup(0), "rb")
    event_writer = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    line = job_reader.readline()
    job = json.loads(line) if line else {}
    limits = json.dumps(job.get("limits", {}))
    process = subprocess.Popen(
        [sys.executable, "-m", "coursekit.grading.student", limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=sys.argv[1] if len(sys.argv) > 1 else None,
    )
    try:
        run(io.BytesIO(line), event_writer, process.stdout, process.stdin)  # type: ignore[arg-type]
    finally:
        process.kill()
        process.wait()
        os._exit(0)


if __name__ == "__main__":
    main()
