"""Submissions of strangers who try everything, each with the marks that it must get.

The exercise has five autograded tasks and one by hand. Most attackers hand in stubs and try to get
points without the answers; those that break something have solved all tasks, so that the marks
show how much a crash costs. Honest students stand between them.
"""

# ruff: noqa: E501 - attacks are easier to read in one line

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.grading.notebook import as_json, code, notebook, text

CANARY = "canary-4711"  # stands in everything that no student may read

SETUP = """import numpy as np
from coursekit.exercises import rng
def oracle(x):
    return x + x
limit = 100"""
DOUBLE = """def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""
MEAN = """def mean(values):
    ### BEGIN SOLUTION
    return np.sum(values) / len(values)
    ### END SOLUTION"""
SQUARES = """def squares(n):
    ### BEGIN SOLUTION
    return [i**2 for i in range(1, n + 1)]
    ### END SOLUTION"""
SUM = """def sum_of_squares(n):
    ### BEGIN SOLUTION
    return sum(squares(n))
    ### END SOLUTION"""
BEST = "### BEGIN SOLUTION\nbest = 42\n### END SOLUTION"

TESTS = {
    "test_double": (
        1,
        'value = int(rng().integers(10, 99))\nassert double(value) == oracle(value), "twice"',
    ),
    "test_double_hidden": (
        2,
        f"""### BEGIN HIDDEN TESTS
secret = "{CANARY} in a hidden test"
for value in rng().integers(0, limit, 5).tolist():
    expected = oracle(value)
    assert double(value) == expected, "not twice"
    assert double(-value) < 1
### END HIDDEN TESTS""",
    ),
    "test_mean": (
        2,
        """values = rng().normal(size=20)
right = values.mean()
answer = mean(values.copy())
assert np.allclose(answer, right), "sum / number"
assert abs(answer - right) < 1e-9
np.testing.assert_allclose(mean(values + 1), right + 1)""",
    ),
    "test_sum": (
        1,
        """assert sum_of_squares(3) == 14
kept = squares
del squares
try:
    sum_of_squares(2)
except NameError:
    pass
else:
    raise AssertionError("use squares")
finally:
    squares = kept""",
    ),
    "test_best": (1, "assert best == 42"),
    "test_partial": (3, "float(sum(double(n) == 2 * n for n in (3, 4, 5)))"),
}
SOLVED = {
    "double": "def double(x):\n    return 2 * x",
    "mean": "def mean(values):\n    return np.mean(values)",
    "squares": "def squares(n):\n    return [i * i for i in range(1, n + 1)]",
    "sum_of_squares": "def sum_of_squares(n):\n    return sum(squares(n))",
    "best": "best = 42",
    "why": "Because it is right.",
}
ALL = {name: float(points) for name, (points, _) in TESTS.items()}
NONE = dict.fromkeys(TESTS, 0.0)


def source() -> Any:
    """Make the instructor's notebook."""
    tests = {name: code(body, "tests", name, points) for name, (points, body) in TESTS.items()}
    return notebook(
        text(f"# The exercise\n<!-- {CANARY}: a remark of the source -->"),
        code(SETUP, "locked", "setup"),
        text("## Task 1: twice"),
        code(DOUBLE, "answer", "double"),
        tests["test_double"],
        tests["test_double_hidden"],
        text("## Task 2: the mean"),
        code(MEAN, "answer", "mean"),
        tests["test_mean"],
        text("## Task 3: squares"),
        code(SQUARES, "answer", "squares"),
        code(SUM, "answer", "sum_of_squares"),
        tests["test_sum"],
        text("## Task 4: a number"),
        code(BEST, "answer", "best"),
        tests["test_best"],
        text("## Task 5: twice again"),
        tests["test_partial"],
        text("## Task 6: why"),
        text("### BEGIN SOLUTION\nA sample answer.\n### END SOLUTION", "manual", "why", 2),
    )


@dataclass(frozen=True)
class Case:
    """A submission and what it must get.

    Parameters
    ----------
    answers : dict of str to str
        Sources by grade_id; the others stay as handed out.
    first, last : str
        Cells of the student's own, before the first answer and after the last test.
    change : callable, optional
        Changes the notebook's JSON.
    raw : bytes, optional
        The whole file, instead.
    marks : dict of str to float
        Points by grade_id.
    status, weaker_status : str
        The second one is for isolation below "namespaces", if that makes a difference.
    said : str
        Part of a note or of a message.
    """

    answers: dict[str, str] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    change: Callable[[Any], Any] | None = None
    raw: bytes | None = None
    marks: dict[str, float] = field(default_factory=lambda: NONE)
    status: str = "graded"
    weaker_status: str = ""
    said: str = ""


def solved(**more: Any) -> Case:
    """All tasks solved; 'why' waits for a human."""
    about = {"answers": SOLVED, "marks": ALL, "status": "needs_manual"} | more
    return Case(**about)


def some(**answers: str) -> dict[str, str]:
    """Give the solved answers with some replaced."""
    return SOLVED | answers


def but(**marks: float) -> dict[str, float]:
    """Give full marks but for some."""
    return ALL | marks


def submission(released: Any, case: Case) -> bytes:
    """Make the file that is handed in."""
    if case.raw is not None:
        return case.raw
    nb = as_json(released)
    for cell in nb["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if grade_id in case.answers:
            cell["source"] = case.answers[grade_id]
    if case.first:
        nb["cells"].insert(0, as_json(notebook(code(case.first)))["cells"][0])
    if case.last:
        nb["cells"].append(as_json(notebook(code(case.last)))["cells"][0])
    if case.change:
        nb = case.change(nb)
    return json.dumps(nb).encode()


# ---- What they change in the file


def cell_of(nb: Any, grade_id: str) -> Any:
    """Find a cell by its grade_id."""
    return next(
        cell
        for cell in nb["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


def delete_tests(nb: Any) -> Any:
    nb["cells"] = [c for c in nb["cells"] if cell_id(c) not in TESTS]
    return nb


def cell_id(cell: Any) -> str:
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id"))


def edit_tests(nb: Any) -> Any:
    for name in TESTS:
        cell_of(nb, name)["source"] = "pass"
    return nb


def raise_points(nb: Any) -> Any:
    for cell in nb["cells"]:
        if cell_id(cell) in TESTS:
            cell["metadata"]["nbgrader"]["points"] = 1000
    return nb


def duplicate_everything(nb: Any) -> Any:
    nb["cells"] += json.loads(json.dumps(nb["cells"]))
    return nb


def reverse(nb: Any) -> Any:
    nb["cells"].reverse()
    return nb


def change_setup(nb: Any) -> Any:
    cell_of(nb, "setup")["source"] = "def oracle(x): return None\nlimit = 0"
    return nb


def steal_ids(nb: Any) -> Any:
    """Make an answer pose as a test."""
    cell_of(nb, "double")["metadata"]["nbgrader"].update(
        grade_id="test_double_hidden", grade=True, solution=False, points=50
    )
    return nb


def wrong_kernel(nb: Any) -> Any:
    nb["metadata"]["kernelspec"] = {"name": "julia", "language": "julia", "display_name": "Julia"}
    return nb


def nested_output(nb: Any) -> Any:
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = nested
    return nb


def saved_output(nb: Any) -> Any:
    """Bring the output along that nbgrader takes for full marks."""
    for name in TESTS:
        cell_of(nb, name)["outputs"] = [
            {
                "output_type": "execute_result",
                "data": {"text/plain": "1000"},
                "execution_count": 1,
                "metadata": {},
            }
        ]
    return nb


def giant(nb: Any) -> Any:
    nb["metadata"]["ballast"] = "x" * (60 << 20)
    return nb


def add_cells(nb: Any) -> Any:
    nb["cells"] += [{"cell_type": "code", "metadata": {}, "source": "1"}] * 6000
    return nb


def short_cells(nb: Any) -> Any:
    short = as_json(notebook(code("import time; time.sleep(0.1)")))["cells"]
    nb["cells"] += short * 25
    return nb


# ---- What they run

SPY = f"""
import glob, os, sys
seen = []
def look(path):
    try:
        with open(path, "rb") as file:
            seen.append(file.read(1 << 20).decode("latin-1"))
    except OSError:
        pass
{{}}
print("{CANARY[:6]}" + "{CANARY[6:]} was read" if any("{CANARY[:6]}" + "{CANARY[6:]}" in text for text in seen) else "nothing")
"""


def spy(body: str) -> str:
    """Make a cell that collects what it can in `seen`, and says whether the canary is in it."""
    return SPY.format(body)


LIAR = """class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __bool__(self): return True
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __radd__ = __sub__
    def __abs__(self): return 0.0
    def __float__(self): return 0.0
    def __contains__(self, other): return True
    def __hash__(self): return hash(42)
    def __array__(self, *about, **more): return np.zeros(1)
    def __array_ufunc__(self, *about, **more): return True
    def __array_function__(self, *about, **more): return True
    def __getattr__(self, name): return self
    def __call__(self, *about, **more): return self
"""
LIARS = {
    name: f"def {name}(x):\n    return Liar()"
    for name in ("double", "mean", "squares", "sum_of_squares")
} | {"best": "best = Liar()"}

PATCHES = """import builtins, sys
class Yes:
    def __call__(self, *about, **more): return True
    __eq__ = __bool__ = __lt__ = __getattr__ = __call__
    def __hash__(self): return 1
np.allclose = np.isclose = np.array_equal = Yes()
np.testing.assert_allclose = Yes()
builtins.AssertionError = ZeroDivisionError
builtins.float = builtins.sum = builtins.abs = lambda *about: 3.0
import coursekit.exercises
coursekit.exercises.rng = Yes()
oracle = double = mean = squares = sum_of_squares = lambda *about: True
"""

TRANSFORMER = """import ast
class NoAssert(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(NoAssert())
get_ipython().run_cell = lambda *about, **more: None
compile_ = compile
import builtins
builtins.compile = lambda *about, **more: compile_("pass", "x", "exec")
"""

FORGE = """import json, os, socket, stat, struct
lines = [
    json.dumps({"event": "test", "grade_id": name, "verdict": "passed", "points": 9.0}) + "\\n"
    for name in ("test_double", "test_double_hidden", "test_mean", "test_sum", "test_best")
] + ['{"event": "end"}\\n']
for number in range(3, 256):
    try:
        os.write(number, "".join(lines).encode())
    except OSError:
        pass
"""

FORGE_REPLIES = """import json, os, struct
for number in range(3, 256):
    for message in ([True, True], {"ok": True, "value": True}, {"result": True}):
        try:
            text = json.dumps(message).encode()
            os.write(number, struct.pack("!I", len(text)) + text)
        except OSError:
            pass
"""

STUBBORN = """def double(x):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""

FRAMES = """import gc, sys
def double(x):
    frame, answers = sys._getframe(), []
    while frame:
        for names in (frame.f_locals, frame.f_globals):
            answers += [names[n] for n in ("expected", "value", "right") if n in names]
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, dict) and "expected" in thing:
            answers.append(thing["expected"])
    return answers[0] if answers else None
expected = right = None
"""

SIGNALS = """import os, signal
for number in (os.getppid(), 1, -1, 0, *range(2, 400)):
    if number != os.getpid():
        try:
            os.kill(number, signal.SIGKILL)
        except OSError:
            pass
"""

END_AT_SETUP = """import os
def end(about):
    if "def oracle" in about.raw_cell: os._exit(0)
get_ipython().events.register("pre_run_cell", end)
"""

FORGE_OUTPUTS = """import gc, coursekit.grading.student as s
outputs = [{"output_type": "stream", "name": "stdout", "text": "x" * 1000}] * 10_000
for thing in gc.get_objects():
    if isinstance(thing, s.Process):
        thing.cell = lambda *about: {"error": None, "outputs": outputs, "dropped": 0}
"""

SOCKETS = """import os, socket, time
def fill():
    while True:
        for end in (pair := socket.socketpair()):
            kept.append(end)
            end.setblocking(False)
            try:
                while True: end.send(b"x" * 65536)
            except BlockingIOError: pass
kept = []
for _ in range(8):
    if os.fork() == 0:
        try: fill()
        except OSError: time.sleep(60)
        os._exit(0)
time.sleep(2.5)
"""

PAGE_TABLES = """import ctypes, time
map_ = ctypes.CDLL(None).mmap
map_.restype = ctypes.c_void_p
map_.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
begin = map_(None, 1 << 39, 1, 0x4022, -1, 0)  # for reading, without a reserve
for place in range(0, 1 << 39, 2 << 20): ctypes.string_at(begin + place, 1)
time.sleep(2.5)
"""

CASES: dict[str, Case] = {
    # What nbgrader and others fall for.
    "kills_parent": solved(first="import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"),
    "kills_every_pid": solved(first=SIGNALS, status="died"),  # it kills itself, too
    "duplicated_cells": solved(
        change=duplicate_everything, said="The cell test_double is there 2 times."
    ),
    "reads_source_folder": Case(
        first=spy(
            "for up in ('.', '..', '../..', '../../..', CLONE, '/home', '/root', '/srv'):\n"
            "    for below in ('', '*/', '*/*/', '*/*/*/'):\n"
            "        for path in glob.glob(f'{up}/{below}*.ipynb'): look(path)\n"
            "look(SOURCE)"
        )
    ),
    "sets_marks_in_gradebook": Case(
        first="import glob, os, sqlite3\n"
        "for path in ['gradebook.db', *glob.glob('/**/gradebook.db'), *glob.glob('../*/*.db')]:\n"
        "    sqlite3.connect(path).execute('update grade set auto_score = 100')"
    ),
    "drops_asserts": Case(first=TRANSFORMER),
    "right_answer_that_warns": solved(
        answers=some(
            double="import warnings, sys\ndef double(x):\n    warnings.warn('old')\n"
            "    print('to stderr', file=sys.stderr)\n    return 2 * x"
        )
    ),
    # Points without answers.
    "always_equal": Case(first="import numpy as np\n" + LIAR, answers=LIARS),
    "patches_numpy_and_builtins": Case(first="import numpy as np\n" + PATCHES),
    "patches_late": Case(answers={"best": "best = None\n" + PATCHES}),
    "true_for_all": Case(
        answers={name: f"def {name}(*about):\n    return True" for name in LIARS if name != "best"}
        | {"best": "best = True"}
    ),
    "forges_events": Case(first=FORGE, status="died", said="grader may send"),
    "forges_replies": Case(first=FORGE_REPLIES, status="died", said="grader may send"),
    "prints_marks": Case(
        first='print(\'{"event": "test", "grade_id": "test_best", "verdict": "passed", "points": 1}\')\n'
        'print("1000")\n1000'
    ),
    "looks_into_frames": Case(answers={"double": FRAMES}),
    "global_named_expected": Case(
        answers={"double": "expected = value = right = 0\ndef double(x):\n    return expected"}
    ),
    "rebinds_test_names": Case(
        first="oracle = lambda x: None\nlimit = 0\nrng = np = value = right = None",
        answers={"double": "def double(x):\n    return None"},
    ),
    "overwrites_proxies": Case(
        first="import gc, sys\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('coursekit.grading'):\n"
        "        for key, value in list(vars(module).items()):\n"
        "            if callable(value) and not key.startswith('__'):\n"
        "                try: setattr(module, key, lambda *about, **more: True)\n"
        "                except Exception: pass",
        status="died",
    ),
    "differs_when_called_twice": Case(
        answers=some(
            double="calls = []\ndef double(x):\n    calls.append(x)\n"
            "    return 2 * x if len(calls) % 2 else 2 * x + 1"
        ),
        marks=but(test_double_hidden=0.0, test_partial=2.0),
        status="needs_manual",
    ),
    "only_visible_tests": Case(
        answers=some(double="def double(x):\n    return abs(2 * x)"),
        marks=but(test_double_hidden=0.0),
        status="needs_manual",
    ),
    "copies_instead_of_using": Case(
        answers=some(
            sum_of_squares="def sum_of_squares(n):\n    return sum(i * i for i in range(n + 1))"
        ),
        marks=but(test_sum=0.0),
        status="needs_manual",
        said="use squares",
    ),
    "partial_above_worth": Case(
        answers=some(
            double="class Two:\n    def __eq__(self, other): return 10**9\n"
            "def double(x):\n    return Two()"
        ),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="needs_manual",
    ),
    "ends_itself_at_the_setup": Case(
        first=END_AT_SETUP,
        answers={"double": "oracle = lambda x: 0\nlimit = 1\ndef double(x):\n    return 0"},
        status="died",
    ),
    # Spies.
    "reads_proc": Case(
        first=spy(
            "for path in glob.glob('/proc/[0-9]*/*'):\n"
            "    if os.path.basename(path) in ('environ', 'cmdline', 'maps', 'status'):\n"
            "        look(path)\n"
            "for path in glob.glob('/proc/[0-9]*/fd/*'): look(path)\n"
            "for path in glob.glob('/proc/[0-9]*/cwd/*') + glob.glob('/proc/1/root/tmp/**'): look(path)"
        )
    ),
    "reads_own_memory": Case(
        first=spy(
            "import re\n"
            "for line in open('/proc/self/maps'):\n"
            "    start, end = (int(n, 16) for n in line.split()[0].split('-'))\n"
            "    if 'r' in line.split()[1] and end - start < 1 << 28:\n"
            "        try:\n"
            "            with open('/proc/self/mem', 'rb', 0) as file:\n"
            "                file.seek(start)\n"
            "                data = file.read(end - start)\n"
            "        except (OSError, OverflowError, ValueError): continue\n"
            "        if re.search(b'canary[-]4711 in a hidden', data): seen.append(data.decode('latin-1'))"
        )
    ),
    "reads_environment": Case(
        first=spy(
            "seen.extend(os.environ.values())\nlook('/proc/self/environ')\n"
            "import subprocess\n"
            "try: seen.append(subprocess.run('env; set; ps auxe', shell=True, capture_output=True, text=True).stdout)\n"
            "except OSError: pass"
        )
    ),
    "reads_other_submissions": Case(
        first=spy(
            "for folder in ('/tmp', '/var/tmp', '/dev/shm', '/root', '/home', CLONE, '/run'):\n"
            "    for root, _, names in os.walk(folder):\n"
            "        for name in names:\n"
            "            if name.endswith(('.ipynb', '.jsonl', '.db', '.csv')):\n"
            "                look(os.path.join(root, name))"
        )
    ),
    "searches_garbage": Case(
        first=spy(
            "import gc\n"
            "for thing in gc.get_objects():\n"
            "    if isinstance(thing, (dict, list, tuple)) and thing is not globals():\n"
            "        parts = thing.values() if isinstance(thing, dict) else thing\n"
            "        seen += [p for p in list(parts) if isinstance(p, str) and ' in a hidden' in p]"
        )
    ),
    "asks_the_network": Case(
        first=spy(
            "import socket, urllib.request\n"
            "for family, address in ((socket.AF_INET, ('127.0.0.1', PORT)), (socket.AF_UNIX, '\\0canary')):\n"
            "    try:\n"
            "        with socket.socket(family) as s:\n"
            "            s.settimeout(1); s.connect(address); seen.append(s.recv(99).decode())\n"
            "    except OSError: pass"
        )
    ),
    # Those that break something.
    "infinite_loop": Case(
        answers=some(double="def double(x):\n    while True: pass"),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="timeout",
    ),
    "infinite_loop_in_cell": solved(last="while True: pass", status="timeout"),
    "ignores_interrupts": Case(
        answers=some(double=STUBBORN),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="timeout",
    ),
    "sleeps_in_c": Case(
        answers=some(
            mean="def mean(values):\n    import hashlib\n"
            "    hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)"
        ),
        marks=but(test_mean=0.0),
        status="timeout",
    ),
    "os_exit": Case(
        answers=some(mean="import os\ndef mean(values):\n    os._exit(0)"),
        marks=but(test_mean=0.0),
        status="died",
    ),
    "os_exit_in_cell": solved(last="import os\nos._exit(0)", status="died"),
    "sys_exit": solved(first="import sys\nsys.exit(3)", last="exit()"),
    "segfault": Case(
        answers=some(best="best = 42\nimport ctypes\nctypes.string_at(0)"),
        marks=but(test_best=0.0),
        status="died",
    ),
    "stops_itself": Case(
        answers=some(best="best = 42\nimport os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
        marks=but(test_best=0.0),
        status="timeout",
    ),
    "memory": Case(
        answers=some(double="def double(x):\n    return [bytearray(1 << 28) for _ in range(99)]"),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="out_of_memory",
    ),
    "memory_in_many_processes": Case(
        answers=some(
            best="best = 42\nimport os, time\n"
            "for _ in range(8):\n"
            "    if os.fork() == 0:\n"
            "        ballast = b'x' * (300 << 20); time.sleep(60); os._exit(0)\n"
            "time.sleep(2.5)"
        ),
        marks=but(test_best=0.0),
        status="out_of_memory",
    ),
    "memory_while_cells_come": solved(
        first="import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        ballast = b'x' * (250 << 20); time.sleep(60); os._exit(0)",
        change=short_cells,
        status="out_of_memory",
    ),
    "memory_of_sockets": solved(last=SOCKETS, status="out_of_memory"),
    "memory_of_page_tables": solved(last=PAGE_TABLES, status="out_of_memory"),
    "fork_bomb": solved(
        last="import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        status="timeout",
    ),
    "threads_without_end": solved(
        last="import threading, time\n"
        "try:\n"
        "    for _ in range(10_000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "except RuntimeError: pass"
    ),
    "orphans": solved(
        first="import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(3600)\n"
        "    os._exit(0)"
    ),
    "forked_child_goes_on": solved(first="import os\nos.fork()\nos.fork()"),
    "fills_disk": solved(
        first="try:\n"
        "    with open('big', 'wb') as file:\n"
        "        for _ in range(10_000): file.write(b'x' * (1 << 20))\n"
        "except OSError: pass\n"
        "try:\n"
        "    for n in range(10**6): open(f'small{n}', 'w').write('x' * 10_000)\n"
        "except OSError: pass",
        weaker_status="died",
    ),
    "floods_output": solved(
        first="line = 'x' * 10_000\nfor _ in range(10_000): print(line)", said="dropped"
    ),
    "forges_outputs": Case(first=FORGE_OUTPUTS),
    "floods_descriptors": solved(
        first="import os\nfor number in (1, 2):\n    for _ in range(1000): os.write(number, b'x' * 100_000)"
    ),
    "giant_answer": Case(
        answers=some(double="def double(x):\n    return b'x' * (700 << 20)"),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="needs_manual",
    ),
    "deep_answer": Case(
        answers=some(
            double="def double(x):\n    nest = []\n    for _ in range(10**5): nest = [nest]\n    return nest"
        ),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="needs_manual",
    ),
    "endless_answer": Case(
        answers=some(mean="import itertools\ndef mean(values):\n    return itertools.count()"),
        marks=but(test_mean=0.0),
        status="needs_manual",
    ),
    "closes_descriptors": Case(
        answers=some(best="best = 42\nimport os\nos.closerange(0, 1000)"),
        marks=but(test_best=0.0),
        status="died",
    ),
    "traps": solved(
        first="import atexit, sys, os\n"
        "class Trap:\n    def __del__(self): os._exit(1)\n"
        "trap = Trap()\natexit.register(os._exit, 1)\n"
        "sys.settrace(lambda *about: None)\nsys.setprofile(lambda *about: None)\n"
        "class Hook:\n    def find_spec(self, *about): return None\n"
        "sys.meta_path.insert(0, Hook())\n"
        "sys.excepthook = sys.displayhook = lambda *about: os._exit(1)"
    ),
    "recursion": Case(
        answers=some(double="def double(x):\n    return double(x)"),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="needs_manual",
    ),
    "nasty_exception": Case(
        answers=some(
            double="class E(Exception):\n    def __str__(self): raise SystemExit\n    __repr__ = __str__\n"
            "def double(x):\n    raise E('<script>alert(1)</script>' * 10**5)"
        ),
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="needs_manual",
    ),
    "syntax_error": Case(
        answers=some(mean="def mean(values) return 1"),
        marks=but(test_mean=0.0),
        status="needs_manual",
    ),
    "script_in_output": solved(
        first="print('<script>document.title=\"owned\"</script><img src=x onerror=alert(1)>')\n"
        "from IPython.display import HTML\nHTML('<script>alert(1)</script>')",
        answers=some(why="<script>document.title='owned'</script>[x](javascript:alert(1))"),
    ),
    # Those that change the file.
    "deleted_tests": solved(change=delete_tests, said="The test cell test_double is missing."),
    "deleted_tests_of_stubs": Case(change=delete_tests),
    "edited_tests": Case(change=edit_tests, said="test_double was changed"),
    "raised_points": solved(change=raise_points),
    "reversed_cells": solved(change=reverse, said="Cells were moved"),
    "changed_setup": solved(change=change_setup, said="setup was changed"),
    "stolen_grade_id": Case(
        answers=SOLVED,
        change=steal_ids,
        marks=but(test_double=0.0, test_double_hidden=0.0, test_partial=0.0),
        status="needs_manual",
    ),
    "wrong_kernelspec": solved(change=wrong_kernel),
    "nested_output": solved(change=nested_output),
    "saved_output": Case(change=saved_output),
    "giant_notebook": Case(change=giant, status="invalid", said="MiB"),
    "thousands_of_cells": Case(change=add_cells, status="invalid", said="cells"),
    "no_json": Case(raw=b"{'cells': [", status="invalid", said="not a notebook"),
    "empty_file": Case(raw=b"", status="invalid", said="not a notebook"),
    "nested_json": Case(raw=b"[" * 10**6, status="invalid", said="deeply"),
    "zip_as_notebook": Case(raw=b"PK\x03\x04\x00\xff", status="invalid", said="not text"),
    "untouched": Case(),
}
HONEST = {
    "ada": solved(),
    "émile": solved(),
    "李雷": solved(),
    "o'neill": solved(),
    "zoe": solved(),
}
