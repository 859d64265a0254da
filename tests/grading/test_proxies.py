"""Whose a name is, what a handle can do, and what an object that lies can't reach."""

import numpy as np
import pytest

from coursekit.grading import proxies
from tests.grading.support import cell, check, grade, one, trusted


def verdict(student, test, *binds, **about):
    """Run a student's cell and a test cell; give the verdict."""
    return one(cell(student, *binds), check(test), **about)["verdict"]


# ---- Names


def test_the_documented_example_of_nbgrader():
    squares = cell(
        "def squares(n):\n"
        "    if n < 1:\n"
        "        raise ValueError('n must be greater than or equal to 1')\n"
        "    return [i ** 2 for i in range(1, n + 1)]",
        "squares",
    )
    total = cell("def sum_of_squares(n):\n    return sum(squares(n))", "sum_of_squares")
    alone = cell("def sum_of_squares(n):\n    return n*(n+1)*(2*n+1)//6", "sum_of_squares")
    correct = check(
        '"""Check that squares returns the correct output for several inputs"""\n'
        "assert squares(1) == [1]\n"
        "assert squares(10) == [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]"
    )
    invalid = check(
        "try:\n    squares(0)\nexcept ValueError:\n    pass\n"
        "else:\n    raise AssertionError('did not raise')"
    )
    uses = check(
        "orig_squares = squares\ndel squares\n"
        "try:\n    sum_of_squares(1)\nexcept NameError:\n    pass\n"
        "else:\n    raise AssertionError('sum_of_squares does not use squares')\n"
        "finally:\n    squares = orig_squares"
    )
    again = check("assert sum_of_squares(10) == 385\nassert squares(2) == [1, 4]")
    results = grade(squares, correct, invalid, total, uses, again, alone, uses, again)
    assert [r["verdict"] for r in results] == ["passed"] * 4 + ["wrong", "passed"]
    assert results[4]["message"] == "sum_of_squares does not use squares"


def test_a_test_replaces_a_function_by_its_own():
    student = "def helper(x):\n    return x\ndef answer(x):\n    return helper(x) + 1"
    test = (
        "seen = []\nreal = helper\n"
        "helper = lambda x: seen.append(x) or 10\n"
        "assert answer(3) == 11\nassert helper(0) == 10\nassert seen == [3, 0]\n"
        "helper = real\nassert answer(3) == 4"
    )
    assert verdict(student, test, "helper", "answer") == "passed"


@pytest.mark.parametrize("name", ["expected", "x"])
def test_results_of_a_test_never_reach_the_student(name):
    # even where the assignment lets the student's cell bind the name
    student = f"{name} = None\ndef double(n):\n    return {name}"
    assert verdict(student, f"{name} = 6\nassert double(3) == {name}", "double", name) == "wrong"


def test_the_students_names_do_not_replace_the_tests():
    student = (
        "import numpy as np\nnp.allclose = lambda *a: True\nimport builtins\n"
        "builtins.abs = lambda x: 0\nabs = lambda x: 0\nexpected = 0\ntruth = lambda x: 0\n"
        "def double(n):\n    return 0"
    )
    assert verdict(student, "assert np.allclose(double(3), 6)", "double") == "wrong"
    assert verdict(student, "assert abs(double(3) - 6) < 1", "double") == "wrong"
    test = "def truth(x):\n    return 2 * x\nassert double(3) == truth(3)"
    assert verdict(student, test, "double") == "wrong"
    locked = trusted("def truth(x):\n    return 2 * x", "truth")
    late = cell(student, "double")
    assert one(locked, late, check("assert double(3) == truth(3)"))["verdict"] == "wrong"


def test_a_builtin_name_is_the_students_if_the_assignment_asks_for_it():
    student = "def sorted(x):\n    return x"
    assert verdict(student, "assert sorted([2, 1]) == [1, 2]", "sorted") == "wrong"
    assert verdict(student, "assert sorted([2, 1]) == [1, 2]") == "passed"


def test_a_name_that_is_imported_and_asked_for_is_the_students():
    imports = ["from statistics import mean"]
    assert verdict("", "assert mean([1, 3]) == 2", "mean", imports=imports) == "error"


def test_a_missing_answer_is_said_in_plain_words():
    result = one(cell("", "squares"), check("assert squares(1) == [1]"))
    assert result["verdict"] == "error"
    assert result["message"].startswith("This task is not solved yet")
    result = one(cell("def squares(n):\n    raise NotImplementedError()"), check("squares(1)"))
    assert result["message"].startswith("This task is not solved yet")


def test_read_only_cells_run_on_both_sides():
    locked = trusted("import math\nbase = 10\ndef lift(x):\n    return answer(x) + base", "base")
    student = cell("def answer(x):\n    return x * base", "answer")
    test = check("assert answer(2) == 20\nassert lift(2) == 30\nassert base == 10")
    assert one(locked, student, test)["verdict"] == "passed"
    # the student's changes stay on the student's side
    liar = cell("base = 0\ndef answer(x):\n    return 0", "answer")
    assert one(locked, liar, check("assert answer(2) == 2 * base"))["verdict"] == "wrong"


def test_a_read_only_cell_that_needs_the_student_belongs_to_the_student():
    student = cell("def answer(x):\n    return x * 2", "answer")
    locked = trusted("shown = answer(4)", "shown")
    assert one(student, locked, check("assert shown == 8"))["verdict"] == "passed"


# ---- Values


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ("[1, (2, None), {'a': {1}}]", "assert answer == [1, (2, None), {'a': {1}}]"),
        ("np.arange(3)", "assert answer.tolist() == [0, 1, 2]"),
        ("np.float32(0.5)", "assert type(answer) is np.float32"),
        ("np.matrix([[1, 2]])", "assert type(answer) is np.ndarray and answer.shape == (1, 2)"),
        ("{1: 2}.values()", "assert answer == [2]"),
        ("collections.Counter('aab')", "assert answer == {'a': 2, 'b': 1}"),
        ("collections.deque([1, 2])", "assert list(answer) == [1, 2]"),
        ("P(1, 2)", "assert answer.x == 1 and answer == (1, 2)"),
        ("(i * i for i in range(3))", "assert list(answer) == [0, 1, 4]"),
        ("zip('ab', [1, 2])", "assert dict(answer) == {'a': 1, 'b': 2}"),
        ("itertools.count()", "assert [n for n, _ in zip(answer, 'abc')] == [0, 1, 2]"),
        ("len", "assert answer('abc') == 3 and answer == len"),
        ("np.dtype('f4')", "assert answer == np.float32"),
        ("np.array([None, 1])", "assert answer == [None, 1]"),
        ("10 ** 5000", "assert answer == 10 ** 5000"),
    ],
)
def test_answers_that_are_values(source, test):
    student = (
        "import collections, itertools\nimport numpy as np\n"
        f"P = collections.namedtuple('P', 'x y')\nanswer = {source}"
    )
    assert verdict(student, test, "answer") == "passed"


def test_arguments_that_a_function_changes_are_changed_in_the_test():
    student = (
        "def change(items, table, array, deep):\n"
        "    items.append(3); table['b'] = 2; array *= 2; deep[0].append(1)\n"
        "def same(items):\n    return items\ndef copy(items):\n    return list(items)"
    )
    test = (
        "items, table, array, inner = [1], {'a': 1}, np.ones(2), []\n"
        "assert change(items, table, array, [inner]) is None\n"
        "assert items == [1, 3] and table == {'a': 1, 'b': 2} and inner == [1]\n"
        "assert array.tolist() == [2, 2]\n"
        "assert same(items) is items and copy(items) is not items"
    )
    assert verdict(student, test, "change", "same", "copy") == "passed"


def test_functions_go_both_ways():
    student = (
        "def apply(f, x):\n    return f(x)\n"
        "def compose(f, g):\n    return lambda x: f(g(x))\n"
        "def slope(f, x):\n    return (f(x + 1e-6) - f(x - 1e-6)) / 2e-6"
    )
    test = (
        "assert apply(np.cos, np.zeros(2)).tolist() == [1, 1]\n"
        "assert apply(lambda x: x + 1, 2) == 3\n"
        "assert compose(lambda x: x + 1, np.sqrt)(16) == 5\n"
        "assert compose(lambda x: compose(str, abs)(x), int)('-4') == '4'\n"
        "assert abs(slope(np.sin, 0.0) - 1) < 1e-6"
    )
    assert verdict(student, test, "apply", "compose", "slope") == "passed"


def test_exceptions_of_a_tests_own_function_come_back():
    student = "def apply(f, x):\n    return f(x)"
    test = (
        "class Mine(Exception):\n    pass\n"
        "def fail(x):\n    raise Mine('here')\n"
        "try:\n    apply(fail, 1)\nexcept Mine as error:\n    assert str(error) == 'here'\n"
        "else:\n    raise AssertionError('nothing raised')"
    )
    assert verdict(student, test, "apply") == "passed"
    test = "def check(x):\n    assert x == 2, 'called with the wrong number'\napply(check, 1)"
    result = one(cell(student, "apply"), check(test))
    assert (result["verdict"], result["message"]) == ("wrong", "called with the wrong number")


def test_random_generators_cross_and_can_not_be_steered():
    student = (
        "def draw(random):\n    return random.random(3)\n"
        "def steer(random):\n    random.bit_generator.state = "
        "np.random.default_rng(0).bit_generator.state\n"
    )
    test = (
        "assert draw(np.random.default_rng(3)).tolist() == "
        "np.random.default_rng(3).random(3).tolist()\n"
        "random = np.random.default_rng(5)\n"
        "steer(random)\n"
        "assert random.random() != np.random.default_rng(0).random()"
    )
    assert verdict("import numpy as np\n" + student, test, "draw", "steer") == "passed"


def test_what_can_not_cross_is_said_in_plain_words():
    test = "class Local:\n    pass\nuse(Local())"
    result = one(cell("def use(x):\n    return 1", "use"), check(test))
    assert result["verdict"] == "error"
    assert "can't pass an object of the type Local" in result["message"]


# ---- Exceptions


def test_exceptions_of_the_student():
    student = (
        "import numpy as np\n"
        "class TooSmall(ValueError):\n    pass\n"
        "def check(n):\n    raise TooSmall(f'{n} is too small')\n"
        "def invert():\n    return np.linalg.inv(np.zeros((2, 2)))\n"
        "def look():\n    return {}['key']\n"
        "def leave():\n    raise SystemExit(3)"
    )
    test = (
        "import contextlib\n"
        "def catches(kind, f, *a):\n"
        "    try:\n        f(*a)\n    except kind as error:\n        return error\n"
        "assert str(catches(TooSmall, check, 3)) == '3 is too small'\n"
        "assert catches(ValueError, check, 3) is not None\n"
        "assert issubclass(TooSmall, ValueError)\n"
        "assert catches(np.linalg.LinAlgError, invert) is not None\n"
        "assert catches(KeyError, look).args == ('key',)\n"
        "assert type(catches(Exception, leave)).__name__ == 'SystemExit'"
    )
    assert verdict(student, test, "TooSmall", "check", "invert", "look", "leave") == "passed"


def test_the_students_own_assertion_is_an_error_not_a_wrong_answer():
    result = one(cell("def f():\n    assert False, 'mine'", "f"), check("f()"))
    assert (result["verdict"], result["message"]) == ("error", "AssertionError: mine")


@pytest.mark.parametrize(
    "body",
    [
        "raise type('A\\nB<script>', (Exception,), {})('x')",
        "raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})()",
        "raise Exception('x' * 10 ** 7)",
        "raise type('E', (Exception,), {'args': property(lambda s: 1 / 0)})()",
        "raise ExceptionGroup('two', [ValueError(1)])",
        "raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'why')",
        "raise type('KeyboardInterrupt', (BaseException,), {})()",
        "raise GeneratorExit",
        "return f()",
        "return __import__('sys').setrecursionlimit(10**5) or [[]] + f",
    ],
)
def test_hostile_exceptions_end_one_test(body):
    student = cell(f"def f():\n    {body}\ndef g():\n    return 1", "f", "g")
    first, second = grade(student, check("f()"), check("assert g() == 1"))
    assert first["verdict"] == "error"
    assert len(first["message"]) < 3000
    assert "\n" not in first["message"].partition(":")[0]
    assert second["verdict"] == "passed"


# ---- Objects that lie

LIAR = """
import numpy as np
class Yes:
    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return lambda *a, **k: 0
    shape = (3,)
    ndim = 1
    size = 3
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __radd__ = __mul__ = __abs__ = __neg__ = __sub__
    def __round__(self, n=0): return 9
    def __instancecheck__(self, other): return True
    def __bool__(self): return True
    def all(self): return True
    any = all
def answer(*a):
    return Yes()
"""


FOOLED_BY_A_YES = [
    "assert answer(3) == 9",
    "assert not answer(3) != 9",
    "assert 9 == answer(3)",
    "assert answer(3) in [9]",
    "assert 9 in answer(3)",
    "assert 8 < answer(3) < 10",
    "assert abs(answer(3) - 9) < 1e-9",
    "assert round(answer(3)) == 9",
    "assert np.allclose(answer(3), 9)",
    "assert np.isclose(answer(3), 9)",
    "assert np.array_equal(answer(3), np.full(3, 9))",
    "assert (np.full(3, 9) == answer(3)).all()",
    "assert (answer(3) == np.full(3, 9)).all()",
    "np.testing.assert_allclose(answer(3), 9)",
    "np.testing.assert_equal(answer(3), 9)",
    "assert np.mean(answer(3)) == 0 and np.std(answer(3)) == 0",
    "assert np.shape(answer(3)) == (3,)",
    "assert [answer(3)] == [9]",
    "assert {'a': 9} == {'a': answer(3)}",
    "assert {9} == {answer(3)}",
    "assert isinstance(answer(3), int)",
    "assert isinstance(answer(3), np.ndarray)",
    "assert str(answer(3)) == '9'",
    "assert float(answer(3)) == 9",
]
# What an object of a class that the exercise asks for may say; the test has a note then.
ASKED_OF_OWN = [
    "assert answer(3).mean() == 0",
    "assert len(answer(3)) == 3",
]


@pytest.mark.parametrize(
    ("test", "own"),
    [(test, []) for test in FOOLED_BY_A_YES + ASKED_OF_OWN]
    + [(test, ["Yes"]) for test in FOOLED_BY_A_YES],  # the own class of another task
)
def test_an_object_that_always_says_yes_earns_nothing(test, own):
    result = one(cell(LIAR, "answer"), check(test), own_classes=own)
    assert result["verdict"] != "passed"


@pytest.mark.parametrize(
    "kind",
    [
        "class A(list):\n    def __eq__(self, other): return True\nlie = A([1])",
        "class A(float):\n    def __eq__(self, other): return True\nlie = A(1)",
        "class A(int):\n    __sub__ = lambda s, o: 0\n    __rsub__ = __sub__\nlie = A(1)",
        "class A(str):\n    def __eq__(self, other): return True\nlie = A('a')",
        "class A(dict):\n    def __eq__(self, other): return True\nlie = A()",
        "import numpy as np\nclass A(np.ndarray):\n    def __array_ufunc__(self, *a, **k):"
        " return np.zeros(3)\n    def __array_function__(self, *a, **k): return True\n"
        "lie = np.ones(3).view(A)",
        "class A:\n    def __float__(self): return 1.0\n"
        "    def __eq__(self, other): return True\nlie = A()",
        "class A:\n    def __array__(self, *a, **k):\n        import numpy as np\n"
        "        return np.ones(3)\n    def __eq__(self, other): return True\nlie = A()",
    ],
)
@pytest.mark.parametrize(
    "test", ["assert np.allclose(answer(), 9)", "assert not answer() != 9", "assert answer() == 9"]
)
def test_subclasses_of_plain_types_arrive_as_plain_values(kind, test):
    source = f"{kind}\ndef answer():\n    return lie"
    if "!=" in test:
        test = "assert not np.any(np.asarray(answer() != 9))"
    assert verdict(source, test, "answer") != "passed"


def test_an_object_can_not_answer_two_questions_differently():
    # a permutation when it is counted, sorted when it is read
    student = (
        "class Two:\n    def __init__(self, x): self.x = x\n"
        "    def __len__(self): return len(self.x)\n"
        "    def __getitem__(self, i): return i\n"
        "    def __iter__(self): return iter(self.x)\n"
        "def sort(x):\n    return Two(list(x))"
    )
    test = (
        "answer = sort([3, 1, 2])\nassert sorted(answer) == [1, 2, 3]\n"
        "assert all(answer[i] <= answer[i + 1] for i in range(2))"
    )
    assert verdict(student, test, "sort") == "wrong"


def test_a_global_name_is_read_once_between_calls():
    student = (
        "class Names(dict):\n    pass\n"
        "import itertools\nturn = itertools.count()\n"
        "def wobble():\n    import threading, time\n"
        "    while True:\n        globals()['best'] = next(turn)\n        time.sleep(0)\n"
        "import threading\nthreading.Thread(target=wobble, daemon=True).start()"
    )
    test = "seen = [best for _ in range(200)]\nassert len(set(seen)) == 1"
    assert verdict(student, test, "best") == "passed"


def test_instances_of_the_assignments_classes_do_what_they_like_and_it_is_noted():
    student = cell(
        "class Vector:\n    def __init__(self, x, y):\n        self.x, self.y = x, y\n"
        "    def __add__(self, other):\n        return Vector(self.x + other.x, self.y + other.y)\n"
        "    def __rmul__(self, n):\n        return Vector(n * self.x, n * self.y)\n"
        "    def __eq__(self, other):\n        return (self.x, self.y) == (other.x, other.y)\n"
        "    def __len__(self):\n        return 2\n    def __getitem__(self, i):\n"
        "        return (self.x, self.y)[i]\n    def __repr__(self):\n"
        "        return f'Vector({self.x}, {self.y})'\n"
        "    def __iadd__(self, other):\n        self.x += other.x\n        return self\n"
        "    def __enter__(self):\n        return self\n    def __exit__(self, *a):\n"
        "        self.x = 0\n    @classmethod\n    def zero(cls):\n        return cls(0, 0)\n"
        "class Point(Vector):\n    pass",
        "Vector",
        "Point",
    )
    test = check(
        "v = Vector(1, 2)\nassert v + Vector(3, 4) == Vector(4, 6)\nassert v != Vector(0, 0)\n"
        "assert v[1] == 2 and len(v) == 2 and list(v) == [1, 2]\nassert (2 * v).y == 4\n"
        "v.x = 5\nassert v.x == 5 and repr(v) == 'Vector(5, 2)'\n"
        "assert isinstance(v, Vector) and not isinstance(v, Point) and issubclass(Point, Vector)\n"
        "assert Vector.zero() == Vector(0, 0)\nassert not hasattr(v, 'z')\n"
        "v += Vector(1, 1)\nassert v.x == 6\n"
        "with v as w:\n    assert w is v\nassert v.x == 0\n"
        "try:\n    v < v\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError"
    )
    result = one(student, test, own_classes=["Vector", "Point"])
    assert (result["verdict"], result["message"]) == ("passed", "")
    assert result["notes"] == ["The student's class Vector compares by itself."]


def test_an_instance_of_a_known_class_has_its_attributes_and_no_others():
    student = (
        "from string import Template\n"
        "class T(Template):\n    mean = 0\n    def __eq__(self, other): return True\n"
        "answer = T('$x')\nhonest = Template('$y')"
    )
    imports = ["import string"]
    test = (
        "import string\nassert isinstance(answer, string.Template)\n"
        "assert honest.substitute(y=3) == '3' and honest.template == '$y'\n"
        "assert answer.substitute(x=4) == '4'\n"
        "assert not hasattr(answer, 'mean')\nassert not answer == 3"
    )
    assert verdict(student, test, "answer", "honest", imports=imports) == "passed"


def test_functions_keep_no_attributes_but_those_of_caches():
    student = (
        "import functools\n@functools.lru_cache\ndef f(x):\n    return x\nf.mean = lambda: 0\n"
        "def g(x):\n    return x\ng.shape = (3,)"
    )
    test = "f(1), f(1)\nassert f.cache_info().hits == 1\nassert not hasattr(g, 'shape')"
    assert verdict(student, test, "f", "g") == "passed"


def test_attributes_that_a_class_sets():
    class Thing:
        kind = 1

        def __init__(self):
            self.size = 2

    found = proxies.attributes(Thing)
    assert {"kind", "size"} <= found
    assert "mean" not in found


@pytest.mark.parametrize(
    ("old", "new", "after"),
    [
        ([1], [1, 2], [1, 2]),
        ({"a": 1, "b": [2]}, {"b": [3]}, {"b": [3]}),
        ({1}, {2}, {2}),
        ([1], (1,), [1]),
        (bytearray(b"a"), bytearray(b"bc"), bytearray(b"bc")),
    ],
)
def test_replace(old, new, after):
    proxies.replace(old, new)
    assert old == after


def test_replace_leaves_arrays_of_another_shape():
    old = np.zeros(2)
    proxies.replace(old, np.ones(3))
    assert old.tolist() == [0, 0]
