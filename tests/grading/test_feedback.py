"""The page that a student gets: what it shows, what it hides, and that nothing breaks out of it."""

import base64
import html
import io
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from coursekit.grading import feedback, pages, words
from coursekit.grading.results import Result, Task
from tests.grading import samples

VOID = ("meta", "img", "br", "line", "rect", "path")


class Page(HTMLParser):
    """Reads a page: its elements, its text, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def read(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture
def show(tmp_path):
    """``show(task, …, status="graded")`` writes a page and gives it."""

    def show(*tasks, status="graded", **about):
        result = Result("Ada", "04_learning_rate", status, list(tasks), **about)
        return Page(read(feedback.write(result, tmp_path)))

    return show


def test_a_failed_test_shows_what_helps(show):
    page = show(
        Task("test_a", "Task 1: Step", "tests", "wrong", 0.0, 2.0, "Go downhill.", "Look at −.",
             "step(3, 4)", "2.6", "3.4"),
        Task("test_b", "Task 1: Step", "tests", "passed", 1.0, 1.0),
    )  # fmt: skip
    for part in ("1 of 3 points", "Task 1: Step", "Not right yet", "test_a", "0 / 2",
                 "Go downhill.", "Hint: Look at −.", "tried step(3, 4)", "expected 2.6", "got 3.4",
                 "Passed", "1 / 1"):  # fmt: skip
        assert part in page.text
    assert page.tags.count("h1") == 1
    assert page.tags.count("h2") == 1  # both tests are under one heading


def test_a_failed_hidden_test_shows_its_name_and_message_only(show):
    page = show(
        Task("test_a", "T", "tests", "wrong", 0.0, 1.0, "The message.", "THE_HINT", "TRIED",
             "EXPECTED", "GOT", hidden=True)
    )  # fmt: skip
    assert "test_a" in page.text
    assert "The message." in page.text
    assert "hidden test" in page.text
    assert not re.search("THE_HINT|TRIED|EXPECTED|GOT|tried|expected|got ", page.text)


def test_partial_points_are_said_in_words(show):
    page = show(Task("test_a", "T", "tests", "wrong", 0.5, 2.0))
    assert "Partly right" in page.text
    assert "0.5 / 2" in page.text


@pytest.mark.parametrize(
    ("verdict", "says"),
    [(name, says) for name, (_, says) in words.VERDICTS.items() if name != "manual"],
)
def test_every_verdict_has_words(show, verdict, says):
    task = Task("test_a", "T", "tests", verdict, 1.0 if verdict == "passed" else 0.0, 1.0)
    assert says in show(task).text


def test_a_timeout_says_when_it_was_stopped(show):
    page = show(Task("t", "T", "tests", "timeout", 0.0, 1.0, seconds=30.2), status="timeout")
    assert "stopped after 30.2 s" in page.text
    assert "did not come to its end in time" in page.text


def test_answers_for_a_human(show):
    page = show(
        Task("a", "Explain", "manual", "manual", None, 2.0, answer="Because."),
        Task("b", "Draw", "manual", "manual", 1.5, 2.0, answer="A line.", comment="Label it."),
        status="needs_manual",
    )
    assert "A person will grade this" in page.text
    assert "2 more points wait" in page.text
    assert "Because." in page.text
    assert "Read by a person" in page.text
    assert "Comment: Label it." in page.text


def test_a_file_that_could_not_be_read_says_why(show):
    page = show(
        Task("a", "T", "tests", "invalid", 0.0, 2.0, "no notebook", "HINT"),
        status="invalid",
        notes=["The file is not a notebook."],
    )
    assert "The file is not a notebook." in page.text
    assert "HINT" not in page.text


def test_what_is_for_the_instructor_stays_with_the_instructor(show):
    page = show(notes=["A_NOTE"], tampering=["TAMPERED"], forgeable=True)
    assert "A_NOTE" not in page.text
    assert "TAMPERED" not in page.text


def test_errors_and_outputs_of_cells(show):
    cells = [
        {"index": 0, "grade_id": "step", "error": "NameError: x", "outputs": []},
        {"index": 1, "grade_id": None, "error": None, "outputs": []},
        {"index": 2, "grade_id": None, "error": None, "outputs": [{"text": "a\nb\n"}]},
        {"index": 3, "grade_id": None, "error": None,
         "outputs": [{"data": {"image/png": samples.png(30, 20), "text/plain": "<Figure>"}}]},
    ]  # fmt: skip
    page = show(cells=cells)
    assert "NameError: x" in page.text
    assert page.text.count("A cell of your own") == 2
    assert "a b" in page.text
    assert "<Figure>" not in page.text
    assert ("img", "width", "30") in page.attributes
    assert any(name == "alt" and value for _, name, value in page.attributes)


def test_a_flood_of_output_is_cut(show, tmp_path):
    outputs = [{"text": "x" * 10_000_000}] * 3 + [{"data": {"image/png": samples.png(9, 9)}}] * 999
    cells = [{"index": n, "grade_id": None, "error": "E" * 99_999, "outputs": outputs}
             for n in range(500)]  # fmt: skip
    page = show(Task("t", "T", "tests", "wrong", 0.0, 1.0, *["y" * 5_000_000] * 5), cells=cells)
    assert "characters are left out" in page.text
    assert page.tags.count("img") == feedback.MOST_PICTURES
    assert (tmp_path / "Ada.html").stat().st_size < 2_000_000


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_no_text_of_a_student_becomes_a_part_of_the_page(tmp_path, attack):
    tame = Page(read(feedback.write(samples.hostile("tame", "tame"), tmp_path)))
    page = Page(read(feedback.write(samples.hostile("tame", attack), tmp_path)))
    # the random results differ with the attack, but no element and no attribute may be new
    assert set(page.tags) <= set(tame.tags) | {"dl", "dt", "dd"}
    known = {(tag, name) for tag, name, _ in tame.attributes}
    assert {(tag, name) for tag, name, _ in page.attributes} <= known
    assert not any(name.startswith("on") or name == "srcdoc" for _, name, _ in page.attributes)
    for tag, name, value in page.attributes:
        if name in ("src", "href"):
            start = "#task-" if tag == "a" else "data:image/png;base64,"
            assert value.startswith(start)


def test_the_page_loads_nothing_and_runs_nothing(tmp_path):
    page = Page(read(feedback.write(samples.hostile("x", "x"), tmp_path)))
    assert not {"script", "link", "iframe", "object", "form", "svg"} & set(page.tags)
    assert ("meta", "content", pages.POLICY) in page.attributes
    assert page.tags.index("meta") < page.tags.index("style")  # the policy comes before all else
    for rule in ("default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"):
        assert rule in pages.POLICY


# --- Characters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain äöü 漢字 ❤\n\tx", "plain äöü 漢字 ❤\n\tx"),
        ("\x1b[0;31mNameError\x1b[0m: x", "NameError: x"),
        ("\x1b]0;title\x07after", "after"),
        ("a\x00b\x08c\x7f", "a⟨U+0000⟩b⟨U+0008⟩c⟨U+007F⟩"),
        ("a\r\nb\rc", "a\nb⟨U+000D⟩c"),
        ("\u202egnp.exe", "⟨U+202E⟩gnp.exe"),
        ("a\u2066b\u2069\u061c\ufeff\u200b", "a⟨U+2066⟩b⟨U+2069⟩⟨U+061C⟩⟨U+FEFF⟩⟨U+200B⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
        ("a" + "\u0300" * 50 + "b", "a" + "\u0300" * words.MOST_MARKS + "b"),
        (None, "None"),
    ],
)
def test_text_is_made_visible(given, shown):
    assert words.visible(given) == shown


def test_every_character_can_be_written():
    everything = "".join(map(chr, range(0x110000)))
    shown = words.visible(everything, len(everything))
    shown.encode()
    assert not set(shown) & set(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))


def test_a_long_text_keeps_its_begin_and_end():
    shown = words.visible("begin" + "x" * 10_000_000 + "end", 100)
    assert shown.startswith("begin")
    assert shown.endswith("end")
    assert len(shown) < 200
    assert words.line("word " * 100, 20) == "word word word word…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.0, "2"), (1.5, "1.5"), (1 / 3, "0.33"), (0.0, "0"), (10.0, "10"), (None, "–")],
)
def test_points_are_short(value, shown):
    assert words.number(value) == shown


# --- Pictures ------------------------------------------------------------------------------------


def as_png(image, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def accepted(raw):
    """Give the bytes that a page would hold, or None."""
    found = pages.picture(base64.b64encode(raw).decode())
    return found and base64.b64decode(found[0].removeprefix("data:image/png;base64,"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pictures_of_every_kind_pass_unchanged(mode):
    pixels = np.random.default_rng(0).integers(0, 255, (13, 17), dtype=np.uint8)
    grey = Image.fromarray(pixels)
    picture = Image.fromarray(pixels.astype(np.uint16)) if mode == "I;16" else grey.convert(mode)
    kept = accepted(as_png(picture))
    with Image.open(io.BytesIO(kept)) as same:
        assert np.array_equal(np.asarray(same), np.asarray(picture))


def test_a_figure_of_matplotlib_passes():
    from matplotlib.figure import Figure

    figure, file = Figure(), io.BytesIO()
    figure.add_subplot().plot([1, 2, 3])
    figure.savefig(file, format="png", bbox_inches="tight")
    assert accepted(file.getvalue())


def test_what_is_not_the_picture_is_dropped():
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", "<script>alert(1)</script>")
    raw = as_png(Image.new("RGB", (5, 5)), pnginfo=about) + b"<script>alert(2)</script>"
    kept = accepted(raw)
    assert b"script" in raw
    assert b"script" not in kept
    with Image.open(io.BytesIO(kept)) as picture:
        picture.load()


def chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def made(width, height, pixels, colour=0, depth=8, interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    data = chunk(b"IDAT", zlib.compress(pixels))
    return pages.SIGNATURE + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def test_broken_pictures_are_refused():
    good = made(2, 2, b"\0ab\0cd")
    assert accepted(good) == good
    bad = {
        "another kind": b"GIF89a" + good,
        "cut off": good[:-6],
        "a broken checksum": good[:-1] + b"x",
        "too few pixels": made(2, 2, b"\0ab\0c"),
        "too many pixels": made(2, 2, b"\0ab\0cd\0"),
        "an unknown filter": made(2, 2, b"\x09ab\0cd"),
        "a bomb": made(60_000, 60_000, b"\0" * 1000),
        "no pixels": made(0, 0, b""),
        "an unknown kind": made(2, 2, b"\0ab\0cd", colour=5),
        "interlaced": made(2, 2, b"\0ab\0cd", interlace=1),
        "no palette": made(2, 2, b"\0ab\0cd", colour=3),
        "no header": pages.SIGNATURE + chunk(b"IEND", b""),
        "a length beyond the end": pages.SIGNATURE + b"\xff\xff\xff\xffIHDR" + b"x" * 50,
        "too large": good + b"x" * pages.MOST_BYTES,
        "nothing": b"",
    }
    for name, raw in bad.items():
        assert accepted(raw) is None, name


@pytest.mark.parametrize(
    "data", [None, 7, {}, "no base64!", "<svg>", ["aGVsbG8="], [1], "A" * 10**7]
)
def test_what_is_no_picture_is_refused(data):
    assert pages.picture(data) is None


def test_names_are_shown_as_they_are(tmp_path):
    text = read(feedback.write(Result("Zoë O'Brien <b>", "a", "graded"), tmp_path))
    assert html.escape("Zoë O'Brien <b>").replace("&#x27;", "&#39;") in text
