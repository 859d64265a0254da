"""Lecture 11's widgets in real JupyterLab: curves that grow, a run that is stopped, the pad."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.jupyter import command, slider

pytestmark = pytest.mark.browser

SETUP = """
from coursekit import datasets, training
from coursekit.labs import learning_rate, sequential_mnist
import keras
training.make_deterministic(0)
digits = datasets.digits("uci")
x, y = digits.x_train / 255, digits.y_train
model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(),
    keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
training.fit(model, x, y, epochs=30, batch_size=64)
sequential_mnist.drawing_pad(model, digits.x_test[0])"""
STOPPED = """
curves = sequential_mnist.live_curves()
result = training.fit(model, x, y, epochs=100_000, batch_size=64, validation_split=0.2,
                      callbacks=[curves])
print("epochs kept:", len(result.history["loss"]) == result.epochs > 0)"""


ROWS_WITH_INK = """(() => {
    const canvas = document.querySelector(".ck-seen");
    const { data } = canvas.getContext("2d").getImageData(0, 0, 28, 28);
    const rows = [...Array(28).keys()];
    return rows.filter((r) => rows.some((c) => data[4 * (28 * r + c)] > 40)).length;
})()"""


@pytest.fixture(scope="module")
def page(open_page):
    page = open_page("digits.ipynb", SETUP, "learning_rate.explore()", STOPPED)
    page.locator(".ck-paper").wait_for(timeout=120_000)
    return page


def stroke(page, *points):
    box = page.locator(".ck-paper").bounding_box()
    places = [(box["x"] + x, box["y"] + y) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def test_training_shows_curves_labs_move_and_a_stop_keeps_the_model(page):
    curves = page.locator(".ck-figure", has=page.locator("[aria-label^='Left: the loss over']"))
    words = curves.locator(".ck-sentence")
    expect(words).to_contain_text("of 100000, loss", timeout=60_000)
    first = words.text_content()
    lab = page.get_by_role("group", name="Learning rate on a parabola")
    handle = slider(page, "learning rate η")
    handle.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(lab.locator(".ck-sentence")).to_contain_text("η = 0.5: reaches w = −1.000 in 1 step.")
    expect(words).not_to_have_text(first)
    command(page, "notebook:interrupt-kernel")
    expect(page.get_by_text("stopped after")).to_be_visible()
    expect(page.get_by_text("epochs kept: True")).to_be_visible()
    expect(words).to_contain_text("Stopped; the model keeps what it has learned")
    assert not page.errors


def test_a_drawn_one_is_read_and_shown_as_the_network_sees_it(page):
    page.locator(".ck-paper").scroll_into_view_if_needed()
    stroke(page, (140, 40), (140, 240))
    words = page.locator(".ck-pad .ck-sentence")
    expect(words).to_contain_text("The network reads 1")
    page.wait_for_function(ROWS_WITH_INK + " === 20")  # MNIST's box
    page.get_by_role("button", name="Clear").click()
    expect(words).to_have_text("Draw a digit from 0 to 9.")


def test_the_keyboard_draws_too(page):
    page.locator(".ck-paper").focus()
    for key in ["ArrowUp"] * 6 + [" "] + ["ArrowDown"] * 12 + [" "]:
        page.keyboard.press(key)
    expect(page.locator(".ck-pad .ck-sentence")).to_contain_text("The network reads 1")
    cells = page.locator(".jp-Cell").count()
    page.keyboard.press("b")
    page.keyboard.press("Delete")
    expect(page.locator(".ck-pad .ck-sentence")).to_have_text("Draw a digit from 0 to 9.")
    assert page.locator(".jp-Cell").count() == cells
