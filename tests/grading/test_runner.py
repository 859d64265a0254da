"""The runner: limits, restarts, what is kept, and each level of isolation."""

import dataclasses
import sys

import pytest

from coursekit.grading.assignment import read_assignment
from coursekit.grading.launch import probe
from coursekit.grading.limits import LEVELS, GradingError, Limits
from coursekit.grading.results import Result
from coursekit.grading.runner import Grader, Settings, grade_all, is_module, read_files
from coursekit.grading.submissions import Submission
from tests.grading.notebook import answered, code, dump, notebook, text, write

DOUBLE = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
RANDOM = """from coursekit.exercises import rng
x = rng().random()
assert double(x) == x + x"""
TOTAL = "import pathlib\nassert total == eval(pathlib.Path('d.csv').read_text())"
TESTS = {
    "test_one": "assert double(1) == 2",
    "test_random": RANDOM,
    "test_last": "assert double('a') == 'aa'",
}


def source():
    tests = [code(body, "tests", name, 1) for name, body in TESTS.items()]
    return notebook(
        text("## Task 1"),
        code(DOUBLE, "answer", "double"),
        *tests,
        text("", "manual", "why", 2),
    )


def settings_in(folder, **more):
    assignment = read_assignment(write(source(), folder / "ps1" / "one.ipynb"))
    return Settings(assignment, **{"limits": Limits(cell_seconds=2, seconds=30), **more})


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return settings_in(tmp_path_factory.mktemp("course"), least=LEVELS[-1])


@pytest.fixture(scope="module", params=LEVELS)
def grader(settings, request):
    """A grader of each level that this machine has."""
    levels = [about for about in probe() if about[0] == request.param]
    if not levels[0][1]:
        pytest.skip(f"isolation {request.param}: {levels[0][2]}")
    with Grader(settings, levels=levels) as grader:
        assert grader.isolation == request.param
        yield grader


@pytest.fixture(scope="module")
def best(settings):
    with Grader(settings) as grader:
        yield grader


def handed(body="def double(x):\n    return 2 * x", student="ada", **answers):
    content = dump(answered(source(), double=body, **answers))
    return Submission(student, f"{student}.ipynb", content=lambda: content)


def points(result):
    return [task.points for task in result.tasks]


def test_solved(grader):
    result = grader.grade(handed(why="Because."))
    assert points(result) == [1, 1, 1, None]
    assert result.status == "needs_manual"
    assert (result.isolation, result.forgeable) == (grader.isolation, False)
    assert result.tasks[-1].answer == "Because."
    assert (result.score, result.max_score) == (3, 5)


def test_untouched_manual_answer_gets_nothing_at_once(grader):
    result = grader.grade(handed())
    assert (result.status, result.tasks[-1].points) == ("graded", 0)


@pytest.mark.parametrize(
    ("body", "verdict", "status"),
    [
        ("def double(x):\n    while True: pass", "timeout", "timeout"),
        ("import os\ndef double(x):\n    os._exit(3)", "died", "died"),
    ],
)
def test_a_call_that_does_not_come_back(grader, body, verdict, status):
    body = body.replace(":\n", ":\n    if x != 1: return 2 * x\n", 1)
    result = grader.grade(handed(body))
    assert [task.verdict for task in result.tasks[:3]] == [verdict, "passed", "passed"]
    assert result.status == status


def test_a_cell_that_kills_costs_only_itself(best):
    solved = answered(source(), double="def double(x):\n    return 2 * x")
    bad = dump(notebook(code("import os\nos._exit(1)"), *solved.cells))
    result = best.grade(Submission("eve", "eve.ipynb", content=lambda: bad))
    assert points(result)[:3] == [1, 1, 1]
    assert result.status == "died"
    assert result.cells[0]["error"] == "The Python process ended (exit code 1)."


def test_it_starts_again_only_so_often(best):
    result = best.grade(handed("import os\ndef double(x):\n    os._exit(1)"))
    assert [task.verdict for task in result.tasks[:3]] == ["died"] * 3
    assert result.seconds < 20


def test_limit_of_the_whole(tmp_path):
    limits = Limits(cell_seconds=2, seconds=3)
    body = "import time\ndef double(x):\n    time.sleep(1.7)\n    return 2 * x"
    with Grader(settings_in(tmp_path, limits=limits, least=LEVELS[-1])) as grader:
        result = grader.grade(handed(body))
    assert result.tasks[0].verdict == "passed"
    assert result.tasks[2].verdict == "timeout"
    assert result.status == "timeout"
    assert result.seconds < 10


def test_fresh_inputs_differ_between_students_only(settings, best):
    body = "def double(x):\n    if x != 1 and x != 'a': print(x)\n    return x"
    seen = {}
    for student in ("ada", "ada", "bob"):
        result = best.grade(handed(body, student))
        seen.setdefault(student, set()).add(result.tasks[1].tried)
        assert result.seed == settings.seed(student)
    assert [len(tried) for tried in seen.values()] == [1, 1]
    assert seen["ada"] != seen["bob"]


def test_only_one_task(best):
    before = best.grade(handed("def double(x):\n    return 0"))
    assert points(before)[:3] == [0, 0, 0]
    again = best.grade(handed(), before, "test_random")
    assert points(again)[:3] == [0, 1, 0]
    before.tasks[0].verdict = "timeout"
    assert best.grade(handed(), before, "test_random").status == "timeout"


def test_key(settings):
    solved, other = handed(), handed("pass")
    key = settings.key(solved)
    assert key == settings.key(solved)
    mine, rest = key.split(":")
    assert not settings.key(other).startswith(mine)
    assert settings.key(other).endswith(rest)
    others = [
        dataclasses.replace(settings, limits=Limits(cell_seconds=9)),
        dataclasses.replace(settings, in_process=True),
        dataclasses.replace(settings, files={"data.csv": b"1"}),
        dataclasses.replace(
            settings, assignment=dataclasses.replace(settings.assignment, digest="x")
        ),
    ]
    keys = [changed.key(solved).split(":") for changed in others]
    assert [mine] * 4 == [first for first, _ in keys]
    assert len({rest, *(second for _, second in keys)}) == 5
    assert dataclasses.replace(settings, least="namespaces").key(solved) == key


def test_data_files(tmp_path):
    nb = notebook(code("total = 0", "answer", "total"), code(TOTAL, "tests", "test_total", 1))
    (tmp_path / "d.csv").write_text("1+2")
    assignment = read_assignment(write(nb, tmp_path / "ps1" / "one.ipynb"))
    body = "total = sum(map(int, open('d.csv').read().split('+')))"
    content = dump(answered(nb, total=body))
    settings = Settings(assignment, least=LEVELS[-1], files=read_files([tmp_path / "d.csv"]))
    with Grader(settings) as grader:
        result = grader.grade(Submission("ada", "ada", content=lambda: content))
    assert points(result) == [1], result.tasks[0].message
    with pytest.raises(GradingError, match=r"no\.csv can't be read"):
        read_files([tmp_path / "no.csv"])


def test_in_process_says_that_it_is_forgeable(tmp_path):
    settings = settings_in(tmp_path, in_process=True, least=LEVELS[-1])
    with Grader(settings) as grader:
        result = grader.grade(handed())
    assert points(result)[:3] == [1, 1, 1]
    assert result.forgeable


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is only one level")
def test_too_little_isolation_is_refused(settings):
    levels = [(level, False, "not today") for level in LEVELS[:-1]]
    strict = dataclasses.replace(settings, least="landlock")
    with pytest.raises(GradingError, match="not today"):
        Grader(strict, levels=[*levels, (LEVELS[-1], True, "")])


def test_no_submission_is_taken_before_it_is_its_turn():
    taken = []

    def submissions():
        for number in range(6):
            taken.append(number)
            yield number

    seen = 0
    for _ in grade_all(lambda number: Result(str(number), "ps1", "graded"), submissions(), 2):
        seen += 1
        assert len(taken) <= seen + 2
    assert seen == 6


def test_an_error_of_the_grader_ends_the_run():
    def fail(number):
        raise GradingError("no memory")

    with pytest.raises(GradingError, match="no memory"):
        list(grade_all(fail, range(9), 2))


def test_is_module():
    assert is_module("json.decoder")
    assert is_module("coursekit.exercises")
    assert not is_module("coursekit.exercises.rng")
    assert not is_module("json.dumps")
    assert not is_module("no_such_module.part")


@pytest.mark.parametrize(
    ("jobs", "times"), [(2, {"starved": 2, "busy": 1, "done": 1}), (1, {"starved": 1})]
)
def test_who_starved_is_graded_again_alone(jobs, times):
    counts = {}

    def grade(name):
        counts[name] = counts.get(name, 0) + 1
        about = {"starved": ("timeout", 1.0), "busy": ("timeout", 9.0), "done": ("graded", 1.0)}
        status, cpu = about[name] if counts[name] == 1 else ("graded", 1.0)
        return Result(name, "ps1", status, seconds=10.0, cpu_seconds=cpu)

    results = list(grade_all(grade, times, jobs))
    assert counts == times
    assert sorted(result.student for result in results) == sorted(times)
    if jobs > 1:
        assert (results[-1].student, results[-1].status) == ("starved", "graded")
