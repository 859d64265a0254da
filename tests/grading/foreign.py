"""Assignments as other instructors write them for nbgrader: what they test, and how.

Each has the answers of a few students with the marks that they must get. `Foreign.apart` says which
tests can't work while the student's objects live in another process, and what the grader then says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.grading.notebook import answered, code, notebook, text


@dataclass(frozen=True)
class Foreign:
    """An assignment.

    Parameters
    ----------
    cells : tuple
        Its source.
    wrong : dict
        Name of a student → answers by grade_id (others are the solution's), and marks by grade_id
        of what does not get full marks.
    apart : dict
        Name of a test → what the grader must say in separate processes, where it can't work.
    needs : str
        A module without which it is left out.
    files : dict
        Data files.
    """

    cells: tuple[Any, ...]
    wrong: dict[str, tuple[dict[str, str], dict[str, float]]]
    apart: dict[str, str] = field(default_factory=dict)
    needs: str = ""
    files: dict[str, bytes] = field(default_factory=dict)

    def source(self) -> Any:
        return notebook(*self.cells)

    def worth(self) -> dict[str, float]:
        """List the points of the tests."""
        about = [cell.metadata.get("nbgrader", {}) for cell in self.cells]
        return {a["grade_id"]: a["points"] for a in about if a.get("grade")}

    def students(self) -> dict[str, tuple[Any, dict[str, float]]]:
        """Give each student's notebook and marks."""
        full = self.worth()
        made = {"solution": (self.source(), full)}
        for name, (answers, marks) in self.wrong.items():
            made[name] = (answered(self.source(), **answers), {**full, **marks})
        return made


def answer(grade_id: str, solution: str, before: str = "") -> Any:
    """Make a cell with a solution to be taken out; `before` is left to students."""
    indent = " " * (len(solution) - len(solution.lstrip(" ")))
    body = f"{indent}### BEGIN SOLUTION\n{solution.rstrip()}\n{indent}### END SOLUTION"
    return code(f"{before}{body}", "answer", grade_id)


def tests(grade_id: str, points: float, source: str) -> Any:
    return code(source.strip("\n"), "tests", grade_id, points)


TEXTS = Foreign(
    (
        text("# Strings, lists and dictionaries"),
        code(
            "from collections import Counter\n"
            "from unittest import TestCase\n"
            "\n"
            "from numpy.testing import assert_almost_equal, assert_equal, assert_raises",
            "locked",
            "imports",
        ),
        code(
            "def check(function, *arguments, expected):\n"
            "    got = function(*arguments)\n"
            "    assert got == expected, f'{arguments} gives {got!r}, not {expected!r}'",
            "locked",
            "helper",
        ),
        answer(
            "words",
            "    found = {}\n"
            "    for word in text.lower().split():\n"
            "        found[word] = found.get(word, 0) + 1\n"
            "    return found\n",
            "def count_words(text: str) -> dict[str, int]:\n"
            '    """Count words, whatever their case."""\n',
        ),
        tests(
            "test_words",
            2,
            """
assert_equal(count_words("a b a"), {"a": 2, "b": 1})
check(count_words, "A a", expected={"a": 2})
### BEGIN HIDDEN TESTS
assert count_words("x y x") == dict(Counter("xyx"))
assert "x" in count_words("x") and count_words("") == {}
### END HIDDEN TESTS
""",
        ),
        answer(
            "lists",
            "def unique(items):\n    return sorted(set(items))\n\n\n"
            "def swap(pair):\n    return pair[1], pair[0]\n\n\n"
            "def append_sum(numbers):\n    numbers.append(sum(numbers))\n",
        ),
        tests(
            "test_lists",
            2,
            """
tc = TestCase()
tc.assertEqual(unique([3, 1, 3]), [1, 3])
tc.assertListEqual(unique("ba"), ["a", "b"])
tc.assertTupleEqual(swap((1, 2)), (2, 1))
tc.assertIsInstance(swap((1, 2)), tuple)
numbers = [1, 2]
tc.assertIsNone(append_sum(numbers), "change the list, return nothing")
tc.assertEqual(numbers, [1, 2, 3])
with tc.assertRaises(TypeError):
    unique(5)
""",
        ),
        code("limit = 10\nseen = set()", "locked", "globals"),
        answer(
            "globals_answer",
            "limit = 3\nnames = {'ada', 'grace'}\n\n\n"
            "def remember(name):\n"
            "    if len(seen) >= limit:\n"
            "        raise ValueError('no room')\n"
            "    seen.add(name)\n"
            "    return len(seen)\n",
        ),
        tests(
            "test_globals",
            1,
            """
class TestNames(TestCase):
    def test_names(self):
        self.assertIn("ada", names)
        self.assertSetEqual(names, {"grace", "ada"})

    def test_memory(self):
        self.assertEqual([remember(i) for i in range(3)], [1, 2, 3])
        self.assertRaisesRegex(ValueError, "room", remember, 4)

import unittest
result = unittest.TextTestRunner(verbosity=0).run(
    unittest.defaultTestLoader.loadTestsFromTestCase(TestNames)
)
assert result.wasSuccessful(), str(result.failures + result.errors)
""",
        ),
        answer("mean", "    return sum(values) / len(values)\n", "def mean(values):\n"),
        tests(
            "test_mean",
            4,
            """
score = 0
if abs(mean([1, 2, 3]) - 2) < 1e-9:
    score += 3
try:
    mean([])
except ZeroDivisionError:
    score += 1
print("score", score)
score
""",
        ),
    ),
    {
        "case": (
            {"words": "def count_words(text):\n    return {w: 1 for w in text.split()}"},
            {"test_words": 0},
        ),
        "half": (
            {"mean": "def mean(values):\n    return sum(values) / max(1, len(values))"},
            {"test_mean": 3},
        ),
        "list": (
            {
                "lists": "def unique(items):\n    return list(items)\n"
                "def swap(pair):\n    return [pair[1], pair[0]]\n"
                "def append_sum(numbers):\n    return numbers + [sum(numbers)]",
                "globals_answer": "limit = 3\nnames = ['ada', 'grace']\n"
                "def remember(name):\n    return 1",
            },
            {"test_lists": 0, "test_globals": 0},
        ),
    },
)

STACK = """class StackError(Exception):
    pass


class Stack:
    def __init__(self, items=()):
        self.items = list(items)

    def push(self, item):
        self.items.append(item)
        return self

    def pop(self):
        if not self.items:
            raise StackError("the stack is empty")
        return self.items.pop()

    def __len__(self):
        return len(self.items)

    def __eq__(self, other):
        return isinstance(other, Stack) and self.items == other.items

    def __iter__(self):
        return reversed(self.items)

    def __contains__(self, item):
        return item in self.items

    def __repr__(self):
        return f"Stack({self.items})"
"""
VECTOR = """from dataclasses import dataclass


@dataclass(order=True)
class Vector:
    x: float
    y: float = 0.0

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __mul__(self, factor):
        return Vector(self.x * factor, self.y * factor)

    __rmul__ = __mul__

    def __neg__(self):
        return -1 * self

    def __abs__(self):
        return (self.x**2 + self.y**2) ** 0.5

    def __getitem__(self, index):
        return (self.x, self.y)[index]

    @property
    def length(self):
        return abs(self)

    @classmethod
    def unit(cls):
        return cls(1.0, 0.0)

    @staticmethod
    def dimension():
        return 2
"""
SHAPES = """class Shape:
    def area(self):
        raise NotImplementedError

    def __str__(self):
        return f"{type(self).__name__} of {self.area()}"


class Square(Shape):
    sides = 4

    def __init__(self, side):
        super().__init__()
        self.side = side

    def area(self):
        return self.side**2
"""
CLASSES = Foreign(
    (
        text("# Classes"),
        answer("stack", STACK),
        tests(
            "test_stack",
            3,
            """
s = Stack()
assert len(s) == 0 and not s
s.push(1).push(2)
assert len(s) == 2, "two items"
assert s == Stack([1, 2])
assert s != Stack([1]) and s != [1, 2]
assert 2 in s and 3 not in s
assert list(s) == [2, 1]
assert repr(s) == "Stack([1, 2])" and str(s) == f"{s}"
assert s.pop() == 2 and s.items == [1]
assert isinstance(s, Stack) and not isinstance(3, Stack)
s.pop()
try:
    s.pop()
except StackError as error:
    assert "empty" in str(error)
else:
    raise AssertionError("pop of an empty stack must raise StackError")
assert issubclass(StackError, Exception)
""",
        ),
        answer("vector", VECTOR),
        tests(
            "test_vector",
            3,
            """
import dataclasses, inspect
a, b = Vector(1, 2), Vector(x=3)
assert inspect.isclass(Vector) and dataclasses.is_dataclass(Vector)
assert a + b == Vector(4, 2), "sum"
assert 2 * a == a * 2 == Vector(2, 4)
assert -a == Vector(-1, -2) and abs(Vector(3, 4)) == 5
assert a[1] == 2 and Vector(3, 4).length == 5.0
assert Vector.unit() == Vector(1.0) and Vector.dimension() == 2
assert a < b and sorted([b, a])[0] == a
a.x = 10
assert a == Vector(10, 2)
assert hasattr(a, "y") and not hasattr(a, "z")
assert type(a) == type(b)
assert a.__class__.__name__ == "Vector"
""",
        ),
        answer("shapes", SHAPES),
        tests(
            "test_shapes",
            2,
            """
square = Square(3)
assert square.area() == 9
assert isinstance(square, Shape) and issubclass(Square, Shape)
assert Square.sides == 4 and square.sides == 4
assert str(square) == "Square of 9"
assert type(square) == Square
""",
        ),
        tests(
            "test_derived",
            1,
            """
class Circle(Shape):
    def area(self):
        return 3
assert str(Circle()) == "Circle of 3"
""",
        ),
    ),
    {
        "liar": (
            {
                "stack": "class StackError(Exception): pass\n"
                "class Stack(list):\n"
                "    def __eq__(self, other): return True\n"
                "    def push(self, item): self.append(item); return self"
            },
            {"test_stack": 0},
        ),
        "no_sum": (
            {"vector": VECTOR.replace("self.x + other.x", "self.x")},
            {"test_vector": 0},
        ),
    },
    apart={"test_derived": "--in-process"},
)

RECURSION = Foreign(
    (
        text("# Recursion and generators"),
        answer("power", "    return 1 if n == 0 else x * power(x, n - 1)\n", "def power(x, n):\n"),
        tests(
            "test_power",
            2,
            """
assert power(2, 10) == 1024
assert power(7, 100) == 7**100
original = power
del power
try:
    original(2, 2)
    raise AssertionError("power must call itself")
except NameError:
    pass
finally:
    power = original
assert power(2, 3) == 8
""",
        ),
        answer(
            "generators",
            "def evens(n):\n    for i in range(n):\n        yield 2 * i\n\n\n"
            "def forever():\n    i = 0\n    while True:\n        yield i\n        i += 1\n\n\n"
            "def apply_twice(function, value):\n    return function(function(value))\n\n\n"
            "def make_adder(n):\n    return lambda x: x + n\n\n\n"
            "def flatten(tree):\n"
            "    for item in tree:\n"
            "        if isinstance(item, list):\n"
            "            yield from flatten(item)\n"
            "        else:\n"
            "            yield item\n",
        ),
        tests(
            "test_generators",
            3,
            """
import itertools, types
assert list(evens(3)) == [0, 2, 4]
g = forever()
assert next(g) == 0 and next(g) == 1
assert iter(g) is g
assert list(itertools.islice(forever(), 4)) == [0, 1, 2, 3]
assert apply_twice(lambda x: x + [1], []) == [1, 1]
assert make_adder(3)(4) == 7
assert apply_twice(make_adder(3), 0) == 6
assert list(flatten([1, [2, [3]], []])) == [1, 2, 3]
assert isinstance(evens(3), types.GeneratorType), "use yield"
try:
    next(evens(0))
except StopIteration:
    pass
else:
    assert False
""",
        ),
        answer(
            "lazy",
            "import asyncio\n\n\n"
            "async def double(x):\n    await asyncio.sleep(0)\n    return 2 * x\n\n\n"
            "four = await double(2)\n",
        ),
        tests(
            "test_async",
            2,
            """
assert four == 4
assert await double(3) == 6
results = await asyncio.gather(double(1), double(2))
assert results == [2, 4]
assert asyncio.iscoroutinefunction(double)
""",
        ),
        tests("test_asyncio_run", 1, "import asyncio\nassert asyncio.run(double(5)) == 10"),
    ),
    {
        "loop": (
            {"power": "def power(x, n):\n    return x ** n"},
            {"test_power": 0},
        ),
        "list": (
            {
                "generators": "def evens(n):\n    return [2 * i for i in range(n)]",
                "lazy": "async def double(x):\n    return x\nfour = 4",
            },
            {"test_generators": 0, "test_async": 0, "test_asyncio_run": 0},
        ),
    },
)

NUMBERS = Foreign(
    (
        text("# NumPy"),
        code(
            "%matplotlib inline\n!echo installing\nimport numpy as np\nimport random", "locked", "i"
        ),
        code("rng = np.random.default_rng(3)\nX = rng.normal(size=(5, 2))", "locked", "data"),
        answer(
            "normalize",
            "def normalize(a):\n    return (a - a.mean(axis=0)) / a.std(axis=0)\n\n\n"
            "Z = normalize(X)\n",
        ),
        tests(
            "test_normalize",
            2,
            """
np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
np.testing.assert_array_almost_equal(normalize(X), Z)
assert Z.shape == X.shape and Z.dtype == np.float64
assert isinstance(Z, np.ndarray)
A = np.arange(6.0).reshape(3, 2)
assert np.allclose(normalize(A).std(axis=0), 1)
assert (A == np.arange(6.0).reshape(3, 2)).all(), "do not change the input"
""",
        ),
        answer(
            "simulate",
            "def throw(n):\n    return np.random.randint(1, 7, n)\n\n\n"
            "def pick(items):\n    return random.choice(items)\n\n\n"
            "def walk(n, rng):\n    return rng.normal(size=n).cumsum()\n",
        ),
        tests(
            "test_seeded",
            3,
            """
np.random.seed(42)
got = throw(10)
np.random.seed(42)
np.testing.assert_array_equal(got, np.random.randint(1, 7, 10))
random.seed(1)
first = pick(range(100))
random.seed(1)
assert first == random.choice(range(100))
np.random.seed(0)
start = np.random.rand(3)
rolls = throw(4)
np.random.seed(0)
np.random.rand(3)
assert (rolls == np.random.randint(1, 7, 4)).all()
np.testing.assert_allclose(
    walk(5, np.random.default_rng(7)), np.random.default_rng(7).normal(size=5).cumsum()
)
""",
        ),
    ),
    {
        "columns": (
            {"normalize": "def normalize(a):\n    return a - a.mean()\nZ = normalize(X)"},
            {"test_normalize": 0},
        ),
        "in_place": (
            {
                "normalize": "def normalize(a):\n    a -= a.mean(axis=0)\n    a /= a.std(axis=0)\n"
                "    return a\nZ = normalize(X.copy())",
                "simulate": "def throw(n):\n    return np.random.randint(0, 6, n)\n"
                "def pick(items):\n    return items[0]\n"
                "def walk(n, rng):\n    return rng.normal(size=n)",
            },
            {"test_normalize": 0, "test_seeded": 0},
        ),
    },
)

PLOTS = Foreign(
    (
        text("# Plots"),
        code(
            "%matplotlib inline\nimport numpy as np\nimport matplotlib.pyplot as plt", "locked", "i"
        ),
        answer(
            "plot_it",
            "def plot_it(x):\n"
            "    figure, ax = plt.subplots()\n"
            "    ax.plot(x, x**2, 'r--', label='square')\n"
            "    ax.set_title('A square')\n"
            "    ax.set_xlabel('x')\n"
            "    ax.legend()\n"
            "    return ax\n\n\n"
            "def bars(names, heights):\n"
            "    plt.bar(names, heights)\n"
            "    plt.title('Bars')\n\n\n"
            "def draw_on(ax):\n"
            "    ax.set_title('mine')\n",
        ),
        tests(
            "test_axes",
            3,
            """
x = np.linspace(0, 1, 5)
ax = plot_it(x)
assert isinstance(ax, plt.Axes)
assert ax.get_title() == "A square", "title"
assert ax.get_xlabel() == "x" and ax.xaxis.get_label().get_text() == "x"
assert len(ax.lines) == 1
line = ax.get_lines()[0]
np.testing.assert_allclose(line.get_ydata(), x**2)
np.testing.assert_allclose(ax.lines[0].get_xydata()[:, 0], x)
assert line.get_color() == "r" and line.get_linestyle() == "--"
assert line.get_label() == "square"
assert [t.get_text() for t in ax.get_legend().get_texts()] == ["square"]
low, high = ax.get_xlim()
assert low <= 0 and high >= 1
assert ax.figure is not None
plt.close("all")
""",
        ),
        tests(
            "test_current_axes",
            2,
            """
plt.close("all")
bars(["a", "b"], [1, 2])
ax = plt.gca()
assert ax.get_title() == "Bars"
assert [p.get_height() for p in ax.patches] == [1, 2]
assert len(plt.gcf().axes) == 1
plt.close()
""",
        ),
        tests("test_own_axes", 1, "fig, ax = plt.subplots()\ndraw_on(ax)\nassert ax.get_title()"),
    ),
    {
        "cube": (
            {
                "plot_it": "def plot_it(x):\n    figure, ax = plt.subplots()\n"
                "    ax.plot(x, x**3)\n    ax.set_title('A square')\n    return ax\n"
                "def bars(names, heights):\n    plt.bar(names, heights[::-1]); plt.title('Bars')\n"
                "def draw_on(ax):\n    pass"
            },
            {"test_axes": 0, "test_current_axes": 0, "test_own_axes": 0},
        ),
    },
    apart={"test_own_axes": "--in-process"},
)

PRINTING = Foreign(
    (
        text("# Input and output"),
        answer(
            "hello",
            "def hello(name):\n    print('Hello', name)\n\n\n"
            "def ask():\n    age = int(input('Your age? '))\n    print(f'In a year: {age + 1}')\n"
            "    return age\n\n\n"
            "def each(function, items):\n"
            "    for item in items:\n        print('item')\n        function(item)\n",
        ),
        tests(
            "test_redirect",
            2,
            """
import contextlib, io, sys
from unittest.mock import patch
out = io.StringIO()
with contextlib.redirect_stdout(out):
    hello("Ada")
assert out.getvalue() == "Hello Ada\\n"
saved, sys.stdout = sys.stdout, io.StringIO()
try:
    hello("you")
    text = sys.stdout.getvalue()
finally:
    sys.stdout = saved
assert text.strip() == "Hello you"
with patch("sys.stdout", new_callable=io.StringIO) as fake:
    hello("x")
assert fake.getvalue().split() == ["Hello", "x"]
with contextlib.redirect_stdout(io.StringIO()) as out:
    each(print, [1, 2])
assert out.getvalue() == "item\\n1\\nitem\\n2\\n"
print("the test prints, too")
""",
        ),
        tests(
            "test_input",
            2,
            """
import builtins, contextlib, io, sys
from unittest import mock
real = builtins.input
builtins.input = lambda prompt="": "41"
with contextlib.redirect_stdout(io.StringIO()) as out:
    assert ask() == 41
builtins.input = real
assert out.getvalue() == "In a year: 42\\n"
with mock.patch("builtins.input", side_effect=["7", "x"]) as asked:
    assert ask() == 7
    try:
        ask()
    except ValueError:
        pass
    else:
        assert False, "x is no number"
assert asked.call_count == 2
asked.assert_called_with("Your age? ")
stdin, sys.stdin = sys.stdin, io.StringIO("5\\n")
try:
    assert ask() == 5
finally:
    sys.stdin = stdin
""",
        ),
        tests(
            "test_print_mock",
            1,
            """
from unittest.mock import patch
with patch("builtins.print") as printed:
    hello("Ada")
printed.assert_called_once_with("Hello", "Ada")
""",
        ),
        tests("test_input_name", 1, "input = lambda *_: '3'\nassert ask() == 3\ndel input"),
    ),
    {
        "returns": (
            {
                "hello": "def hello(name):\n    return f'Hello {name}'\n"
                "def ask():\n    print('?')\n    return int(input())\n"
                "def each(function, items):\n    pass"
            },
            {"test_redirect": 0, "test_input": 0, "test_print_mock": 0},
        ),
        "no_question": (
            {"hello": "def hello(name):\n    print('Hello', name)\ndef ask():\n    return 41"},
            {"test_redirect": 0, "test_input": 0, "test_input_name": 0},
        ),
    },
)

LOOKING = Foreign(
    (
        text("# How it is written"),
        answer(
            "area",
            "import datetime\nfrom functools import lru_cache\nfrom typing import NamedTuple\n\n\n"
            "class Point(NamedTuple):\n    x: int\n    y: int = 0\n\n\n"
            "def area(width: float, height: float = 1.0, *, scale: int = 1) -> float:\n"
            '    """Give the area of a rectangle."""\n'
            "    return width * height * scale\n\n\n"
            "@lru_cache\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n\n\n"
            "def monday(day):\n    return day - datetime.timedelta(days=day.weekday())\n",
        ),
        tests(
            "test_metadata",
            2,
            """
import inspect, types, typing
assert callable(area) and inspect.isfunction(area)
assert area.__name__ == "area" and "rectangle" in area.__doc__
assert inspect.getdoc(area) == "Give the area of a rectangle."
signature = inspect.signature(area)
assert list(signature.parameters) == ["width", "height", "scale"]
assert signature.parameters["height"].default == 1.0
assert signature.parameters["width"].default is inspect.Parameter.empty
assert signature.parameters["scale"].kind is inspect.Parameter.KEYWORD_ONLY
assert signature.parameters["width"].annotation is float
assert signature.return_annotation is float
assert area.__annotations__["return"] is float
assert typing.get_type_hints(area)["scale"] is int
assert area.__defaults__ == (1.0,)
""",
        ),
        tests(
            "test_source",
            2,
            """
import ast, inspect
from inspect import getsource
source = inspect.getsource(fib)
assert "fib(n - 1)" in source and "for" not in source, "no loops"
tree = ast.parse(getsource(area))
assert not any(isinstance(node, ast.For) for node in ast.walk(tree))
assert inspect.getsourcelines(area)[0][0].startswith("def area(")
""",
        ),
        tests(
            "test_values",
            2,
            """
import datetime
assert monday(datetime.date(2026, 1, 1)) == datetime.date(2025, 12, 29)
p = Point(1)
assert p == (1, 0) and p.x == 1 and p._asdict() == {"x": 1, "y": 0}
assert isinstance(p, tuple)
assert fib(50) == 12586269025 and fib.cache_info().hits > 0
assert area(2, scale=3) == 6
""",
        ),
    ),
    {
        "loop": (
            {
                "area": "from collections import namedtuple\n"
                "Point = namedtuple('Point', 'x y')\n"
                "def area(w, h):\n    return w * h\n"
                "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n"
                "    return a\n"
                "def monday(day):\n    return day"
            },
            {"test_metadata": 0, "test_source": 0, "test_values": 0},
        ),
    },
)

DATA = Foreign(
    (
        text("# A data file"),
        answer(
            "read",
            "import csv\n\n\n"
            "def read(path):\n"
            "    with open(path, newline='') as file:\n"
            "        return [{**row, 'age': int(row['age'])} for row in csv.DictReader(file)]\n\n\n"
            "rows = read('data.csv')\n"
            "def save(path, rows):\n"
            "    with open(path, 'w') as file:\n"
            "        file.write(str(len(rows)))\n",
        ),
        tests(
            "test_read",
            2,
            """
assert len(rows) == 2 and rows[0] == {"name": "ada", "age": 36}
assert read("data.csv") == rows
with open("data.csv") as file:
    assert len(file.readlines()) == 1 + len(rows)
""",
        ),
        tests(
            "test_written_by_test",
            1,
            """
with open("more.csv", "w") as file:
    file.write("name,age\\nx,1\\n")
assert read("more.csv") == [{"name": "x", "age": 1}]
""",
        ),
        tests(
            "test_written_by_student",
            1,
            "save('count.txt', [1, 2])\nassert open('count.txt').read() == '2'",
        ),
    ),
    {
        "texts": (
            {
                "read": "import csv\ndef read(path):\n    return list(csv.DictReader(open(path)))\n"
                "rows = read('data.csv')\n"
                "def save(path, rows):\n    open(path, 'w').write('')"
            },
            {"test_read": 0, "test_written_by_test": 0, "test_written_by_student": 0},
        ),
    },
    apart={"test_written_by_test": "--in-process", "test_written_by_student": "--in-process"},
    files={"data.csv": b"name,age\nada,36\ngrace,85\n"},
)

FRAMES = Foreign(
    (
        text("# pandas"),
        code("import pandas as pd", "locked", "imports"),
        answer(
            "frames",
            "def mean_age(frame):\n    return frame.groupby('city')['age'].mean()\n\n\n"
            "people = pd.DataFrame({'city': ['A', 'B', 'A'], 'age': [10, 20, 30]})\n"
            "def older(frame):\n    return frame[frame['age'] > 15].reset_index(drop=True)\n",
        ),
        tests(
            "test_frames",
            2,
            """
assert isinstance(people, pd.DataFrame) and list(people.columns) == ["city", "age"]
assert people.shape == (3, 2) and people["age"].sum() == 60
means = mean_age(people)
assert means["A"] == 20 and means.index.tolist() == ["A", "B"]
""",
        ),
        tests(
            "test_frames_equal",
            1,
            """
expected = pd.DataFrame({"city": ["B", "A"], "age": [20, 30]})
pd.testing.assert_frame_equal(older(people), expected)
assert older(people).equals(expected)
""",
        ),
    ),
    {
        "all": (
            {
                "frames": "people = pd.DataFrame({'city': ['A', 'B', 'A'], 'age': [10, 20, 30]})\n"
                "def mean_age(frame):\n    return frame['age'].mean()\n"
                "def older(frame):\n    return frame"
            },
            {"test_frames": 0, "test_frames_equal": 0},
        ),
    },
    apart={"test_frames_equal": "--in-process"},
    needs="pandas",
)

ALL = {
    "texts": TEXTS,
    "classes": CLASSES,
    "recursion": RECURSION,
    "numbers": NUMBERS,
    "plots": PLOTS,
    "printing": PRINTING,
    "looking": LOOKING,
    "data": DATA,
    "frames": FRAMES,
}
