"""The report: its numbers against SciPy, its lists, and that nothing breaks out of it."""

import numpy as np
import pytest
import scipy.stats

from coursekit.grading import report
from coursekit.grading.results import Result, Task
from tests.grading import samples
from tests.grading.test_feedback import Page, read


def results(points, **about):
    """Make results from a matrix students × tasks; `nan` waits for a human. A task is worth 2."""
    made = []
    for number, row in enumerate(np.asarray(points, dtype=float)):
        tasks = []
        for place, value in enumerate(row.tolist()):
            name = f"t{place}"
            if np.isnan(value):
                tasks.append(Task(name, name, "manual", "manual", None, 2.0))
            else:
                verdict = "passed" if value == 2 else "wrong"
                tasks.append(Task(name, name, "tests", verdict, value, 2.0))
        made.append(Result(f"s{number}", "a", "graded", tasks, **about))
    return made


def page(batch, folder):
    report.write(batch, folder / "report.html")
    return Page(read(folder / "report.html"))


# --- Statistics ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_discrimination_is_the_correlation_with_the_other_tasks(seed):
    random = np.random.default_rng(seed)
    ability = random.normal(size=(40, 1))
    points = np.clip(np.round(1 + ability + random.normal(size=(40, 6)), 1), 0, 2)
    points[random.integers(0, 40, 10), 5] = np.nan  # some answers wait
    found = report.discrimination(points)
    for task in range(6):
        others = [other for other in range(5) if other != task]
        there = ~np.isnan(points[:, task])
        expected = scipy.stats.pearsonr(
            points[there, task], points[np.ix_(there, others)].sum(axis=1)
        ).statistic
        assert found[task] == pytest.approx(expected, abs=1e-12)
    for item, value in zip(report.items(results(points)), found, strict=True):
        assert item.discrimination == pytest.approx(value, abs=1e-12)


def test_discrimination_of_tasks_that_rank_students_the_other_way_is_negative():
    points = np.array([[0.0, 1, 2], [1, 1, 1], [2, 1, 0]])
    assert report.discrimination(points).tolist() == pytest.approx([-1, np.nan, -1], nan_ok=True)


@pytest.mark.parametrize(
    "points",
    [
        np.empty((0, 3)),
        np.ones((1, 3)),
        np.array([[0.0, 2], [2, 0]]),
        np.full((9, 3), 2.0),
        np.full((9, 2), np.nan),
        np.eye(9)[:, :1],
        np.full((9, 3), 0.1) + np.eye(9)[:, :3] * 0,
    ],
)
def test_discrimination_where_it_is_not_defined(points):
    assert np.isnan(report.discrimination(points)).all()


def test_points_of_a_task():
    points = np.array([[2, 0.5], [1, np.nan], [2, 2], [0, 2]])
    first, second = report.items(results(points))
    assert (first.graded, first.waiting, first.success, first.mean) == (4, 0, 0.5, 1.25)
    assert (second.graded, second.waiting, second.mean) == (3, 1, 1.5)
    assert second.success == pytest.approx(2 / 3)


def test_a_task_that_nobody_has_graded():
    (item,) = report.items(results(np.full((3, 1), np.nan)))
    assert (item.success, item.mean, item.discrimination, item.waiting) == (None, None, None, 3)


def test_a_test_without_points_succeeds_if_it_passes():
    batch = [
        Result("a", "x", "graded", [Task("t", "t", "tests", verdict, 0.0, 0.0)])
        for verdict in ("passed", "wrong", "wrong", "wrong")
    ]
    assert report.items(batch)[0].success == 0.25


def test_the_commonest_failures():
    texts = ["Too big: 3.5", "No idea", "Too big: -1e-05", "Too big: 7", "No idea", "", "x", "y"]
    batch = [
        Result("a", "x", "graded", [Task("t", "t", "tests", "wrong", 0.0, 1.0, text)])
        for text in texts
    ]
    batch[5].tasks[0].verdict = "timeout"
    batch.append(
        Result("b", "x", "graded", [Task("t", "t", "tests", "passed", 1.0, 1.0, "No idea")])
    )
    (item,) = report.items(batch)
    assert item.failures == [
        ("Too big: 3.5", 3, True),
        ("No idea", 2, False),
        ("Took too long", 1, False),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_a_chart_counts_every_value(seed):
    random = np.random.default_rng(seed)
    values = (random.gamma(2, 10.0 ** random.integers(-3, 4), random.integers(2, 99))).tolist()
    chart = report.chart(values)
    edges = [float(bar["from"]) for bar in chart["bars"]] + [float(chart["bars"][-1]["to"])]
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    assert [bar["count"] for bar in chart["bars"]] == counts.tolist()
    assert sum(counts) == len(values)
    assert edges[0] <= min(values)
    assert float(chart["median"]["value"]) == pytest.approx(np.median(values), rel=0.01)
    assert 2 <= len(chart["bars"]) <= 12
    left, right = report.PLOT["left"], report.PLOT["left"] + report.PLOT["width"]
    assert all(left <= bar["x"] and bar["x"] + bar["width"] <= right for bar in chart["bars"])


def test_a_chart_of_scores_shows_all_that_can_be_had():
    chart = report.chart([3.0, 3.0, 4.0], 0, 20)
    assert (chart["bars"][0]["from"], chart["bars"][-1]["to"]) == ("0", "20")
    assert report.chart([20.0], 0, 20)["bars"][-1]["count"] == 1


def test_one_far_value_does_not_flatten_the_chart():
    chart = report.chart([1.0, 1.1, 1.2, 1.3, 1.4, 900.0])
    assert chart["bars"][-1]["count"] == 1
    assert chart["ticks"][-1]["label"] == "more"
    assert float(chart["bars"][-1]["to"]) < 5


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0] * 9, [1e-9, 1e9], [0, 1e-300]])
def test_odd_values_make_a_chart(values):
    assert sum(bar["count"] for bar in report.chart(values)["bars"]) == len(values)


# --- The page ------------------------------------------------------------------------------------


def test_a_class(tmp_path):
    batch = samples.batch()
    text = page(batch, tmp_path).text
    readable = [result for result in batch if result.status != "invalid"]
    scores = [result.score for result in readable]
    assert "40 submissions" in text
    assert f"{np.mean(scores):.2f}".rstrip("0") + " mean of 16 points" in text
    assert f"{np.median(scores):g} median" in text
    for status, said in (("graded", "graded"), ("needs_manual", "need marks by hand")):
        count = sum(result.status == status for result in batch)
        assert f"{count} {said}" in text
    waiting = sum(task.points is None for result in readable for task in result.tasks)
    assert f"explain : {waiting} answers to read, 2 points each" in text


def test_each_concern_is_listed(tmp_path):
    text = page(samples.batch(), tmp_path).text
    for said in (
        "Tampering, or accidents that look so : 12",
        "Files that could not be read : 1 invalid 3 : The file is not a notebook",
        "Took too long : 1 timeout 0 : In test_rate_many.",
        "Used too much memory : 1 out_of_memory 1",
        "The program died : 1 died 2",
        "Marks that could be forged : 1 Zoë Müller",
        "Two files were handed in; the last one counts.",
    ):
        assert said in text


def test_answers_to_one_task_stand_together(tmp_path):
    batch = results([[np.nan, np.nan], [np.nan, np.nan]])
    for result in batch:
        for task in result.tasks:
            task.answer = f"{task.grade_id} of {result.student}"
    text = page(batch, tmp_path).text
    places = [text.index(f"{task} of {who}") for task in ("t0", "t1") for who in ("s0", "s1")]
    assert places == sorted(places)


def test_links_lead_to_the_feedback(tmp_path):
    batch = samples.batch()
    samples.write(batch, tmp_path)
    from urllib.parse import unquote

    links = {v for tag, name, v in Page(read(tmp_path / "report.html")).attributes if tag == "a"}
    assert len(links) == len(batch)
    assert all((tmp_path / unquote(link)).is_file() for link in links)


def test_few_submissions_make_rough_correlations(tmp_path):
    random = np.random.default_rng(0)
    few, many = (results(random.integers(0, 3, (n, 4))) for n in (16, 64))
    assert "Only 16 submissions: chance alone often gives correlations up to ±0.5." in (
        page(few, tmp_path).text
    )
    assert "chance alone" not in page(many, tmp_path).text


def test_one_submission(tmp_path):
    text = page(results([[2, 1, np.nan]]), tmp_path).text
    assert "1 submission " in text
    assert "Only 1 submission: too few for a correlation." in text
    assert "2 / 2" in text


def test_no_submission(tmp_path):
    found = page([], tmp_path)
    assert "There are no results yet." in found.text
    assert not {"table", "svg", "section"} & set(found.tags)


def test_only_files_that_could_not_be_read(tmp_path):
    batch = [samples.ended(f"s{n}", "invalid", np.random.default_rng(n)) for n in range(3)]
    found = page(batch, tmp_path)
    assert "3 could not be read" in found.text
    assert "svg" not in found.tags


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_no_text_of_a_student_becomes_a_part_of_the_page(tmp_path, attack):
    tame = page([samples.hostile("tame", "tame")] * 3, tmp_path)
    found = page([samples.hostile(attack, attack)] * 3, tmp_path)
    assert set(found.tags) <= set(tame.tags)
    assert {(tag, name) for tag, name, _ in found.attributes} <= {
        (tag, name) for tag, name, _ in tame.attributes
    }
    links = [value for tag, name, value in found.attributes if name in ("href", "src")]
    assert links
    assert all(link.startswith("feedback/") for link in links)
