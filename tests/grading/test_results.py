"""The store survives crashes, full disks and second runs; grades.csv is fit for spreadsheets."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from coursekit.grading import manual, results
from coursekit.grading.limits import GradingError
from coursekit.grading.results import Result, Shard, Store, Task, grades, merge, read, shard


def make(student: str, points: float | None = 1.0, key: str = "k", **about: object) -> Result:
    tasks = [
        Task("test_a", "A", "tests", "wrong", points, 2.0),
        Task("essay", "E", "manual", "manual", None, 3.0),
    ]
    about = {"status": "needs_manual", "source": "s", **about}
    return Result(student, "ps1", tasks=tasks, key=key, **about)  # type: ignore[arg-type]


def fill(out: Path, *batch: Result, resume: bool = True) -> None:
    with Store(out, resume) as store:
        for result in batch:
            store.add(result)


def one_line(error: pytest.ExceptionInfo[GradingError]) -> bool:
    return "\n" not in str(error.value) and "Traceback" not in str(error.value)


# ---- The store


def test_results_come_back(tmp_path: Path) -> None:
    fill(tmp_path / "a/b", make("zoe"), make("Åsa", notes=["line\n2", "\ud800"]), make("bob"))
    assert [result.student for result in read(tmp_path / "a/b")] == ["bob", "zoe", "Åsa"]
    assert list(read(tmp_path / "a/b"))[2] == make("Åsa", notes=["line\n2", "\ud800"])


def test_the_last_result_of_a_student_wins_and_the_file_is_compacted(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.add(make("bob", 0.5))
        store.add(make("al"))
        store.add(make("bob", 2.0, key="new"))
        assert len(store) == 2
        assert store["bob"].score == 2
        assert store.has("bob", "new")
        assert not store.has("bob", "k")
        assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 3
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [(line["student"], line["score"]) for line in lines] == [("al", 1), ("bob", 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        "grades.csv",
        "results.jsonl",
    ]


def test_results_are_not_lost_by_mistake(tmp_path: Path) -> None:
    fill(tmp_path, make("bob"))
    with pytest.raises(GradingError, match=r"1 students.*--resume") as caught:
        Store(tmp_path)
    assert one_line(caught)
    fill(tmp_path, make("al"))
    assert len(list(read(tmp_path))) == 2


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_a_torn_last_line_is_dropped(tmp_path: Path, cut: int) -> None:
    fill(tmp_path, make("al"), make("bob"))
    path = tmp_path / "results.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: max(first, len(whole) - cut)])
    assert [result.student for result in read(tmp_path)] == ["al"]
    with Store(tmp_path, resume=True) as store:
        assert path.stat().st_size == first  # else the rest might outlive a shorter line
        store.add(make("bob"))
    assert path.read_bytes() == whole


def test_zeros_at_the_end_are_dropped(tmp_path: Path) -> None:
    """Some file systems lengthen a file before its bytes are there."""
    fill(tmp_path, make("al"))
    with (tmp_path / "results.jsonl").open("ab") as file:
        file.write(b"\0" * 500)
    fill(tmp_path, make("bob"))
    assert [result.student for result in read(tmp_path)] == ["al", "bob"]


def test_a_damaged_line_is_not_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, make("al"), make("bob"), make("zoe"))
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    lines[1] = lines[1][:50]
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(GradingError, match="line 2") as caught:
        Store(tmp_path, resume=True)
    assert one_line(caught)


def test_a_second_run_refuses(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(GradingError, match="Another run") as caught:
        Store(tmp_path, resume=True)
    assert one_line(caught)
    with Store(tmp_path):
        pass


HOLD = """
    import sys
    from pathlib import Path
    from coursekit.grading.results import Store
    from tests.grading.test_results import make
    with Store(Path(sys.argv[1])) as store:
        store.add(make("al"))
        print("ready", flush=True)
        input()
"""


def test_the_lock_of_a_killed_run_is_no_obstacle(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(GradingError, match="Another run"):
            Store(tmp_path, resume=True)
        other.kill()
        other.wait()
    fill(tmp_path, make("bob"))
    assert [result.student for result in read(tmp_path)] == ["al", "bob"]


FULL = """
    import resource, sys
    from pathlib import Path
    from coursekit.grading.limits import GradingError
    from coursekit.grading.results import Store
    from tests.grading.test_results import make
    out, limit = Path(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        with Store(out, resume=True) as store:
            for number in range(100):
                store.add(make(f"s{number:03}"))
    except GradingError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit of files")
@pytest.mark.parametrize("limit", [20_000, 1000, 0])
def test_a_full_disk(tmp_path: Path, limit: int) -> None:
    """The run ends with one line; what was written stays; the next run goes on."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path), str(limit)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert "--resume" in done.stdout
    content = (tmp_path / "results.jsonl").read_bytes()
    assert content.endswith(b"\n") or not content
    kept = list(read(tmp_path))
    assert len(kept) == content.count(b"\n") < 100
    assert not (tmp_path / "grades.csv").exists()
    fill(tmp_path, make("zoe"))
    assert len(list(read(tmp_path))) == len(kept) + 1


def test_a_disk_that_is_full_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither file is replaced by half of one."""
    fill(tmp_path, make("al"))
    before = {name: (tmp_path / name).read_bytes() for name in ("results.jsonl", "grades.csv")}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(GradingError, match="No space left"), Store(tmp_path, resume=True):
        monkeypatch.setattr(os, "fsync", full)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {".lock": b"", **before}


def test_an_error_leaves_the_results(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(make("al"))
    store.__exit__(KeyboardInterrupt)
    assert [result.student for result in read(tmp_path)] == ["al"]
    fill(tmp_path)
    assert (tmp_path / "grades.csv").is_file()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GradingError, match="can't be written") as caught:
        Store(tmp_path / "file")
    assert one_line(caught)
    with pytest.raises(GradingError, match="coursekit grade"):
        list(read(tmp_path / "none"))


# ---- grades.csv


def test_grades() -> None:
    first, second = make("bob", 1.5), make("al", None)
    assert grades([first, second]).splitlines() == [
        "student,assignment,score,max_score,status,test_a,essay",
        "bob,ps1,1.5,5,needs_manual,1.5,",
        "al,ps1,0,5,needs_manual,,",
    ]


@pytest.mark.parametrize(
    ("points", "text"),
    [(1.0, "1"), (0.5, "0.5"), (1 / 3, "0.3333"), (0.1 + 0.2, "0.3"), (-0.0, "0"), (10.0, "10"),
     (0.00001, "0"), (-0.5, "-0.5"), (None, ""), (123456789.5, "123456789.5")],
)  # fmt: skip
def test_numbers(points: float | None, text: str) -> None:
    assert results.number(points) == text


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x", "\tx", 'a,"b"\nc', "'=x"])
def test_names_are_no_formulas(name: str) -> None:
    rows = list(csv.reader(io.StringIO(grades([make(name)]))))
    assert not rows[1][0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert rows[1][0].removeprefix("'") == name.removeprefix("'")


# ---- Shards


def test_shards_part_a_batch() -> None:
    students = [f"s{number}" for number in range(1000)]
    parts = [[name for name in students if name in shard(f"{i}/4")] for i in range(1, 5)]
    assert sorted(name for part in parts for name in part) == sorted(students)
    assert all(200 < len(part) < 300 for part in parts)
    assert "bitdiddle" in Shard(1, 3)  # for ever the same


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "a/b", "1/0", "-1/4", "1/4/2"])
def test_no_shard(text: str) -> None:
    with pytest.raises(GradingError, match="1/4") as caught:
        shard(text)
    assert one_line(caught)


def test_merge(tmp_path: Path) -> None:
    fill(tmp_path / "1", make("al"), make("bob"))
    fill(tmp_path / "2", make("zoe"), make("bob"))
    (tmp_path / "2/feedback").mkdir()
    (tmp_path / "2/feedback/zoe.html").write_text("page")
    for _ in range(2):  # a merge can be repeated
        assert merge([tmp_path / "1", tmp_path / "2"], tmp_path / "all") == 3
    assert [result.student for result in read(tmp_path / "all")] == ["al", "bob", "zoe"]
    assert (tmp_path / "all/feedback/zoe.html").read_text() == "page"
    fill(tmp_path / "whole", make("al"), make("bob"), make("zoe"))
    for name in ("grades.csv", "results.jsonl"):
        assert (tmp_path / "all" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make("bob", key="other"), "bob has different results"),
        (make("carl", source="other"), "another source"),
        (Result("carl", "ps2", "graded", source="s"), "another assignment"),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, other: Result, message: str) -> None:
    fill(tmp_path / "1", make("al"), make("bob"))
    fill(tmp_path / "2", make("zoe"), other)
    with pytest.raises(GradingError, match=message) as caught:
        merge([tmp_path / "1", tmp_path / "2"], tmp_path / "all")
    assert one_line(caught)
    assert not list(read(tmp_path / "all"))


def test_merge_of_nothing_or_of_a_running_part(tmp_path: Path) -> None:
    with pytest.raises(GradingError, match="coursekit grade"):
        merge([tmp_path / "none"], tmp_path / "all")
    with Store(tmp_path / "1"), pytest.raises(GradingError, match="Another run"):
        merge([tmp_path / "1"], tmp_path / "all")
    with pytest.raises(GradingError, match="both"):
        merge([tmp_path / "1"], tmp_path / "1")


# ---- Marks by hand


def marks(tmp_path: Path, content: str | bytes) -> list[manual.Mark]:
    path = tmp_path / "marks.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return manual.read(path)


@pytest.mark.parametrize(
    "content",
    [
        "student,grade_id,points,comment\nÅsa,essay,2.5,Good\n",
        "\ufeffstudent;grade_id;points;comment\r\nÅsa;essay;2,5;Good\r\n;;;\r\n",
        "comment\tpoints\tgrade_id\tstudent\nGood\t2.5\tessay\tA\u030asa\n",
        "Student , GRADE_ID,points,comment\n Åsa ,essay,2.5,Good\nÅsa,later,,not yet\n",
    ],
)
def test_what_spreadsheets_write(tmp_path: Path, content: str) -> None:
    mark = marks(tmp_path, content)[0]
    assert (mark.student, mark.grade_id, mark.points, mark.comment) == ("Åsa", "essay", 2.5, "Good")


def test_names_from_grades_csv_are_known_again(tmp_path: Path) -> None:
    name = grades([make("=x")]).splitlines()[1].split(",")[0]
    assert marks(tmp_path, f"student,grade_id,points\n{name},essay,1\n")[0].student == "=x"


HEAD = "student,grade_id,points,comment\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lacks student"),
        ("student,points\n", "lacks grade_id"),
        (HEAD + "bob,essay,much,\n", "row 2.*'much'"),
        (HEAD + "bob,essay,nan,\n", "row 2"),
        (HEAD + "bob,essay,-1,\n", "row 2"),
        (HEAD + "bob,essay,1,\nal,essay,1,\nbob,essay,2,\n", "row 4.*row 2"),
        (HEAD + "bob,essay,1,a, b\n", "row 2: more columns"),
        (HEAD.encode() + b"bob,essay,1,\xe9\n", "UTF-8"),
        (HEAD.encode() + b"bob,essay,1,\0\n", ""),
    ],
)
def test_marks_that_can_not_be_read(tmp_path: Path, content: str | bytes, message: str) -> None:
    if message:
        with pytest.raises(GradingError, match=message) as caught:
            marks(tmp_path, content)
        assert one_line(caught)
    else:
        marks(tmp_path, content)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("carl,essay,1", "row 2: there is no student 'carl'"),
        ("bob,esay,1", "row 2: there is no task 'esay'.*test_a, essay"),
        ("bob,essay,3.5", "row 2: 3.5 points.*worth 3"),
    ],
)
def test_marks_that_do_not_fit(tmp_path: Path, row: str, message: str) -> None:
    read_marks = marks(tmp_path, f"student,grade_id,points\n{row}\n")
    with pytest.raises(GradingError, match=message) as caught:
        manual.check(read_marks, ["bob"], {"test_a": 2, "essay": 3})
    assert one_line(caught)


def test_marks_fill_and_override(tmp_path: Path) -> None:
    content = HEAD + "bob,essay,3,Good.\nbob,test_a,2,Your idea is right.\nlater,essay,1,\n"
    bob = make("bob", 0.5)
    (changed,) = manual.apply([bob, make("al")], marks(tmp_path, content))
    assert (changed.score, changed.status) == (5, "graded")
    assert changed.notes == ["test_a: 2 points by hand; the tests gave 0.5."]
    assert changed.tasks[1].comment == "Good."
    assert bob.score == 0.5
    assert manual.apply([changed], marks(tmp_path, content)) == []  # nothing new
