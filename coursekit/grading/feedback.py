"""The page that a student gets back: what was graded, what went wrong, what to look at.

What instructors should know (`Result.notes`, `Result.tampering`) is not on it: that is in the
report.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from coursekit.grading import pages, words
from coursekit.grading.results import Result, Task

MOST_CELLS = 200  # whose errors and outputs a page shows
MOST_PICTURES = 20  # on one page
MOST_TEXT = 100_000  # characters of output on one page


def write(result: Result, folder: Path) -> Path:
    """Write the feedback page of one student.

    Parameters
    ----------
    result : Result
        What grading gave. All text in it may come from a stranger.
    folder : pathlib.Path
        Made if it is not there.

    Returns
    -------
    pathlib.Path
        The page, ``folder/STUDENT.html``, with the student's name made safe for file names.
    """
    from coursekit.grading.submissions import safe_name

    unread = result.status == "invalid"
    path = folder / f"{safe_name(result.student)}.html"
    pages.write(
        path,
        "feedback.html",
        result=result,
        waiting=sum(task.max_points for task in result.tasks if task.points is None),
        groups=[] if unread else _groups(result.tasks),
        cells=_cells(result.cells),
        share=_share,
        trouble=words.TROUBLE.get(result.status, ""),
        why=result.notes if unread else [],
    )
    return path


def _share(part: float, whole: float) -> int:
    """Give a share in percent, never below 0 or above 100."""
    return round(100 * min(max(part / whole, 0), 1))


def _groups(tasks: list[Task]) -> list[dict[str, Any]]:
    """Put the tests under the heading that they share, in the order of the source."""
    groups = []
    for title, members in itertools.groupby(tasks, key=lambda task: task.title):
        group = list(members)
        groups.append(
            {
                "title": title or group[0].grade_id,
                "tasks": [_shown(task) for task in group],
                "points": sum(task.points or 0 for task in group),
                "max_points": sum(task.max_points for task in group),
                "waits": any(task.points is None for task in group),
            }
        )
    return groups


def _shown(task: Task) -> dict[str, Any]:
    """Choose what a student may see: of a failed hidden test only its name and message."""
    symbol, verdict = words.verdict(task.verdict, task.points, task.max_points)
    look, colour = _look(task)
    shown: dict[str, Any] = {"task": task, "symbol": symbol, "verdict": verdict}
    shown |= {"look": look, "colour": colour}
    details = () if task.hidden else ("tried", "expected", "got")
    shown["details"] = [(name, getattr(task, name)) for name in details if getattr(task, name)]
    shown["hint"] = "" if task.hidden or task.verdict == "passed" else task.hint
    return shown


def _look(task: Task) -> tuple[str, str]:
    """Choose the border and the colour of a task."""
    if task.points is None:
        return "waits", "wait"
    if task.points >= task.max_points and task.verdict in ("passed", "manual"):
        return "passed", "good"
    return ("partly", "warn") if task.points > 0 else ("failed", "bad")


def _cells(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the student's cells that printed, drew or failed, as far as a page can hold them.

    The outputs come from the student's own process, so nothing about their form is sure.
    """
    shown = []
    pictures, left = MOST_PICTURES, MOST_TEXT
    for cell in cells[:MOST_CELLS]:
        outputs: list[dict[str, Any]] = []
        for output in cell.get("outputs") or []:
            kind, value = _content(output)
            if kind == "picture" and pictures > 0:
                pictures -= 1
                address = pages.picture(value)
                if address:
                    outputs.append({"picture": address})
            elif kind == "text" and left > 0:
                text = words.visible(value, min(left, 4000))
                left -= len(text)
                outputs.append({"text": text})
        error = cell.get("error")
        if error or outputs:
            shown.append({"grade_id": cell.get("grade_id"), "error": error, "outputs": outputs})
    return shown


def _content(output: Any) -> tuple[str, Any]:
    """Tell what an output shows: ("text", …), ("picture", …) or ("", None)."""
    if not isinstance(output, dict):
        return "", None
    data = output.get("data")
    data = data if isinstance(data, dict) else {}
    if "image/png" in data:
        return "picture", data["image/png"]
    text = output.get("text", data.get("text/plain"))
    return ("text", text) if isinstance(text, str) and text.strip() else ("", None)
