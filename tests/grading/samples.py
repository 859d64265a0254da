"""Results of a made-up class, some of it hostile, for the tests of pages and for looking at them.

``python -m tests.grading.samples FOLDER`` writes the pages.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import numpy as np

from coursekit.grading import feedback, report
from coursekit.grading.results import Result, Task

# Each would give itself away: a script that runs, or a request that somebody sees.
ATTACKS = (
    "<script>window.attacked = 1</script>",
    "</pre></title></style><script>window.attacked = 1</script>",
    "<img src='http://attacker.invalid/x.png' onerror='window.attacked = 1'>",
    '"><svg onload="window.attacked = 1"><a href="javascript:window.attacked = 1">look</a>',
    "{{ 7 * 7 }} {% include 'base.html' %} ${7 * 7}",
    "<style>@import url(http://attacker.invalid/a.css); body { display: none }</style>",
    "<meta http-equiv=refresh content='0; url=http://attacker.invalid/'>",
    "<base href=http://attacker.invalid/><link rel=stylesheet href=a.css>",
    "<iframe src=http://attacker.invalid></iframe><form action=http://attacker.invalid>",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x08\x7f\x9b \ud800 \u202egnp.exe\u202c \u200b\ufeff",
    "Z̸̡̢̧̛̗̱̜̼̲͓̞̟̪̠̘̓̇̅̓͊̏̂̍̀̚͜͝͠ą̵̨̢̧̧̛̛̺̜̲͎̦̟̪͙̱̻̲̭͈͂̾̅͑̑̀̔͐̓̎͝ļ̶̢͙̳̗͔̻̗̣͔̖̲̍͗̓̄̉̚͠ģ̴̨̢̛̛̝̟̳̫͖̼̥̖̽̋̆̍͌̑̕͜͝͠ò̶̢̧̧̲̙͚̟̮͔̖͎̺͗̈́̃̎̔̚͝",
    "=cmd|'/c calc'!A1",
)
NAMES = (
    *(
        "Ada Lovelace",
        "Grace Hopper",
        "李小龙",
        "Zoë Müller",
        "محمد علي",
        "Nguyễn Văn An",
        "O'Brien",
    ),
    *("a_very_long_login_name_without_a_single_space_as_learning_platforms_make_them_0123456789",),
    *ATTACKS,
)
TASKS = (  # grade_id, title, points, share of the class that gets it right, message
    ("test_descend_shape", 0, 1.0, 0.95, "4 steps visit 5 weights: the start counts, too."),
    ("test_descend_one_step", 0, 1.0, 0.85, "Go against the gradient: subtract, do not add."),
    ("test_descend_path", 0, 2.0, 0.7, "All steps are equal. The slope changes on the way."),
    ("test_rate_one", 1, 1.0, 0.6, "1 / curvature arrives in one step; the limit is at 2."),
    ("test_rate_many", 1, 1.0, 0.4, "The steepest direction explodes first, not {number}."),
    ("test_fit_line", 2, 2.0, 0.5, "b walks uphill. Both parameters go against their slope."),
    ("test_until", 3, 3.0, 0.3, "Your distance {number} is not below the tolerance yet."),
    ("test_pick", 4, 3.0, 0.25, "Return None where the loss never explodes."),
)
TITLES = (
    "Task 1: Write the descent (4 points)",
    "Task 2: Predict its fate (2 points)",
    "Task 3: Find the bugs (2 points)",
    "Task 4: How many steps? (3 points)",
    "Task 5: Choose a learning rate from a range test (3 points)",
    "Task 6: Predict and explain (2 points, read by a human)",
)


def png(width: int = 320, height: int = 200) -> str:
    """Make a picture as matplotlib would put it into a notebook."""
    from PIL import Image

    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, 128 + 0 * x], axis=-1)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def student(name: str, ability: float, random: np.random.Generator, manual: bool = True) -> Result:
    """Make the result of one student, of some ability from 0 to 1."""
    tasks = []
    for grade_id, title, worth, ease, message in TASKS:
        task = Task(grade_id, TITLES[title], "tests", "passed", worth, worth, seconds=0.02)
        if random.random() > ease * 0.5 + ability * 0.6:
            task.verdict, task.points = ("wrong", 0.0)
            task.message = message.format(number=round(float(random.normal(5, 2)), 3))
            task.tried, task.expected, task.got = "descend(0.2, 5.0, 4, 2.0, -1.0)", "5", "4"
            task.hint = "Draw the first step by hand, then read your code line by line."
            if worth == 3 and random.random() < 0.5:
                task.points = 1.5
            if title == 3:
                task.hidden, task.tried, task.expected, task.got = True, "", "", ""
            if grade_id == "test_fit_line":
                task.verdict = "error"
                task.message = "TypeError: 'NoneType' object is not iterable"
        tasks.append(task)
    answer = "The factor of y is 1 − 0.05 · 50 = −1.5, so y swings and grows.\n\nI advise 0.02."
    tasks.append(
        Task("explain", TITLES[5], "manual", "manual", None if manual else 1.5, 2.0, answer=answer)
    )
    if not manual:
        tasks[-1].comment = "Right factors. Say what 0.02 costs in the other direction."
    return Result(
        student=name,
        assignment="04_learning_rate",
        status="needs_manual" if manual else "graded",
        tasks=tasks,
        isolation="namespaces",
        seconds=round(float(random.gamma(4, 0.3)), 3),
        cpu_seconds=round(float(random.gamma(4, 0.2)), 3),
        memory=int(random.normal(160e6, 20e6)),
        origin=f"{name}/04_learning_rate/learning_rate.ipynb",
        cells=[{"index": 0, "grade_id": None, "error": None, "outputs": []}],
    )


def hostile(name: str, attack: str) -> Result:
    """Put an attack into every field that a student can reach."""
    result = student(name, 0.2, np.random.default_rng(len(attack)))
    for task in result.tasks:
        task.message = task.tried = task.expected = task.got = task.answer = task.comment = attack
        task.hidden = False
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": attack},
        {"output_type": "display_data", "data": {"text/html": attack, "text/plain": attack}},
        {"output_type": "display_data", "data": {"image/svg+xml": attack, "image/png": attack}},
        {"output_type": "display_data", "data": {"image/png": png()}},
        {"output_type": "stream", "text": [attack, 7, None]},
        *(None, 5, [], {"data": []}, {"text": {}}),
    ]
    result.notes = result.tampering = [attack]
    result.cells = [{"index": 0, "grade_id": attack, "error": attack, "outputs": outputs}]
    result.origin = attack
    return result


def ended(name: str, status: str, random: np.random.Generator) -> Result:
    """Make the result of a notebook that did not come to its end."""
    result = student(name, 0.6, random)
    result.status = status
    messages = {
        "timeout": ("It took longer than 30 seconds.", 65.0, 170_000_000),
        "out_of_memory": ("It used more than 4 GiB of memory.", 4.0, 4_300_000_000),
        "died": ("The Python process ended (signal 9).", 1.0, 120_000_000),
        "invalid": ("The file is not a notebook: it has conflict marks of git.", 0.0, 0),
    }
    message, result.seconds, result.memory = messages[status]
    for task in result.tasks if status == "invalid" else result.tasks[4:5]:
        task.verdict, task.points, task.message, task.seconds = status, 0.0, message, result.seconds
        task.tried = task.expected = task.got = ""
    if status == "invalid":
        result.notes, result.cells = [message], []
    return result


def batch(number: int = 40) -> list[Result]:
    """Make a class: honest students, hostile ones, and accidents."""
    random = np.random.default_rng(7)
    results = []
    for place in range(number):
        name = NAMES[place] if place < len(NAMES) else f"student{place:02d}"
        if name in ATTACKS:
            results.append(hostile(name, name))
        else:
            results.append(student(name, float(random.random()), random, place % 3 > 0))
    for place, status in enumerate(("timeout", "out_of_memory", "died", "invalid")):
        results[-1 - place] = ended(f"{status} {place}", status, random)
    perfect = student("Perfect Student", 9.0, random, manual=False)
    perfect.tasks[-1].points = 2.0
    long = student("Wordy Student", 0.3, random)
    long.tasks[0].verdict, long.tasks[0].points = "wrong", 0.0
    long.tasks[0].message = "This message is long, and it is longer than one wants. " * 60
    long.tasks[0].got = repr(list(range(3000)))
    long.tasks[0].tried = "x" * 500
    long.cells = [
        {
            "index": 1,
            "grade_id": "descend",
            "error": None,
            "outputs": [{"text": "loss 0.1\n" * 900}],
        },
        {
            "index": 2,
            "grade_id": None,
            "error": "ZeroDivisionError: division by zero",
            "outputs": [],
        },
        {"index": 3, "grade_id": None, "error": None, "outputs": [{"data": {"image/png": png()}}]},
    ]
    results[-6:-4] = [perfect, long]
    results[3].forgeable = True
    results[1].notes = ["Two files were handed in; the last one counts."]
    return results


def write(results: list[Result], folder: Path) -> None:
    """Write all pages of a batch."""
    for result in results:
        feedback.write(result, folder / "feedback")
    report.write(results, folder / "report.html")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write(batch(), place / "forty")
    write([], place / "none")
    write([student("Only One", 0.5, np.random.default_rng(1))], place / "one")
