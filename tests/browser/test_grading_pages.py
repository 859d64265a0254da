"""The pages of hostile submissions in a real browser: no script runs, nothing is requested."""

import re

import pytest

from tests.grading import samples
from tests.grading.test_feedback import read

pytestmark = pytest.mark.browser
SIZES = {"desk": {"width": 1100, "height": 900}, "phone": {"width": 375, "height": 800}}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a class of forty, some hostile."""
    folder = tmp_path_factory.mktemp("pages")
    samples.write(samples.batch(), folder)
    return [folder / "report.html", *sorted((folder / "feedback").glob("*.html"))]


@pytest.fixture(scope="module")
def visit(browser):
    """``visit(path, size="desk", **options)`` gives a page that remembers what it asked for."""
    contexts = []

    def visit(path, size="desk", **options):
        contexts.append(browser.new_context(viewport=SIZES[size], **options))
        page = contexts[-1].new_page()
        page.asked, page.refused, page.said = [], [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("requestfailed", lambda request: page.refused.append(request.failure))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("dialog", lambda dialog: page.said.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()


def test_nothing_of_a_student_runs_or_is_fetched(pages, visit):
    page = visit(pages[0])
    for path in pages:
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.url == path.as_uri()
        assert page.evaluate("window.attacked") is None
        assert page.evaluate("document.querySelectorAll('script, iframe, form, base').length") == 0
    asked = [url for url in page.asked if not url.startswith("data:image/png;base64,")]
    assert asked[1:] == [path.as_uri() for path in pages]
    assert page.said == []


def test_the_policy_stops_what_an_oversight_lets_through(pages, visit, tmp_path):
    text = pages[0].read_text(encoding="utf-8")
    holes = "".join(attack for attack in samples.ATTACKS if attack.startswith(("<script", "<img")))
    path = tmp_path / "holes.html"
    path.write_text(text.replace("<main", f"{holes}<main"), encoding="utf-8")
    page = visit(path)
    assert page.evaluate("window.attacked") is None
    assert len(page.asked) == 2  # the page, and the picture
    assert page.refused == ["csp"]
    assert any("Content Security Policy" in line for line in page.said)


@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_its_window(pages, visit, size):
    page = visit(pages[0], size)
    for path in [pages[0], *(path for path in pages if "<h1><bdi>student" not in read(path))]:
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= SIZES[size]["width"], path.name


CONTRASTS = """() => {
  const background = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const found = {};
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own) continue;
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    found[colour + ' on ' + background(element)] = element.outerHTML.slice(0, 80);
  }
  return found;
}"""


def luminance(colour):
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(pages, visit, scheme):
    for path in (pages[0], next(path for path in pages if path.stem.startswith("Wordy"))):
        found = visit(path, color_scheme=scheme).evaluate(CONTRASTS)
        assert len(found) > 4
        for pair, where in found.items():
            dark, light = sorted(luminance(colour) for colour in pair.split(" on "))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{pair}: {where}"


def test_labels_of_a_chart_do_not_touch(pages, visit):
    for size in SIZES:
        boxes = visit(pages[0], size).evaluate(
            """() => [...document.querySelectorAll('svg')].map(svg =>
            [...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect().toJSON()))"""
        )
        assert len(boxes) == 4
        for chart in boxes:
            for number, one in enumerate(chart):
                for other in chart[:number]:
                    apart = one["left"] >= other["right"] or other["left"] >= one["right"]
                    assert apart or one["top"] >= other["bottom"] or other["top"] >= one["bottom"]
