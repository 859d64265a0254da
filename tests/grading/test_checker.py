"""Jobs from beginning to end: verdicts, what the student reads, and what hostile cells achieve."""

import io
import json
import os
import subprocess
import sys

import pytest

from coursekit.grading import checker, testcell, wire
from coursekit.grading.limits import Limits
from tests.grading.support import cell, check, grade, one, run_job, trusted

HONEST = cell("def double(n):\n    return 2 * n", "double")


def kinds(events):
    return [event["event"] for event in events]


# ---- Verdicts and words


def test_events_of_a_job():
    events = run_job({"steps": [HONEST, check("assert double(2) == 4")]})
    assert kinds(events) == ["begin", "cell", "begin", "test", "end"]
    assert events[0] == {"event": "begin", "index": 0, "kind": "cell"}
    assert events[1] == {
        "event": "cell",
        "index": 0,
        "grade_id": None,
        "error": None,
        "outputs": [],
        "dropped": 0,
    }
    seconds = events[3].pop("seconds")
    assert 0 < seconds < 5
    assert events[3] == {
        "event": "test",
        "grade_id": "t",
        "verdict": "passed",
        "points": 2.0,
        "message": "",
        "tried": "",
        "expected": "",
        "got": "",
        "hidden": False,
        "notes": [],
        "tampering": [],
    }


@pytest.mark.parametrize(
    ("test", "points"),
    [
        ("1.5", 1.5),
        ("1", 1),
        ("0", 0),
        ("-1", 0),
        ("7", 2),
        ("float('nan')", 0),
        ("np.float64(0.5)", 0.5),
        ("True", 2),
        ("1;", 2),
        ("'1'", 2),
        ("None", 2),
        ("x = 1", 2),
        ("", 2),
        ('"""Only words"""', 2),
        ("if True:\n    1", 2),
    ],
)
def test_a_number_at_the_end_is_the_points(test, points):
    result = one(HONEST, check(test))
    assert result["points"] == points
    assert result["verdict"] == ("passed" if points == 2 else "wrong")


def test_partial_points_come_with_what_the_test_has_printed():
    result = one(HONEST, check("print('one of two')\n1.0"))
    assert (result["message"], result["points"]) == ("one of two", 1.0)


@pytest.mark.parametrize(
    ("test", "tried", "expected", "got"),
    [
        ("assert double(3) == 5", "double(3)", "5", "6"),
        ("assert 5 == double(3)", "double(3)", "5", "6"),
        ("y = double(3)\nassert y == 5", "double(3)", "5", "6"),
        ("assert double(n=3) > 8", "double(n=3)", "> 8", "6"),
        ("assert not double(3) == 6", "double(3)", "not 6", "6"),
        ("assert double(3) != 6", "double(3)", "not 6", "6"),
        ("assert double(3) == 6 and double(4) == 9", "double(4)", "9", "8"),
        ("for n in (1, 2):\n    assert double(n) == 2", "double(2)", "2", "4"),
        (
            "def f(n):\n    assert double(n) == 3\nf(1)",
            "double(1)",
            "3",
            "2",
        ),
        (
            "assert np.allclose(double(np.ones(2)), [1, 2])",
            "double([1., 1.])",
            "[1, 2]",
            "[2., 2.]",
        ),
        ("np.testing.assert_allclose(double(1), 3)", "double(1)", "3", "2"),
        ("assert isinstance(double(1), str)", "double(1)", "str", "2"),
        ("assert double(0)", "double(0)", "", "0"),
        ("assert double('a' * 10**4) == ''", None, "''", None),
    ],
)
def test_what_was_tried_expected_and_got(test, tried, expected, got):
    result = one(HONEST, check(test))
    assert result["verdict"] == "wrong"
    assert result["expected"] == expected
    for name, value in (("tried", tried), ("got", got)):
        assert len(result[name]) <= 300
        assert value is None or result[name] == value


def test_operands_are_evaluated_once():
    student = cell("calls = 0\ndef count():\n    global calls\n    calls += 1\n    return calls")
    test = "assert count() == 1, 'first'\nassert (count(), 5)[0] == 2 or False\nassert count() == 3"
    assert one(student, check(test))["verdict"] == "passed"


def test_messages():
    assert one(HONEST, check("assert double(1) == 3, 'add'"))["message"] == "add"
    message = one(HONEST, check("x = 1\nassert double(1) == 3"))["message"]
    assert message == "This is not true: double(1) == 3"
    message = one(HONEST, check("double()"))["message"]
    assert message.startswith("TypeError: double() missing 1 required")


def test_hidden_tests_show_their_message_only():
    source = (
        "assert double(1) == 2\n### BEGIN HIDDEN TESTS\n"
        "assert double(2) == 5, 'two'\n### END HIDDEN TESTS"
    )
    result = one(HONEST, check(source, released="assert double(1) == 2\n"))
    assert result["hidden"] is True
    assert [result[n] for n in ("message", "tried", "expected", "got")] == ["two", "", "", ""]
    bare = source.replace(", 'two'", "")
    result = one(HONEST, check(bare, released="assert double(1) == 2\n"))
    assert result["message"] == "A hidden test failed."
    result = one(
        HONEST, check(source.replace("== 2\n", "== 3\n"), released="assert double(1) == 3")
    )
    assert result["hidden"] is False


def test_hidden_lines():
    assert testcell.hidden_lines("a\nb\nc", "a\nc") == {2}
    assert testcell.hidden_lines("a\nb", "") == {1, 2}
    assert testcell.hidden_lines("a\nb", "a\nb") == set()


def test_warnings_and_output_never_matter():
    student = cell(
        "import sys, warnings\ndef double(n):\n    warnings.warn('old')\n"
        "    print('x' * 10**6)\n    print('no', file=sys.stderr)\n    return 2 * n",
        "double",
    )
    test = "import warnings, sys\nwarnings.warn('w')\nsys.stderr.write('e')\nassert double(1) == 2"
    assert one(student, check(test))["verdict"] == "passed"


def test_magics_in_cells():
    student = cell("%matplotlib inline\n%time x = 1\n!echo hello from the shell\n%nonsense")
    events = run_job({"steps": [student, cell("exit()"), cell("input()"), check("assert x == 1")]})
    cells = [event for event in events if event["event"] == "cell"]
    assert "hello from the shell" in json.dumps(cells[0]["outputs"])
    assert cells[1]["error"] is None
    assert cells[2]["error"].startswith("RuntimeError: input() can't be used")
    assert events[-2]["verdict"] == "passed"


def test_tests_draw_the_same_numbers_again_and_the_student_others():
    student = cell("import random\nimport numpy as np\ndef draw():\n    return random.random()")
    test = (
        "import os, random\nprint(os.environ['COURSEKIT_SEED'], random.random(), "
        "np.random.random(), draw() == random.random())\n0"
    )
    first, second = grade(student, check(test), check(test, grade_id="u"))
    assert first["message"] == second["message"]
    assert first["message"].startswith("7 ")
    assert first["message"].endswith("False")
    assert one(student, check(test), seed=8)["message"] != first["message"]


def test_decided_and_skipped_steps_are_not_run():
    steps = [HONEST, cell("1 / 0"), check("0", grade_id="a"), check("0", grade_id="b")]
    events = run_job({"steps": steps, "skip": [1], "decided": ["a"]})
    assert [event["index"] for event in events if event["event"] == "begin"] == [0, 3]


def test_outputs_of_cells():
    source = (
        "import sys\nprint('out')\nprint('err', file=sys.stderr)\n"
        "from IPython.display import HTML, display\ndisplay(HTML('<script>x</script>'))\n"
        "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\n"
        "plt.plot([1, 2])\n41 + 1"
    )
    (_, event, _) = run_job({"steps": [cell(source)]})
    outputs = event["outputs"]
    assert [output["output_type"] for output in outputs] == [
        "stream",
        "stream",
        "display_data",
        "execute_result",
        "display_data",
    ]
    assert outputs[0]["text"] == "out\n"
    assert outputs[3]["data"] == {"text/plain": "42"}
    assert outputs[4]["data"]["image/png"].startswith("iVBOR")
    assert "<script>" not in json.dumps(outputs)


def test_a_flood_of_output_is_dropped_and_counted():
    flood = cell("for _ in range(1000):\n    print('x' * 10_000)\nprint('end')")
    events = run_job({"steps": [flood, flood], "limits": {"output": 50_000}})
    first, second = (event for event in events if event["event"] == "cell")
    assert len(first["outputs"][0]["text"]) == 50_000
    assert first["dropped"] > 9_900_000
    assert second["outputs"] == []


@pytest.mark.parametrize(
    "output",
    [
        None,
        {},
        {"output_type": "stream", "name": "x", "text": "a"},
        {"output_type": "display_data", "data": []},
        {"output_type": ["stream"]},
    ],
)
def test_outputs_that_are_none_are_dropped(output):
    assert checker.clean_output(output) == {}


def test_outputs_hold_nothing_that_does_not_belong_there():
    output = {"output_type": "display_data", "data": {"text/html": "<b>", "text/plain": "b"}}
    assert checker.clean_output({**output, "more": 1}) == {
        "output_type": "display_data",
        "data": {"text/plain": "b"},
        "metadata": {},
    }


# ---- Time


def test_a_cell_and_a_test_that_take_too_long():
    student = cell("def f():\n    while True:\n        pass\ndef g():\n    return 1", "f", "g")
    endless = cell("while True:\n    pass")
    events = run_job(
        {
            "limits": {"cell_seconds": 0.3},
            "steps": [
                student,
                endless,
                check("try:\n    f()\nexcept Exception:\n    pass"),
                check("while True:\n    g()"),
                check("assert g() == 1"),
            ],
        }
    )
    assert events[3]["error"].startswith("TimeLimit")
    assert events[3]["fate"] == "timeout"
    verdicts = [event["verdict"] for event in events if event["event"] == "test"]
    assert verdicts == ["timeout", "timeout", "passed"]


@pytest.mark.parametrize(
    "body", ["import itertools\n    return itertools.count()", "while True:\n        yield 1"]
)
def test_iterators_without_end(body):
    student = cell(f"def f():\n    {body}", "f")
    about = {"limits": {"cell_seconds": 0.5}}
    result = one(student, check("assert sum(f()) == 3"), **about)
    assert result["verdict"] == "timeout"


# ---- Hostile cells: what an honest test afterwards gives, or how the job ends

FIND = (
    "import gc, os, sys, json, struct, socket, stat\n"
    "fds = [n for n in range(3, 200) if os.path.exists(f'/proc/self/fd/{n}')"
    " and stat.S_ISSOCK(os.fstat(n).st_mode)]\n"
    "def write(n, data):\n"  # other sockets of the test run may be half closed
    "    try:\n        os.write(n, data)\n    except OSError:\n        pass\n"
)
FORGE = (
    FIND + "def frame(message):\n    text = json.dumps(message).encode()\n"
    "    return struct.pack('!II', len(text), 0) + text\n"
    "def forge(*messages):\n"
    "    for n in fds:\n        write(n, b''.join(map(frame, messages)))\n"
)


@pytest.mark.parametrize(
    ("attack", "end"),
    [
        (FIND + "for n in fds: write(n, os.urandom(5000))", "protocol"),
        (FIND + "for n in fds: write(n, b'\\xff' * 100)", "protocol"),
        (FORGE + "forge({'re': 99, 'ok': None})", "protocol"),
        (FORGE + "forge([1])", "protocol"),
        (FORGE + "forge({'id': 1, 'op': 'test', 'points': 2})", "protocol"),
        (FORGE + "forge({'id': 1, 'op': 'get', 'name': 'x'})", "protocol"),
        (FORGE + "forge({'id': 1, 'op': 'callback', 'number': 0, 'args': [['x']], 'named': {}})",
         "protocol"),
        (FORGE + "forge(*[{'event': 'test', 'grade_id': 't', 'points': 2, 'verdict': 'passed'}])",
         "protocol"),
        (FORGE + "forge(*[{'re': n, 'ok': ['special', {'handle': 1, 'kind': 'own',"
         " 'title': 'x'}]} for n in range(2, 6)])", "protocol"),
        (FIND + "for n in fds: os.close(n)", "died"),
        (FIND + "for n in fds: os.dup2(os.open('/dev/null', os.O_RDWR), n)", "died"),
        (FIND + "for n in fds: socket.socket(fileno=os.dup(n)).shutdown(2)", "died"),
        ("import os; os._exit(0)", "died"),
        ("import os; os.kill(os.getpid(), 9)", "died"),
        ("import ctypes; ctypes.string_at(0)", "died"),
        ("from coursekit.grading import wire\nwire.send = lambda *a: None\nimport os\nos._exit(0)",
         "died"),
    ],
)  # fmt: skip
def test_who_breaks_the_channel_loses_what_follows_and_keeps_what_was(attack, end):
    wrong = check("assert double(2) == 5", grade_id="later")
    events = run_job({"steps": [HONEST, check("assert double(2) == 4"), cell(attack), wrong]})
    results = {e["grade_id"]: e["verdict"] for e in events if e["event"] == "test"}
    assert results == {"t": "passed"}
    assert events[-1]["event"] == "lost"
    assert events[-1]["why"] == end
    assert events[-1]["index"] in (2, 3)


@pytest.mark.parametrize(
    "attack",
    [
        FORGE + "forge({'id': 1, 'op': 'callback', 'number': 0, 'args': [], 'named': {}})",
        "import os\nif os.fork() == 0:\n    def double(n): return n",
        "import os\nif os.fork() == 0:\n    raise ValueError",
        "import os, threading\nthreading.Thread(target=os.fork).start()",
        "import builtins\nfor name in ('len', 'isinstance', 'map', 'getattr', 'print', 'open'):\n"
        "    setattr(builtins, name, None)",
        "import json\njson.dumps = json.loads = None",
        "import numpy as np\nnp.allclose = np.array_equal = lambda *a, **k: True",
        "import sys\nsys.stdout = sys.stderr = sys.stdin = None",
        "import sys\nsys.stdout.close()",
        "get_ipython().run_cell = None",
        "get_ipython().ast_transformers.append(lambda tree: None)",
        "import ast\nclass T(ast.NodeTransformer):\n    def visit_Assert(self, node): return None\n"
        "get_ipython().ast_transformers.append(T())",
        "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)",
        "import sys\nclass F:\n    def find_spec(self, *a):\n        raise ImportError\n"
        "sys.meta_path.insert(0, F())",
        "import atexit\natexit.register(lambda: 1 / 0)",
        "class D:\n    def __del__(self): 1 / 0\nD(); d = D()",
        "import threading\nthreading.Thread(target=threading.Event().wait).start()",
        "import sys\nsys.modules.clear()",
        "globals().clear()\ndef double(n): return 2 * n",
        "import sys\ndef f(): f()\nf()",
        "raise type('X', (BaseException,), {'__str__': lambda s: f()})",
        "expected = got = points = verdict = 100",
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)",
        "import os\nos.environ.clear()\nos.chdir('/')",
        "print('\\ud800', '\\x00', '\\u202e')",
        "def broken(:",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "__name__ = 'x'; __builtins__ = {}",
        "\x00",
    ],
)  # fmt: skip
def test_nothing_is_won_by_breaking_things(attack):
    """A wrong answer stays wrong, whether the process survives or not."""
    steps = [HONEST, cell(attack), check("assert double(2) == 5"), check("np.allclose(1, 2) * 1.0")]
    events = run_job({"imports": ["import numpy as np"], "steps": steps})
    assert events[-1]["event"] in ("end", "lost")
    assert all(e["points"] == 0 for e in events if e["event"] == "test")


def test_a_forked_child_does_not_speak_for_the_student():
    student = cell("import os\npid = os.fork()\ndef f():\n    return os.fork() and 1", "f")
    results = grade(student, check("assert f() == 1"), check("assert f() == 1\nassert f() == 1"))
    assert [result["verdict"] for result in results] == ["passed", "passed"]


def test_nothing_secret_is_in_the_students_process():
    student = cell(
        "import gc, re, sys\ndef look():\n    frame, found = sys._getframe(), []\n"
        "    while frame:\n        found.append(frame.f_locals)\n        frame = frame.f_back\n"
        "    for thing in [*found, *gc.get_objects()]:\n"
        "        if type(thing) in (dict, list, tuple) and len(thing) < 1000:\n"
        "            for part in thing.values() if type(thing) is dict else thing:\n"
        "                if type(part) is str and re.search('TOP-[0-9a-f]{16}', part):\n"
        "                    return part\n"
        "def mark():\n    globals()['found'] = 'TOP-' + '0' * int('16')",
        "look",
        "mark",
    )
    test = (
        "import secrets\nexpected = 'TOP-' + secrets.token_hex(8)\n"
        "def inner(x):\n    return look()\n"
        "assert inner(expected) is None\nmark()\nassert look() is not None, 'the search works'"
    )
    result = one(student, check(test))
    assert (result["verdict"], result["message"]) == ("passed", "")


def test_callbacks_with_hostile_arguments():
    student = cell(
        "class Evil:\n    def __eq__(self, other): return True\n"
        "    def __getattr__(self, name): raise SystemExit\n"
        "def call(f, *a):\n    return f(*a)\n"
        "def evil(f):\n    return f(Evil())\n"
        "def deep(f):\n    return f(deep, f)\n"
        "kept = []\ndef keep(f):\n    kept.append(f)\ndef late():\n    return kept[0](1)\n"
        "def ignore(f):\n    try:\n        f(1)\n    except BaseException:\n        pass\n"
        "    return 1\n",
        "call", "evil", "deep", "keep", "late", "ignore",
    )  # fmt: skip
    results = grade(
        student,
        check("assert evil(lambda x: x == 5) is False"),
        check("deep(lambda f, g: f(g))"),
        check("keep(lambda x: x)"),
        check("late()"),
        check("assert ignore(lambda x: 1 / 0) == 1"),
        check("assert call(call, call, lambda: 3) == 3"),
    )
    verdicts = [result["verdict"] for result in results]
    assert verdicts == ["passed", "error", "passed", "error", "passed", "passed"]


def test_a_test_that_catches_everything_can_not_hide_a_dead_student():
    student = cell("import os\ndef f():\n    os._exit(0)", "f")
    test = "try:\n    f()\nexcept BaseException:\n    pass\n2.0"
    events = run_job({"steps": [student, check(test)]})
    assert kinds(events)[-2:] == ["begin", "lost"]


def test_tests_can_run_among_the_students_objects():
    student = cell("class Box:\n    pass\nbox = Box()\nbox.items = [1]", "box")
    steps = [
        student,
        check("box.items.append(2)\nassert box.items == [1, 2]"),
        check("assert box.items == []", grade_id="u"),
        cell(
            "import coursekit.grading.testcell as t\nt.run_test = lambda *a, **k: {'points': 1e9}"
        ),
        check("1 / 0", grade_id="v"),
    ]
    events = run_job({"steps": steps, "in_process": True})
    results = [event for event in events if event["event"] == "test"]
    assert [result["verdict"] for result in results] == ["passed", "wrong"]
    assert results[1]["got"] == "[1, 2]"
    assert events[-1] == {"event": "lost", "index": 4, "why": "protocol"}


# ---- Reading cells


@pytest.mark.parametrize(
    ("source", "foreign"),
    [
        ("x = answer(3)", {"answer"}),
        ("def f():\n    return answer(3)", set()),
        ("f = lambda: answer(3)", set()),
        ("def f(x=answer):\n    pass", {"answer"}),
        ("class A(answer):\n    pass", {"answer"}),
        ("y = [z for z in range(3)]", set()),
        ("y = [z for z in answer]", {"answer"}),
        ("import os\nos.getcwd()", set()),
        ("for answer in range(3):\n    print(answer)", set()),
        ("x = x + 1", {"x"}),
        ("answer = 1\nprint(answer)", set()),
        ("with open('f') as f:\n    f.read()", set()),
        ("try:\n    pass\nexcept Exception as e:\n    print(e)", set()),
    ],
)
def test_foreign_names(source, foreign):
    names = checker.Names(checker.Student(io.BytesIO(), io.BytesIO(), checker.Alarm()))
    names.give(["answer"])
    reader = checker._Reader(names)
    reader.visit(testcell.parse(source))
    assert reader.foreign == foreign


def test_a_read_only_cell_that_fails_here_is_the_students():
    locked = trusted("import coursekit_missing", "x")
    (result,) = grade(HONEST, locked, check("assert double(1) == 2"))
    assert result["verdict"] == "passed"
    assert result["notes"][0].startswith("The read-only cell locked failed: ModuleNotFoundError")


# ---- Processes of their own (macOS, Windows)


def test_started_as_processes():
    steps = [HONEST, check("assert double(2) == 4"), check("assert double(2) == 5")]
    steps = [{"index": index, **step} for index, step in enumerate(steps)]
    limits = {"cell_seconds": 20.0}
    job = {"seed": 1, "imports": [], "own_classes": [], "limits": limits, "steps": steps}
    done = subprocess.run(
        [sys.executable, "-m", "coursekit.grading.checker"],
        input=json.dumps(job).encode() + b"\n",
        capture_output=True,
        timeout=60,
        env=os.environ,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["verdict"] for e in events if e["event"] == "test"] == ["passed", "wrong"]
    assert events[-1] == {"event": "end"}


def test_limits_of_a_job_are_those_of_the_runner():
    assert Limits(**{"cell_seconds": 1.0}).output == 1 << 20
    assert wire.MAX_BLOCKS < 1 << 30


# ---- What must not become the student's


def test_a_read_only_cell_that_ended_the_student_still_runs_here():
    steps = [cell("oracle = lambda x: 0\ndef double(x): return 0", "double")]
    steps += [trusted("def oracle(x): return 2 * x", "oracle")]
    (result,) = grade(*steps, check("assert double(3) == oracle(3)"), skip=[1])
    assert result["verdict"] == "wrong"


def test_a_read_only_cell_is_trusted_but_for_what_reads_the_student():
    """A magic, or an example with the student's function, must not give the oracle away."""
    source = "%matplotlib inline\ndef oracle(x): return 2 * x\nexample = double(3)"
    steps = [trusted(source, "oracle", "example"), cell("oracle = lambda x: 0")]
    student = cell("def double(x): return 0", "double")
    test = check("assert example == 0\nassert double(3) == oracle(3)")
    (result,) = grade(student, *steps, test)
    assert (result["got"], result["expected"]) == ("0", "6")


def test_a_read_only_cell_that_takes_too_long_gives_nothing_away():
    student = cell("def double(x): return 0\noracle = lambda x: 0", "double")
    slow = trusted(
        "import os\nif not os.environ.get('STUDENT'):\n    while True: pass\n"
        "def oracle(x): return 2 * x",
        "oracle",
    )
    student["source"] += "\nimport os\nos.environ['STUDENT'] = '1'"
    limits = {"cell_seconds": 0.3}
    (result,) = grade(student, slow, check("assert double(3) == oracle(3)"), limits=limits)
    assert result["verdict"] == "error"
    assert "oracle" in result["message"]


def test_names_of_a_test_that_failed_are_nobodys():
    student = cell("def double(x): return 0\ntwice = lambda x: 0", "double")
    first = check("assert double(1) == 2\ndef twice(x): return 2 * x")
    second = check("assert double(3) == twice(3)", grade_id="u")
    assert [r["verdict"] for r in grade(student, first, second)] == ["wrong", "error"]


def test_names_of_a_decided_test_are_there_for_later_tests():
    student = cell("def double(x): return 2 * x\ntwice = lambda x: 0", "double")
    first = check("assert double(1) == 2\ndef twice(x): return 2 * x")
    second = check("assert double(3) == twice(3)", grade_id="u")
    (result,) = grade(student, first, second, decided=["t"])
    assert (result["grade_id"], result["verdict"]) == ("u", "passed")


@pytest.mark.parametrize("student", [cell("", "sum"), cell("def sum(x): return 3", "sum")])
@pytest.mark.parametrize("skip", [[], [0]])
def test_pythons_own_function_is_no_answer(student, skip):
    (result,) = grade(student, check("assert sum([1, 1]) == 2"), skip=skip)
    assert result["verdict"] in ("error", "wrong")


# ---- Answers that satisfy tests without being right

RIGHT = "e = 2 * np.arange(3.0)\na = f()\n"


SAY_NOTHING = [
    ("np.zeros((0, 1))", RIGHT + "assert np.allclose(a, e)"),
    ("np.zeros((0, 1))", RIGHT + "assert (a == e).all()"),
    ("np.zeros((0, 1))", RIGHT + "assert np.linalg.norm(a - e) < 1"),
    ("[]", "assert np.allclose(f(), 3.0)"),
    ("[]", "np.testing.assert_allclose(f(), 3.0)"),
    ("np.array(complex(1.7e308, 1.7e308))", "assert np.allclose(3.0, f())"),
    ("np.dtype(float)", "assert f() == np.float64(3.0)"),
    ("next(iter([]))", "assert all(map(lambda x: f() == 2 * x, [1, 2]))"),
]
# Where complex numbers are the task, tests must look at this themselves.
COMPLEX_SIZE = ("np.full(3, 1e9j)", RIGHT + "assert np.mean((a - e) ** 2) < 1e-9")


@pytest.mark.parametrize(
    ("answer", "test", "complex_numbers"),
    [(*pair, False) for pair in (*SAY_NOTHING, COMPLEX_SIZE)]
    + [(*pair, True) for pair in SAY_NOTHING],
)
def test_an_answer_that_says_nothing_convinces_nobody(answer, test, complex_numbers):
    student = cell(f"import numpy as np\ndef f(): return {answer}", "f")
    assert one(student, check(test), complex=complex_numbers)["points"] == 0


def test_honest_empty_answers_and_types_pass():
    student = cell(
        "import numpy as np\ndef f(x): return x[x > 0]\nkind = np.zeros(2).dtype", "f", "kind"
    )
    test = "a = f(np.zeros(3))\nassert np.array_equal(a, []) and np.allclose(a, np.zeros(0))\n"
    test += "assert isinstance(a, np.ndarray) and len(a) == 0 and a.shape == (0,)\n"
    test += "assert kind == float and kind == np.float64 and 'float64' == kind\n"
    test += "assert kind == np.dtype('f8') and np.zeros(2).dtype == kind and kind.itemsize == 8\n"
    test += "assert isinstance(kind, np.dtype) and np.zeros(1, dtype=kind).dtype == float"
    assert one(student, check(test))["verdict"] == "passed", one(student, check(test))


def test_a_number_too_large_for_points_is_none():
    student = cell("def f(): return 10**400", "f")
    assert one(student, check("sum([f()])"))["points"] == 0


def test_outputs_have_one_limit_whatever_the_student_says():
    made = checker.Checker({"limits": {"output": 1000}}, None, io.BytesIO(), io.BytesIO())
    small = {"output_type": "stream", "name": "stdout", "text": "x" * 900}
    error = {"output_type": "error", "ename": "E", "evalue": "x" * 900, "traceback": []}
    kept = made._outputs([small, error] * 1000)
    assert len(json.dumps(kept)) < 20_000
    assert made._outputs([error]) == [error]


def test_the_checker_draws_nothing():
    drawing = trusted("import matplotlib.pyplot as plt\nx = 2\nplt.plot([x])\nplt.show()", "x")
    result = one(drawing, check("assert x == 2"), imports=["import matplotlib.pyplot as plt"])
    assert result["verdict"] == "passed"
    assert sys.modules["matplotlib.pyplot"].get_fignums() == []
