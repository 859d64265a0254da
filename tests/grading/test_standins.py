"""What stands for functions of libraries while a test runs: it helps tests, and no liar."""

import pytest

from tests.grading.support import cell, check, one, run_job


@pytest.mark.parametrize(
    "source",
    ["%%capture out\nassert False", "%%timeit\nassert False", "%time f()", "files = !ls"],
)
def test_magics_that_would_run_the_test_elsewhere(source):
    result = one(cell("def f():\n    return 1", "f"), check(source))
    assert (result["verdict"], result["points"]) == ("error", 0)
    assert "--in-process" in result["message"]


def test_magics_that_only_prepare():
    result = one(cell("x = 1", "x"), check("%matplotlib inline\n!pip install x\nassert x == 1"))
    assert result["verdict"] == "passed"


SECRET = """
import os
np.random.seed(int(os.environ["COURSEKIT_SEED"]))
mine = np.random.get_state()[1].tolist()
assert see() != mine, "the student knows what comes next"
"""


def test_the_graders_seed_stays_secret():
    student = cell("import numpy\ndef see(): return numpy.random.get_state()[1].tolist()", "see")
    assert one(student, check(SECRET), seed=123456)["verdict"] == "passed"
    # a seed that anybody can read is no secret, and known until the next
    written = SECRET.replace('int(os.environ["COURSEKIT_SEED"])', "5").replace("!=", "==")
    assert one(student, check(written))["verdict"] == "passed"
    after = check("np.random.seed(5)" + SECRET)
    assert one(student, after, seed=123456)["verdict"] == "passed"


def test_what_an_answer_prints_is_in_no_message():
    student = cell("def f():\n    print('MINE')\n    return 1", "f")
    result = one(student, check("f()\nprint('one of two')\n1"))
    assert (result["points"], result["message"]) == (1, "one of two")


def test_texts_that_are_none():
    lie = "from coursekit.grading import testcell\ntestcell.Printed.take = lambda self: [1]\n"
    events = run_job({"steps": [cell(lie + "def f(): return 1", "f"), check("f()")]})
    assert (events[-1]["event"], events[-1]["why"]) == ("lost", "protocol")


def test_much_is_printed():
    student = cell("def f():\n    print('x' * 10_000_000)", "f")
    test = (
        "import io, sys\nsys.stdout = io.StringIO()\nf()\nassert len(sys.stdout.getvalue()) < 2e6"
    )
    assert one(student, check(test))["verdict"] == "passed"


def test_stand_ins_end_with_the_test():
    student = cell("def f():\n    return input()", "f")
    first = check("import builtins\nbuiltins.input = lambda *_: 'a'\nassert f() == 'a'")
    second = check("f()", grade_id="u")
    results = [e for e in run_job({"steps": [student, first, second]}) if e["event"] == "test"]
    assert [result["verdict"] for result in results] == ["passed", "error"]
    assert "nobody is there to answer" in results[1]["message"]


def test_the_source_of_a_function_is_what_the_student_says():
    student = cell("def f():\n    return [i for i in range(3)]", "f")
    result = one(student, check("import inspect\nassert 'for' not in inspect.getsource(f)"))
    assert result["verdict"] == "wrong"
    assert "as the student's process tells" in result["notes"][0]


LIES = """
from coursekit.grading import student
student.about_function = lambda f: {about}
def f(): pass
"""


@pytest.mark.parametrize(
    "about",
    [
        "5",
        "{'parameters': [('__class__', 99, (), ())], 'returned': (), 'code': {}}",
        "{'parameters': [('x y', 1, (), ())], 'returned': (), 'code': {}}",
        "{'parameters': [], 'returned': ('os:system',), 'code': {}}",
        "{'parameters': [], 'returned': (5,), 'code': {}}",
        "{'parameters': [], 'returned': (), 'code': {'co flags': 1, 5: 2}}",
    ],
)
def test_lies_about_a_signature(about):
    look = "import inspect, os\ns = inspect.signature(f)\nf.__code__\n"
    look += "assert s.return_annotation is os.system"
    result = one(cell(LIES.format(about=about), "f"), check(look))
    assert result["verdict"] in ("wrong", "error")


def test_globals():
    student = cell("x = None\ndef g(): pass", "x", "g")
    test = "assert 'x' in globals() and 'g' in globals() and 'y' not in globals()\n"
    test += "assert globals().get('y', 3) == 3 and callable(globals()['g'])"
    assert one(student, check(test))["verdict"] == "passed"


def test_files_are_opened_by_the_student_alone(tmp_path):
    """A test that watches `open` must not open files outside of the jail for the student."""
    secret = tmp_path / "secret"
    student = cell(f"def f():\n    open({str(secret)!r}, 'w').write('x')", "f")
    watch = "from unittest import mock\n"
    watch += (
        "with mock.patch('builtins.open', side_effect=ZeroDivisionError) as watched:\n    f()\n"
    )
    result = one(student, check(watch + "assert not watched.called"))
    assert result["verdict"] == "passed"
