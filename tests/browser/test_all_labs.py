"""Each lab of the course answers a key press in real JupyterLab, as Python says it must."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
from playwright.sync_api import expect

from coursekit import labs
from tests.browser import pixels

pytestmark = pytest.mark.browser


def all_labs() -> list[str]:
    """Find every public function that gives a lab: ``module.function``."""
    found = []
    for info in pkgutil.iter_modules(labs.__path__):
        module = importlib.import_module(f"{labs.__name__}.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            here = function.__module__ == module.__name__ and not name.startswith("_")
            if here and function.__annotations__.get("return") == "Lab":
                found.append(f"{info.name}.{name}")
    return [name for name in found if not name.startswith("lab.")]


LABS = all_labs()


def make(name: str) -> labs.lab.Lab:
    """Build a lab here, to say what the browser must show."""
    module, function = name.split(".")
    return getattr(importlib.import_module(f"{labs.__name__}.{module}"), function)()


@pytest.fixture(scope="module")
def page(open_page):
    cells = [f"from coursekit.labs import {n.split('.')[0]}\n{n}()" for n in LABS]
    page = open_page("all_labs.ipynb", *cells)
    page.locator(".ck-lab").nth(len(LABS) - 1).wait_for(timeout=180_000)
    return page


@pytest.mark.parametrize("name", LABS)
def test_a_key_press_moves_picture_and_sentence(page, name):
    lab = make(name)
    panel = page.locator(".ck-lab").nth(LABS.index(name))
    sentence = panel.locator(".ck-sentence")
    expect(sentence).to_have_text(lab.sentence)
    panel.scroll_into_view_if_needed()
    before = pixels.overlay(panel)
    control = next(c for c in lab.controls.values() if c.kind == "slider")
    step = -1 if control.index(control.default) == len(control.values) - 1 else 1
    handle = panel.get_by_role("slider", name=control.label, exact=True)
    handle.focus()
    page.keyboard.press("ArrowRight" if step > 0 else "ArrowLeft")
    lab.set(**{control.name: control.values[control.index(control.default) + step]})
    expect(sentence).to_have_text(lab.sentence)
    page.wait_for_timeout(200)
    assert (pixels.overlay(panel) != before).any()
    assert pixels.difference(pixels.picture(panel), lab.png()) < 0.004
    assert not page.errors
