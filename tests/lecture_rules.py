"""The rules that every lecture notebook keeps, each a function that lists what breaks it.

`docs/lecture_contract.md` tells authors the same in words. A rule takes a notebook and its
`Chapter`, and returns one line per violation, empty if there is none.
"""

import ast
import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from coursekit.notebooks import CHAPTERS, Chapter, describe_cell

LAST_SECTIONS = ["Take-away", "Check yourself", "Where this comes from"]
MACHINE_PATH = re.compile(
    r"/(?:home|root|Users|work|tmp|private|var/folders)/[\w.-]+"
    r"|\b[A-Za-z]:\\+(?:Users|Windows|Temp)|site-packages|\.venv"
)
MARKDOWN_IMAGE = re.compile(r"!\[([^\]]*)\]\(")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
REPR = re.compile(r"<.*>|[\w.]+\(.*\)", re.DOTALL)  # an object's repr is not a sentence
NOT_COMPARED_TAGS = {"nbval-ignore-output", "nbval-skip"}
NOT_COMPARED_COMMENT = re.compile(r"^\s*#\s*(NBVAL_\w+|PYTEST_VALIDATE\w+)\s*$", re.MULTILINE)
MOST_CODE_LINES = 20
FEWEST_PICTURES = 3
FEWEST_CHARACTERS = 4000
MOST_NOT_COMPARED = 6  # in all lectures together

Rule = Callable[[Any, Chapter], list[str]]


def metadata(notebook: Any, chapter: Chapter) -> list[str]:
    """`metadata.coursekit` has slug, title, minutes, promise and needs, and perhaps data."""
    about = notebook.metadata.get("coursekit", {})
    types = {"slug": str, "title": str, "minutes": int, "promise": str, "needs": list}
    wrong = [
        f"metadata.coursekit.{key} must be a {kind.__name__}, is {about.get(key)!r}"
        for key, kind in types.items()
        if not isinstance(about.get(key), kind)
    ]
    if wrong:
        return wrong
    unknown = set(about) - set(types) - {"data"}
    if unknown:
        wrong.append(f"metadata.coursekit has unknown keys {sorted(unknown)}")
    if about["slug"] != chapter.slug:
        wrong.append(f"metadata.coursekit.slug is {about['slug']!r}, the file's {chapter.slug!r}")
    earlier = CHAPTERS[: CHAPTERS.index(chapter.slug)]
    wrong += [
        f"needs {slug!r}: no earlier chapter" for slug in about["needs"] if slug not in earlier
    ]
    if about.get("data", "mnist") != "mnist":
        wrong.append(f'metadata.coursekit.data can only be "mnist", is {about["data"]!r}')
    return wrong


def opening(notebook: Any, chapter: Chapter) -> list[str]:
    """The first cell: title, promise, what you will learn (3–5), what you need, minutes."""
    about = notebook.metadata.get("coursekit", {})
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown":
        return ["the first cell must be markdown"]
    text = first.source
    paragraphs = [part.strip() for part in text.split("\n\n")]
    wrong = []
    if paragraphs[0] != f"# {about.get('title')}":
        wrong.append(f"the first cell must begin with '# {about.get('title')}' (metadata title)")
    if len(paragraphs) < 2 or " ".join(paragraphs[1].split()) != about.get("promise"):
        wrong.append("the second paragraph must be the promise of the metadata, word for word")
    elif not paragraphs[1].endswith((".", "!", "?")):
        wrong.append("the promise must be one sentence that ends with a full stop")
    _, learn, rest = text.partition("**What you will learn**")
    if not learn:
        wrong.append("the first cell lacks **What you will learn**")
    bullets = _bullets(rest.partition("**You need**")[0])
    if learn and not 3 <= bullets <= 5:
        wrong.append(f"What you will learn has {bullets} bullets ('- '); 3 to 5 are wanted")
    if "**You need**" not in rest:
        wrong.append("the first cell lacks **You need** after **What you will learn**")
    if f"{about.get('minutes')} minutes" not in text:
        wrong.append(f"the first cell must say '{about.get('minutes')} minutes' (metadata)")
    return wrong


def closing(notebook: Any, chapter: Chapter) -> list[str]:
    """The last sections: Take-away, Check yourself, Where this comes from, and the links."""
    sections = _sections(notebook)
    wrong = []
    if [title for title, _ in sections][-3:] != LAST_SECTIONS:
        return [f"the last three '## ' sections must be {', '.join(LAST_SECTIONS)}, in this order"]
    take_away, check, sources = (text for _, text in sections[-3:])
    if not 1 <= _bullets(take_away) <= 5:
        wrong.append(f"Take-away has {_bullets(take_away)} bullets ('- '); 1 to 5 are wanted")
    questions, answers = check.count("<summary>"), check.count("<details>")
    if not (3 <= questions <= 5 and questions == answers == check.count("</details>")):
        wrong.append(
            "Check yourself wants 3 to 5 times <details><summary>question</summary> answer "
            f"</details>; found {questions} questions and {answers} folds"
        )
    if _bullets(sources) < 1:
        wrong.append("Where this comes from lists no reference ('- ')")
    wanted = [f"../exercises/{chapter.name}/{chapter.slug}.ipynb"]
    wanted += [f"{chapter.next_name}.ipynb"] if chapter.next_name else []
    links = LINK.findall(notebook.cells[-1].source)
    wrong += [f"the last cell must link to {link}" for link in wanted if link not in links]
    return wrong


def links(notebook: Any, chapter: Chapter) -> list[str]:
    """Relative links lead to a file, or to a chapter that is not written yet."""
    wrong = []
    for _, cell in _cells(notebook, "markdown"):
        for target in LINK.findall(cell.source):
            name = target.partition("#")[0]
            if not name or ":" in name:
                continue
            planned = any(slug in Path(name).stem for slug in CHAPTERS)
            if not planned and not (chapter.lecture.parent / name).exists():
                wrong.append(f"the link to {target} leads nowhere")
    return wrong


def lab(notebook: Any, chapter: Chapter) -> list[str]:
    """A code cell imports the chapter's own lab."""
    wanted = f"coursekit.labs.{chapter.slug}"
    if not any(wanted in (module, f"{module}.{name}") for _, module, name in _imports(notebook)):
        return [f"no cell imports the lab, {wanted}"]
    return []


def executed_in_order(notebook: Any, chapter: Chapter) -> list[str]:
    """Code cells are executed, top to bottom; none is empty."""
    wrong = []
    for count, (index, cell) in enumerate(_cells(notebook, "code"), start=1):
        if not cell.source.strip():
            wrong.append(f"cell {index + 1} is empty")
        elif cell.execution_count != count:
            wrong.append(
                f"{describe_cell(notebook, index)} has execution count {cell.execution_count}, "
                f"not {count}: run coursekit refresh"
            )
    return wrong


def clean_outputs(notebook: Any, chapter: Chapter) -> list[str]:
    """No error, nothing on stderr."""
    wrong = []
    for index, output in _outputs(notebook):
        if output.output_type == "error":
            wrong.append(f"{describe_cell(notebook, index)} ends with {output.ename}")
        elif output.get("name") == "stderr":
            first = output.text.strip().partition("\n")[0]
            wrong.append(f"{describe_cell(notebook, index)} writes to stderr: {first}")
    return wrong


def no_machine_path(notebook: Any, chapter: Chapter) -> list[str]:
    """No path of the author's machine, in source or output."""
    wrong = []
    for index, cell in enumerate(notebook.cells):
        texts = [cell.source, json.dumps(cell.metadata)]
        for output in cell.get("outputs", []):
            data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            texts += [output.get("text", ""), json.dumps(data), str(output.get("traceback", ""))]
        for found in filter(None, (MACHINE_PATH.search(text) for text in texts)):
            wrong.append(f"{describe_cell(notebook, index)} shows a machine path: {found[0]}")
    return wrong


def short_code(notebook: Any, chapter: Chapter) -> list[str]:
    """A code cell has at most 20 lines."""
    return [
        f"{describe_cell(notebook, index)} has {len(cell.source.splitlines())} lines, "
        f"more than {MOST_CODE_LINES}"
        for index, cell in _cells(notebook, "code")
        if len(cell.source.splitlines()) > MOST_CODE_LINES
    ]


def text_for_pictures(notebook: Any, chapter: Chapter) -> list[str]:
    """Every picture has a text: alt in its metadata (figures) or a text/plain sentence (labs)."""
    wrong = []
    for index, output in _outputs(notebook):
        data = output.get("data", {})
        if not any(mime.startswith("image/") for mime in data):
            continue
        alt = output.metadata.get("image/png", {}).get("alt", "").strip()
        sentence = data.get("text/plain", "").strip()
        if not alt and (not sentence or REPR.fullmatch(sentence)):
            wrong.append(
                f"{describe_cell(notebook, index)} shows a picture without a text; use "
                "coursekit.plots.show(figure, alt='what is seen')"
            )
    for index, cell in _cells(notebook, "markdown"):
        empty = [alt for alt in MARKDOWN_IMAGE.findall(cell.source) if not alt.strip()]
        tags = HTML_IMAGE.findall(cell.source)
        empty += [tag for tag in tags if not re.search(r"""alt=["']\s*[^"'\s]""", tag)]
        wrong += [f"{describe_cell(notebook, index)}: an image without alt text"] * len(empty)
    return wrong


def enough_pictures(notebook: Any, chapter: Chapter) -> list[str]:
    """At least three pictures."""
    shown = sum(
        any(mime.startswith("image/") for mime in output.get("data", {}))
        for _, output in _outputs(notebook)
    )
    for _, cell in _cells(notebook, "markdown"):
        shown += len(MARKDOWN_IMAGE.findall(cell.source)) + len(HTML_IMAGE.findall(cell.source))
    return [] if shown >= FEWEST_PICTURES else [f"{shown} pictures; {FEWEST_PICTURES} are wanted"]


def enough_prose(notebook: Any, chapter: Chapter) -> list[str]:
    """More than 4000 characters of markdown."""
    written = sum(len(cell.source) for _, cell in _cells(notebook, "markdown"))
    wanted = f"more than {FEWEST_CHARACTERS} are wanted"
    return [] if written > FEWEST_CHARACTERS else [f"{written} characters of prose; {wanted}"]


def reasons(notebook: Any, chapter: Chapter) -> list[str]:
    """A cell that is not compared has a tag, no comment, and says why in `metadata.reason`."""
    wrong = []
    for index, cell in _cells(notebook, "code"):
        if comment := NOT_COMPARED_COMMENT.search(cell.source):
            wrong.append(
                f"{describe_cell(notebook, index)}: use a cell tag instead of # {comment[1]}"
            )
    for index in not_compared(notebook):
        reason = notebook.cells[index].metadata.get("reason")
        if not isinstance(reason, str) or not reason.strip() or "\n" in reason:
            wrong.append(
                f"{describe_cell(notebook, index)} is not compared: say why in metadata.reason"
            )
    return wrong


def imports_exist(notebook: Any, chapter: Chapter) -> list[str]:
    """Every name imported from coursekit exists."""
    wrong = []
    for index, module, name in _imports(notebook):
        if module.partition(".")[0] != "coursekit":
            continue
        where = describe_cell(notebook, index)
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            wrong.append(f"{where}: there is no module {module}")
            continue
        if name and not hasattr(found, name):
            try:
                importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                wrong.append(f"{where}: {module} has no {name}")
    return wrong


RULES: tuple[Rule, ...] = (
    metadata,
    opening,
    closing,
    links,
    lab,
    executed_in_order,
    clean_outputs,
    no_machine_path,
    short_code,
    text_for_pictures,
    enough_pictures,
    enough_prose,
    reasons,
    imports_exist,
)
# Solutions are no lectures, but they are executed and shown, too.
SOLUTION_RULES: tuple[Rule, ...] = (
    executed_in_order,
    clean_outputs,
    no_machine_path,
    text_for_pictures,
    reasons,
    imports_exist,
)


def not_compared(notebook: Any) -> list[int]:
    """List the indices of the cells whose outputs nbval does not compare."""
    return [
        index
        for index, cell in _cells(notebook, "code")
        if NOT_COMPARED_TAGS & set(cell.metadata.get("tags", []))
    ]


def missing_places(chapter: Chapter) -> list[str]:
    """List the places where a chapter's slug should appear and does not."""
    root, slug = chapter.root, chapter.slug
    places = {
        "the lecture": chapter.lecture,
        "its lab": root / "coursekit" / "labs" / f"{slug}.py",
        "the exercise (make it with coursekit release)": chapter.exercise,
        "the solution": chapter.solution,
        "the tests of the lab": root / "tests" / "labs" / f"test_{slug}.py",
        "the wrong answers": root / "tests" / "exercises" / f"{slug}.py",
    }
    return [
        f"{chapter.name} lacks {what}: {path.relative_to(root).as_posix()}"
        for what, path in places.items()
        if not path.is_file()
    ]


def slugs_in_use(root: Path) -> set[str]:
    """Collect the slugs that appear in any of the places."""
    files = [*(root / "notebooks").glob("*.ipynb")]
    files += [path.parent for path in (root / "solutions").glob("*/*.ipynb")]
    files += [path.parent for path in (root / "exercises").glob("*/*.ipynb")]
    numbered = {re.sub(r"^\d\d_", "", path.stem) for path in files}
    tests = {path.stem for path in (root / "tests" / "exercises").glob("[a-z]*.py")}
    return numbered | tests


def _cells(notebook: Any, cell_type: str) -> Iterator[tuple[int, Any]]:
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == cell_type:
            yield index, cell


def _outputs(notebook: Any) -> Iterator[tuple[int, Any]]:
    for index, cell in _cells(notebook, "code"):
        for output in cell.outputs:
            yield index, output


def _bullets(text: str) -> int:
    return len(re.findall(r"^- \S", text, re.MULTILINE))


def _sections(notebook: Any) -> list[tuple[str, str]]:
    """Split the markdown at its second-level headings: (title, text below)."""
    text = "\n\n".join(cell.source for _, cell in _cells(notebook, "markdown"))
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"^## +(.+?) *$", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _imports(notebook: Any) -> Iterator[tuple[int, str, str]]:
    """Yield (cell, module, imported name or "") for every import of the notebook."""
    for index, cell in _cells(notebook, "code"):
        tree = ast.parse(TransformerManager().transform_cell(cell.source))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((index, alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((index, node.module, alias.name) for alias in node.names)
