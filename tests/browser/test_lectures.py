"""Every committed lecture as a student meets it: before anything is run, and as a web page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbconvert
import nbformat
import pytest
from playwright.sync_api import expect

from coursekit import course

pytestmark = pytest.mark.browser

LECTURES = course.lectures(Path(__file__).parents[2])


def pictures(path: Path) -> int:
    """How many outputs of a notebook hold a picture."""
    cells = nbformat.read(path, as_version=4).cells
    return sum("image/png" in out.get("data", {}) for c in cells for out in c.get("outputs", ()))


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_shows_its_pictures_before_it_is_run(open_page, lab_folder, path):
    shutil.copy(path, lab_folder)
    page = open_page(path.name, run=False)
    shown = page.locator(".jp-OutputArea-output img")
    # JupyterLab builds cells as they come into view.
    page.locator(".jp-Notebook").hover()
    for _ in range(300):
        if shown.count() >= min(3, pictures(path)):
            break
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(100)
    expect(shown.first).to_be_visible()
    assert shown.count() >= min(3, pictures(path))
    assert "Error displaying widget" not in page.locator(".jp-Notebook").inner_text()
    assert not page.errors


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_as_a_web_page_has_all_pictures_with_words(path):
    html, _ = nbconvert.HTMLExporter().from_filename(str(path))
    images = re.findall(r"<img[^>]*>", html)
    assert len(images) >= pictures(path)
    without = [image[-80:] for image in images if not re.search(r'alt="[^"]+"', image)]
    assert not without, "images without alternative text"
