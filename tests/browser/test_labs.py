"""Labs in real JupyterLab: what the student sees, drags and hears."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from coursekit.labs import learning_rate
from tests.browser import pixels
from tests.browser.jupyter import command, sentence, slider

pytestmark = pytest.mark.browser

OPEN = "from coursekit.labs import learning_rate\nlearning_rate.explore({})"


def ready(page, label="learning rate η"):
    handle = slider(page, label)
    handle.wait_for(timeout=90_000)
    expect(sentence(page)).not_to_be_empty()
    return handle


def press(page, handle, key, times=1):
    handle.focus()
    for _ in range(times):
        page.keyboard.press(key)


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


@pytest.fixture(scope="module")
def page(open_page):
    page = open_page("learning_rate.ipynb", OPEN.format(""))
    ready(page)
    return page


@pytest.fixture
def fresh(page):
    """The shared page, reset."""
    button(page, "Reset").click()
    expect(sentence(page)).to_contain_text("η = 0.2: reaches")
    return page


@pytest.mark.parametrize("dpr", [1, 2])
def test_the_overlay_looks_as_matplotlib_paints_it(open_page, dpr):
    page = open_page(f"dpr{dpr}.ipynb", OPEN.format(""), dpr=dpr)
    ready(page)
    lab = learning_rate.explore()
    other = lab.preset("too slow").png()
    for preset in ("good", "oscillates"):
        button(page, preset).click()
        lab.preset(preset)
        expect(sentence(page)).to_have_text(lab.sentence)
        page.wait_for_timeout(100)
        shot = pixels.picture(page)
        assert shot.shape[1] == 800 * dpr
        right, wrong = pixels.difference(shot, lab.png()), pixels.difference(shot, other)
        assert right < 0.002
        assert wrong > 3 * right, "the comparison does not see the moving artists"


def test_keys_move_the_picture_and_leave_the_axes_alone(fresh):
    handle = ready(fresh)
    before, axes = pixels.overlay(fresh), pixels.picture(fresh)[-40:]
    press(fresh, handle, "ArrowRight", 4)
    expect(sentence(fresh)).to_contain_text("η = 0.5: reaches w = −1.000 in 1 step.")
    fresh.wait_for_timeout(100)
    assert (pixels.overlay(fresh) != before).any()
    assert (pixels.picture(fresh)[-40:] == axes).all()
    assert not fresh.errors


def test_the_mouse_drags_a_slider(fresh):
    box = ready(fresh).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fresh.mouse.move(x, y)
    fresh.mouse.down()
    fresh.mouse.move(x + 60, y, steps=5)
    fresh.mouse.up()
    expect(sentence(fresh)).not_to_contain_text("η = 0.2:")


def test_steps_show_a_part_of_the_run(fresh):
    handle = slider(fresh, "steps")
    press(fresh, handle, "Home")
    expect(sentence(fresh)).to_have_text("η = 0.2: starts at w = 5.000, loss 36.000.")
    button(fresh, "Step").click()
    expect(sentence(fresh)).to_contain_text("after 1 step w = 2.600, loss 12.960")


def test_play_runs_and_pauses(fresh):
    press(fresh, slider(fresh, "steps"), "Home")
    button(fresh, "▶ Play").click()
    expect(sentence(fresh)).to_contain_text("after")
    button(fresh, "❚❚ Pause").click()
    still = sentence(fresh).text_content()
    fresh.wait_for_timeout(400)
    assert sentence(fresh).text_content() == still


def test_reduced_motion_jumps_to_the_end(open_page):
    page = open_page("still.ipynb", OPEN.format(""), reduced_motion="reduce")
    ready(page)
    button(page, "too slow").click()
    button(page, "▶ Play").click()
    expect(sentence(page)).to_contain_text("after 60 steps")


def test_a_pinned_run_stays_in_grey(fresh):
    button(fresh, "Pin this run").click()
    expect(fresh.locator(".ck-figure .ck-pinned")).to_contain_text("η = 0.2: reaches")
    press(fresh, ready(fresh), "ArrowRight", 6)
    fresh.wait_for_timeout(100)
    seen = pixels.overlay(fresh)
    grey = (abs(seen[..., :3].astype(int) - 0x7F) < 3).all(axis=2) & (seen[..., 3] == 255)
    assert grey.sum() > 20
    button(fresh, "Remove pin").click()
    expect(fresh.locator(".ck-figure .ck-pinned")).to_be_empty()


def test_screen_readers_hear_names_values_and_result(fresh):
    handle = ready(fresh)
    press(fresh, handle, "ArrowRight")
    assert handle.get_attribute("aria-label") == "learning rate η"
    assert handle.get_attribute("aria-valuetext") == "0.25"
    assert sentence(fresh).get_attribute("aria-live") == "polite"
    panel = fresh.get_by_role("group", name="Learning rate on a parabola")
    assert panel.get_by_role("slider").count() == 3
    assert panel.get_by_role("img").get_attribute("aria-label").startswith("Left: the parabola")


def test_single_keys_do_not_reach_the_notebook(open_page):
    page = open_page("keys.ipynb", OPEN.format(""), "'a second cell'")
    handle = ready(page)
    press(page, handle, "b")
    page.wait_for_timeout(200)
    assert page.locator(".jp-Cell").count() == 2
    press(page, handle, "d", times=2)
    button(page, "Step").focus()
    page.keyboard.press("a")
    page.wait_for_timeout(200)
    assert page.locator(".jp-Cell").count() == 2
    expect(handle).to_be_visible()


def test_focus_can_be_seen(fresh):
    press(fresh, ready(fresh), "ArrowRight")
    style = "e => getComputedStyle(e).outlineStyle"
    assert ready(fresh).evaluate(style) == "solid"


def test_the_dark_theme_paints_dark(open_page):
    page = open_page("dark.ipynb", OPEN.format(""), theme="dark")
    ready(page)
    page.wait_for_timeout(300)
    shot = pixels.picture(page)
    assert shot[3, 3].max() < 40
    assert shot.max() > 200, "labels must be bright"
    page.evaluate(
        "jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})"
    )
    page.wait_for_function("document.body.dataset.jpThemeLight === 'true'")
    page.wait_for_timeout(300)
    assert pixels.picture(page)[3, 3].min() > 240


def test_a_choice_is_asked_before_the_picture_is_shown(open_page):
    page = open_page("predict.ipynb", OPEN.format("predict=True"))
    ready(page)
    expect(sentence(page)).to_have_text("Predict first. The picture waits for you.")
    button(page, "diverges").first.click()  # a preset of this name: asks again, shows nothing
    expect(sentence(page)).to_have_text("Predict first. The picture waits for you.")
    question = page.locator(".ck-question")
    question.get_by_role("button", name="converges").click()
    expect(question).to_contain_text("You predicted “converges”. It is “diverges”. Why?")
    expect(sentence(page)).to_contain_text("it diverges")
    question.get_by_role("button", name="Predict again").click()
    question.get_by_role("button", name="diverges").click()
    expect(question).to_contain_text("Right: you predicted “diverges”.")


def test_a_mark_is_placed_before_the_picture_is_shown(open_page):
    page = open_page(
        "place.ipynb",
        "from coursekit.labs import learning_rate as module\n"
        "from coursekit.labs.lab import Prediction\n"
        "module.Prediction = lambda *_: Prediction('Where is w after 40 steps?')\n"
        "module.explore(predict=True)",
    )
    ready(page)
    expect(page.locator(".ck-question")).to_contain_text("Click in the picture to place it.")
    box = page.locator(".ck-picture").bounding_box()
    page.mouse.click(box["x"] + 262, box["y"] + 200)
    expect(page.locator(".ck-question")).to_contain_text("You placed ")
    expect(sentence(page)).to_contain_text("reaches w = −1.000")


def test_a_lab_stays_alive_without_its_kernel(open_page):
    page = open_page("dead.ipynb", OPEN.format(""))
    handle = ready(page)
    command(page, "kernelmenu:shutdown")
    page.wait_for_timeout(500)
    press(page, handle, "ArrowRight", 4)
    expect(sentence(page)).to_contain_text("η = 0.5: reaches w = −1.000 in 1 step.")
    button(page, "oscillates").click()
    expect(sentence(page)).to_contain_text("for ever")


def test_a_saved_notebook_shows_the_picture_when_its_kernel_is_gone(open_page):
    page = open_page("saved.ipynb", OPEN.format(""))
    ready(page)
    button(page, "oscillates").click()
    command(page, "docmanager:save")
    page.reload()  # the kernel still runs: the panel is back, alive
    ready(page)
    command(page, "kernelmenu:shutdown")
    page = open_page("saved.ipynb", run=False)
    saved = page.locator(".jp-OutputArea-output img")
    expect(saved).to_be_visible()
    assert page.locator(".jp-OutputArea-output").inner_text().strip() == ""


BUSY = """import time
end = time.time() + {seconds}
while time.time() < end:
    time.sleep(0.01)
print("the cell is over", panel.values["learning_rate"])"""


def test_labs_survive_a_running_cell(open_page):
    """A sweep answers at once; a live lab at the latest when the cell is over.

    Depending on their versions, JupyterLab and ipykernel deliver a widget's messages during the
    cell, on another thread, or after it.
    """
    page = open_page(
        "busy.ipynb",
        "from coursekit.labs import learning_rate\n"
        "panel = learning_rate.explore(sweep=False)\n"
        "panel",
        "learning_rate.explore()",
        BUSY.format(seconds=8),
    )
    page.locator(".ck-sentence").nth(1).wait_for(timeout=90_000)
    over = page.locator(".jp-OutputArea-output", has_text="the cell is over")
    live, sweep = page.locator(".ck-lab").nth(0), page.locator(".ck-lab").nth(1)
    for panel in (live, sweep):
        panel.get_by_role("button", name="oscillates").click()
    expect(sweep.locator(".ck-sentence")).to_contain_text("for ever")
    assert not over.count(), "the cell ended too early for this test to say anything"
    expect(over).to_be_visible()
    expect(live.locator(".ck-sentence")).to_contain_text("for ever")
    press(page, live.get_by_role("slider", name="learning rate η"), "Home")
    expect(live.locator(".ck-sentence")).to_contain_text("η = 0.0001")
    assert not page.errors
