"""One page for the instructor: how the batch went, which tests to look at, what needs a human."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from coursekit.grading import pages, words
from coursekit.grading.results import Result, Task

FEW = 30  # submissions: below, correlations are mostly noise
SHOWN_FAILURES = 3  # of each task
SLOWEST = 5
WEAK = 0.1  # a correlation below this says little about who is strong
FAR = 3  # interquartile ranges beyond the upper quartile: Tukey's outer fence
NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?")
PLOT = {"left": 10.0, "width": 460.0, "top": 20.0, "height": 120.0}  # the SVG is 480 × 175


@dataclass(frozen=True)
class Item:
    """How all students did in one task.

    Parameters
    ----------
    grade_id, title, kind : str
        As in `Task`.
    max_points : float
        Worth.
    graded, waiting : int
        How many students have points, and how many wait for a human.
    success : float or None
        Share of the graded students with full points; None if nobody is graded.
    mean : float or None
        Mean of their points.
    discrimination : float or None
        See `discrimination`; None where it is not defined.
    failures : list of (str, int, bool)
        The commonest messages, how many students got each, and whether numbers in it differed.
    """

    grade_id: str
    title: str
    kind: str
    max_points: float
    graded: int
    waiting: int
    success: float | None
    mean: float | None
    discrimination: float | None
    failures: list[tuple[str, int, bool]]


def write(results: Sequence[Result], path: Path) -> None:
    """Write the report on a batch.

    Parameters
    ----------
    results : sequence of Result
        One for each student, of one assignment. All text in them may come from strangers.
    path : pathlib.Path
        The page. It links to ``feedback/STUDENT.html`` beside it.
    """
    from coursekit.grading.submissions import safe_name

    readable = [result for result in results if result.status != "invalid"]
    scores = [result.score for result in readable]
    best = max((result.max_score for result in readable), default=0.0)
    summed = items(readable)
    pages.write(
        path,
        "report.html",
        assignment=", ".join(sorted({result.assignment for result in results})),
        results=sorted(results, key=lambda result: result.student.casefold()),
        address=lambda result: quote(f"feedback/{safe_name(result.student)}.html"),
        statuses=Counter(words.STATUSES.get(r.status, r.status) for r in results).most_common(),
        levels=Counter(result.isolation or "none" for result in results).most_common(),
        readable=len(readable),
        unfinished=sum(any(task.points is None for task in r.tasks) for r in readable),
        best=best,
        mean=float(np.mean(scores)) if scores else None,
        median=float(np.median(scores)) if scores else None,
        scores=chart(scores, 0, best) if best > 0 and len(scores) > 1 else None,
        groups=_by_title(summed),
        failed=[item for item in summed if item.failures],
        weak=lambda item: item.discrimination is not None and item.discrimination < WEAK,
        few=FEW,
        chance=2 / math.sqrt(len(readable)) if readable else None,
        costs=_costs(readable),
        slowest=sorted(readable, key=lambda result: -result.seconds)[:SLOWEST],
        manual=_manual(readable),
        concerns=_concerns(results),
        symbols=_symbols,
    )


# --- Statistics ----------------------------------------------------------------------------------


def items(results: Sequence[Result]) -> list[Item]:
    """Sum up each task over all students.

    Parameters
    ----------
    results : sequence of Result
        Without those that could not be read.

    Returns
    -------
    list of Item
        In the order of the source.
    """
    of_task: dict[str, list[Task]] = defaultdict(list)
    for task in itertools.chain.from_iterable(result.tasks for result in results):
        of_task[task.grade_id].append(task)
    points = np.full((len(results), len(of_task)), np.nan)
    column = {grade_id: number for number, grade_id in enumerate(of_task)}
    for row, result in enumerate(results):
        for task in result.tasks:
            if task.points is not None:
                points[row, column[task.grade_id]] = task.points
    telling = discrimination(points)
    return [
        _item(tasks, None if np.isnan(value) else float(value))
        for tasks, value in zip(of_task.values(), telling, strict=True)
    ]


def _item(tasks: list[Task], telling: float | None) -> Item:
    first = tasks[0]
    points = [task.points for task in tasks if task.points is not None]
    full = sum(map(_has_full_points, tasks))
    return Item(
        grade_id=first.grade_id,
        title=first.title,
        kind=first.kind,
        max_points=first.max_points,
        graded=len(points),
        waiting=len(tasks) - len(points),
        success=full / len(points) if points else None,
        mean=float(np.mean(points)) if points else None,
        discrimination=telling,
        failures=_failures(tasks),
    )


def _has_full_points(task: Task) -> bool:
    """Tell whether nothing is missing; a test without points must have passed."""
    if task.points is None:
        return False
    return task.points >= task.max_points if task.max_points > 0 else task.verdict == "passed"


def discrimination(points: np.ndarray) -> np.ndarray:
    r"""Compute the corrected item–total correlation of each task.

    It is Pearson's correlation between the points in a task and the sum of the points in all
    *other* tasks. Tasks in which somebody has no points yet are left out of the sums.

    Parameters
    ----------
    points : numpy.ndarray, shape (students, tasks)
        ``nan`` where a student has no points yet.

    Returns
    -------
    numpy.ndarray, shape (tasks,)
        From −1 to 1; ``nan`` where fewer than three students have points, or where all have the
        same points in the task, or in the others together.

    References
    ----------
    Guilford, *Psychometric Methods*, 2nd edition (1954), chapter 15.
    """
    complete = ~np.isnan(points).any(axis=0)
    total = points[:, complete].sum(axis=1)
    found = np.full(points.shape[1], np.nan)
    for task, own in enumerate(points.T):
        there = ~np.isnan(own)
        mine = own[there]
        others = (total - own if complete[task] else total)[there]
        if there.sum() >= 3 and _vary(mine) and _vary(others):
            found[task] = np.corrcoef(mine, others)[0, 1]
    return found


def _vary(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > 1e-9)  # sums of points in another order differ in the last digits


def _failures(tasks: list[Task]) -> list[tuple[str, int, bool]]:
    """Count the messages of a task; those that differ only in their numbers are one."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for task in tasks:
        if task.verdict not in ("passed", "manual"):
            message = (
                words.line(task.message, 300) or words.VERDICTS.get(task.verdict, ("", "?"))[1]
            )
            kinds[NUMBER.sub("#", message)][message] += 1
    commonest = sorted(kinds.values(), key=lambda texts: -texts.total())[:SHOWN_FAILURES]
    return [(texts.most_common(1)[0][0], texts.total(), len(texts) > 1) for texts in commonest]


# --- Charts --------------------------------------------------------------------------------------


def chart(values: Sequence[float], low: float | None = None, high: float | None = None) -> Any:
    """Lay out a histogram; what lies far above the rest is counted in the last bar.

    Parameters
    ----------
    values : sequence of float
        At least one.
    low, high : float, optional
        What the axis shows; the smallest and the largest value, outliers apart, if left out.

    Returns
    -------
    dict
        ``bars`` (with ``x``, ``y``, ``width``, ``height``, ``count``, ``from``, ``to``), ``ticks``
        (with ``x``, ``label``) and ``median`` (with ``x``, ``value``).
    """
    lower, middle, upper = map(float, np.quantile(values, (0.25, 0.5, 0.75)))
    low = min(values) if low is None else low
    if high is None:
        far = upper + FAR * (upper - lower)
        high = min(max(values), far) if upper > lower else max(values)
    edges = _edges(low, high)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    wide = PLOT["width"] / (len(edges) - 1)
    tall = PLOT["height"] / max(int(counts.max()), 1)
    bars = [
        {
            "x": round(PLOT["left"] + number * wide + 1, 1),
            "y": round(PLOT["top"] + PLOT["height"] - count * tall, 1),
            "width": round(wide - 2, 1),
            "height": round(count * tall, 1),
            "count": int(count),
            "from": f"{edges[number]:g}",
            "to": f"{edges[number + 1]:g}",
        }
        for number, count in enumerate(counts.tolist())
    ]
    every = 1 if len(edges) <= 8 else 2  # labels must not touch each other on a phone
    ticks = [
        {"x": round(PLOT["left"] + number * wide, 1), "label": f"{edge:g}"}
        for number, edge in enumerate(edges.tolist())
        if (len(edges) - 1 - number) % every == 0
    ]
    if max(values) > edges[-1]:
        ticks[-1:] = [{"x": ticks[-1]["x"], "label": "more"}]
    share = (middle - edges[0]) / (edges[-1] - edges[0])
    median = {"x": round(PLOT["left"] + share * PLOT["width"], 1), "value": f"{middle:.3g}"}
    return {"bars": bars, "ticks": ticks, "median": median, "count": len(values)}


def _edges(low: float, high: float) -> np.ndarray:
    """Choose round borders for about ten bins that hold `low` and `high`."""
    span = high - low if high - low > 1e-6 else max(abs(high), 1.0)
    size = 10.0 ** math.floor(math.log10(span / 10))
    step = size * next(factor for factor in (1, 2, 5, 10) if factor * size * 10 >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return np.round(np.arange(first, max(last, first + 1) + 1) * step, 12)


def _costs(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Lay out the charts of the time and memory that the submissions took."""
    wanted = (
        ("Time", "s", [result.seconds for result in results]),
        ("Processor time", "s", [result.cpu_seconds for result in results]),
        ("Memory", "MB", [result.memory / 1e6 for result in results]),
    )
    return [
        {"name": name, "unit": unit, "chart": chart(values)}
        for name, unit, values in wanted
        if len(values) > 1
    ]


def _by_title(found: list[Item]) -> list[tuple[str, list[Item]]]:
    """Put the tasks under the heading that they share."""
    grouped = itertools.groupby(found, key=lambda item: item.title)
    return [(title, list(members)) for title, members in grouped]


# --- What needs a human --------------------------------------------------------------------------


def _manual(results: Sequence[Result]) -> list[dict[str, Any]]:
    """List the answers that wait, task by task, so that one can grade across students."""
    waiting: dict[str, list[tuple[Result, Task]]] = defaultdict(list)
    for result in results:
        for task in result.tasks:
            if task.points is None:
                waiting[task.grade_id].append((result, task))
    return [
        {
            "grade_id": grade_id,
            "title": answers[0][1].title,
            "max_points": answers[0][1].max_points,
            "answers": sorted(answers, key=lambda answer: answer[0].student.casefold()),
        }
        for grade_id, answers in waiting.items()
    ]


def _concerns(results: Sequence[Result]) -> list[dict[str, Any]]:
    """List who should be looked at, and why, by kind of concern."""
    kinds = (
        ("Tampering, or accidents that look so", lambda r: r.tampering),
        ("Files that could not be read", lambda r: r.status == "invalid" and (r.notes or ["–"])),
        ("Took too long", lambda r: r.status == "timeout" and _blamed(r, "timeout")),
        ("Used too much memory", lambda r: r.status == "out_of_memory" and _blamed(r, r.status)),
        ("The program died", lambda r: r.status == "died" and _blamed(r, "died")),
        (
            "Marks that could be forged",
            lambda r: r.forgeable and ["Tests and answers ran in one process (--in-process)."],
        ),
        ("Notes", lambda r: r.status != "invalid" and r.notes),
    )
    concerns = []
    for name, why in kinds:
        found = [(result, why(result)) for result in results if why(result)]
        found.sort(key=lambda pair: pair[0].student.casefold())
        if found:
            concerns.append({"name": name, "found": found})
    return concerns


def _blamed(result: Result, verdict: str) -> list[str]:
    """Name the tests that ended so."""
    names = [task.grade_id for task in result.tasks if task.verdict == verdict]
    return [f"In {', '.join(names)}." if names else "In a cell of the student."]


def _symbols(result: Result) -> list[tuple[str, str]]:
    """Give a row of symbols, one for each task, with what it means."""
    shown = [
        (task, words.verdict(task.verdict, task.points, task.max_points)) for task in result.tasks
    ]
    return [(symbol, f"{task.grade_id}: {text}") for task, (symbol, text) in shown]
