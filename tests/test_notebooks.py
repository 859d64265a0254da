"""Lectures and solutions keep the rules of `lecture_rules`, and each rule can fail."""

from pathlib import Path

import nbformat
import pytest

from coursekit import notebooks
from coursekit.notebooks import Chapter
from tests import lecture_rules as rules

ROOT = Path(__file__).parents[1]
LECTURES = notebooks.lectures(ROOT)
SOLUTIONS = notebooks.solutions(ROOT)


def cases(paths, its_rules):
    return [
        pytest.param(path, rule, id=f"{path.stem}-{rule.__name__}")
        for path in paths
        for rule in its_rules
    ]


def chapter_of(path):
    return notebooks.chapter(path.stem, ROOT)


@pytest.mark.parametrize(("path", "rule"), cases(LECTURES, rules.RULES))
def test_lecture_keeps_rule(path, rule):
    wrong = rule(notebooks.read(path), chapter_of(path))
    assert not wrong, f"{path.stem}: " + "; ".join(wrong)


@pytest.mark.parametrize(("path", "rule"), cases(SOLUTIONS, rules.SOLUTION_RULES))
def test_solution_keeps_rule(path, rule):
    wrong = rule(notebooks.read(path), chapter_of(path))
    assert not wrong, f"{path.stem}: " + "; ".join(wrong)


@pytest.mark.parametrize("path", LECTURES + SOLUTIONS, ids=lambda path: path.stem)
def test_canonical_form(path):
    assert notebooks.is_canonical(path), f"{path.name}: run coursekit refresh {path.name}"


@pytest.mark.parametrize("slug", sorted(rules.slugs_in_use(ROOT)))
def test_slug_is_in_every_place(slug):
    missing = rules.missing_places(notebooks.chapter(slug, ROOT))
    assert not missing, "; ".join(missing)


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_number_fits_the_syllabus(path):
    assert path == chapter_of(path).lecture


def test_few_cells_are_not_compared():
    found = {path.stem: len(rules.not_compared(notebooks.read(path))) for path in LECTURES}
    assert sum(found.values()) <= rules.MOST_NOT_COMPARED, found


# ---- The rules themselves: a small lecture that keeps them all, broken in one place each.

CHAPTER = Chapter(ROOT, "learning_rate")
OPENING = """# The learning rate

You choose a learning rate and know what it does.

**What you will learn**

- choose
- read
- derive

**You need**: gradients.

**Time**: about 30 minutes"""
CLOSING = """## Take-away

- One thing.

## Check yourself

<details><summary>Why?</summary> So.</details>
<details><summary>Where?</summary> Here.</details>
<details><summary>When?</summary> Now.</details>

## Where this comes from

- Somebody (1951)."""
LINKS = """[Exercise](../exercises/04_learning_rate/learning_rate.ipynb),
[next](05_lr_decay.ipynb)"""


def code(source, *outputs, count=1):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=count)


def picture(alt="", text="a line falls"):
    data = {"image/png": "iVBORw0KGgo=", "text/plain": text}
    about = {"image/png": {"alt": alt}} if alt else {}
    return nbformat.v4.new_output("display_data", data, metadata=about)


def stream(name, text):
    return nbformat.v4.new_output("stream", name=name, text=text)


def good_lecture():
    markdown = nbformat.v4.new_markdown_cell
    cells = [
        markdown(OPENING),
        code("from coursekit import plots", count=1),
        code("from coursekit.labs import learning_rate", picture("a line"), count=2),
        markdown("word " * 1000),
        code("1 + 1", picture(), picture(), stream("stdout", "η = 1\n"), count=3),
        markdown(CLOSING),
        markdown(LINKS),
    ]
    about = {
        "slug": "learning_rate",
        "title": "The learning rate",
        "promise": "You choose a learning rate and know what it does.",
        "minutes": 30,
        "needs": ["gradients"],
    }
    return nbformat.v4.new_notebook(cells=cells, metadata={"coursekit": about})


# The lab of the chapter may not be written yet.
OWN_RULES = [rule for rule in rules.RULES if rule is not rules.imports_exist]


@pytest.mark.parametrize("rule", OWN_RULES, ids=lambda rule: rule.__name__)
def test_good_lecture_breaks_no_rule(rule):
    assert rule(good_lecture(), CHAPTER) == []


def about(**changes):
    return lambda nb: nb.metadata.coursekit.update(changes)


def replace(index, old, new):
    def change(nb):
        assert old in nb.cells[index].source
        nb.cells[index].source = nb.cells[index].source.replace(old, new)

    return change


def set_source(index, source):
    return lambda nb: nb.cells[index].update(source=source)


def add_output(output):
    return lambda nb: nb.cells[4].outputs.append(output)


def untitled_picture(nb):
    nb.cells[4].outputs[0].data["text/plain"] = "<Figure size 640x480 with 1 Axes>"


def tag_without_reason(nb):
    nb.cells[4].metadata["tags"] = ["nbval-ignore-output"]


def no_pictures(nb):
    nb.cells[4].outputs = []


ERROR = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])


@pytest.mark.parametrize(
    ("rule", "violate", "message"),
    [
        (rules.metadata, about(minutes="30"), "minutes must be a int"),
        (rules.metadata, about(slug="losses"), "slug is 'losses'"),
        (rules.metadata, about(needs=["ema"]), "no earlier chapter"),
        (rules.metadata, about(data="iris"), 'only be "mnist"'),
        (rules.metadata, about(author="x"), "unknown keys"),
        (rules.opening, lambda nb: nb.cells.pop(0), "first cell must be markdown"),
        (rules.opening, replace(0, "# The", "# A"), "must begin with '# The learning rate'"),
        (rules.opening, replace(0, "know", "guess"), "second paragraph must be the promise"),
        (rules.opening, replace(0, "- derive", ""), "2 bullets"),
        (rules.opening, replace(0, "**What you", "**How you"), "lacks **What you will learn**"),
        (rules.opening, replace(0, "**You need**", "Needed"), "lacks **You need**"),
        (rules.opening, replace(0, "30 minutes", "an hour"), "say '30 minutes'"),
        (rules.closing, replace(5, "## Take-away", "## The end"), "last three"),
        (rules.closing, replace(5, "- One", "One"), "Take-away has 0"),
        (rules.closing, replace(5, "<details><summary>Why?</summary> So.</details>", ""), "3 to 5"),
        (rules.closing, replace(5, "- Somebody", "Somebody"), "no reference"),
        (rules.closing, replace(6, "04_learning_rate/", ""), "must link to ../exercises/04_"),
        (rules.closing, replace(6, "05_lr_decay", "06_ema"), "must link to 05_lr_decay.ipynb"),
        (rules.links, set_source(3, "[see](nowhere.md)"), "nowhere.md leads nowhere"),
        (rules.lab, replace(2, "labs", "plots"), "no cell imports the lab"),
        (rules.executed_in_order, lambda nb: nb.cells[2].update(execution_count=7), "count 7"),
        (rules.executed_in_order, set_source(4, " "), "cell 5 is empty"),
        (rules.clean_outputs, add_output(ERROR), "ends with ValueError"),
        (rules.clean_outputs, add_output(stream("stderr", "careful\n")), "stderr: careful"),
        (rules.no_machine_path, set_source(4, "open('/home/me/x')"), "path: /home/me"),
        (rules.no_machine_path, add_output(stream("stdout", r"C:\Users\me")), r"C:\Users"),
        (rules.short_code, set_source(4, "x = 1\n" * 21), "21 lines"),
        (rules.text_for_pictures, untitled_picture, "picture without a text"),
        (rules.text_for_pictures, set_source(3, "![](x.png)"), "without alt"),
        (rules.text_for_pictures, set_source(3, '<img src="x.png" alt="">'), "without alt"),
        (rules.enough_pictures, no_pictures, "1 pictures; 3"),
        (rules.enough_prose, set_source(3, "short"), "4000 are wanted"),
        (rules.reasons, tag_without_reason, "say why in metadata.reason"),
        (rules.reasons, set_source(4, "# NBVAL_IGNORE_OUTPUT\n1"), "use a cell tag"),
        (rules.imports_exist, set_source(4, "from coursekit.plots import nothing"), "no nothing"),
        (rules.imports_exist, set_source(4, "import coursekit.nothing"), "no module"),
        (rules.imports_exist, set_source(4, "from coursekit import nothing"), "no nothing"),
    ],
)
def test_rule_finds_its_violation(rule, violate, message):
    notebook = good_lecture()
    violate(notebook)
    assert message in "; ".join(rule(notebook, CHAPTER))


def test_names_that_exist_are_accepted():
    notebook = good_lecture()
    sources = ["from coursekit.plots import show", "import coursekit.plots", "import numpy", "%pdb"]
    notebook.cells = [code("\n".join(sources))]
    assert rules.imports_exist(notebook, CHAPTER) == []


def test_missing_place_is_named(tmp_path):
    places = [
        "notebooks/04_learning_rate.ipynb",
        "coursekit/labs/learning_rate.py",
        "exercises/04_learning_rate/learning_rate.ipynb",
        "solutions/04_learning_rate/learning_rate.ipynb",
        "tests/labs/test_learning_rate.py",
        "tests/exercises/learning_rate.py",
    ]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    chapter = Chapter(tmp_path, "learning_rate")
    assert rules.missing_places(chapter) == []
    for place in places:
        (tmp_path / place).unlink()
        assert [line.rpartition(" ")[2] for line in rules.missing_places(chapter)] == [place]
        (tmp_path / place).touch()
    assert rules.slugs_in_use(tmp_path) == {"learning_rate"}
