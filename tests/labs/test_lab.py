"""The framework itself, on a tiny lab with every kind of artist."""

from __future__ import annotations

import threading
import zlib
from typing import NamedTuple

import numpy as np
import pytest

from coursekit import plots
from coursekit.labs import learning_rate
from coursekit.labs.figure import FAR, Stage
from coursekit.labs.lab import Control, Lab, Prediction, logarithmic
from tests.labs import sweep


class Result(NamedTuple):
    y: np.ndarray


def compute(power, scale):
    return Result(scale * np.linspace(0, 1, 5) ** power)


def paint(figure):
    ax = plots.tidy(figure.subplots())
    ax.set(xlim=(0, 1), ylim=(0, 10))
    (line,) = ax.plot([], [], "--", color=plots.BLUE, marker="s")
    plots.add_halo(line)
    return {"line": line, "bars": ax.bar(np.linspace(0.1, 0.9, 5), np.ones(5), 0.1),
            "text": ax.text(0.5, 9, "")}  # fmt: skip


def draw(result, artists):
    artists["line"].set_data(np.linspace(0, 1, 5), result.y)
    for bar, height in zip(artists["bars"], result.y, strict=True):
        bar.set_height(height)
    artists["text"].set_text(f"top {result.y[-1]:g}")


def describe(result):
    return f"The top is {result.y[-1]:g}."


def make(**changes):
    options = {
        "title": "Power", "alt": "A curve.", "compute": compute, "paint": paint, "draw": draw,
        "describe": describe, "presets": {"flat": {"power": 0}},
        "controls": [Control("power", "power p", (0, 1, 2), 1),
                     Control("scale", "scale", (1.0, 10.0), 1.0)],
    }  # fmt: skip
    return Lab(**(options | changes))


def test_a_sweep_holds_every_frame():
    lab = make()
    sweep.check(lab)
    assert len(sweep.captions(lab)) == 6
    texts = zlib.decompress(lab.figure.texts).decode().split("\n")
    assert texts == ["top 1", "top 10"] * 3


def test_a_live_lab_follows_its_controls():
    lab = make(sweep=False)
    before = lab.figure.values
    lab.set(scale=10.0)
    assert lab.figure.values != before
    assert sweep.captions(lab) == ["The top is 10."]
    sweep.check(lab)


def test_a_live_lab_with_time_sends_the_whole_run():
    lab = learning_rate.explore(sweep=False)
    sweep.check(lab)


def test_live_moves_from_many_threads_end_in_the_last_state():
    """JupyterLab may deliver widget messages on another thread while a cell runs."""
    lab = make(sweep=False)

    def drag():
        for _ in range(20):
            lab.set(power=0)
            lab.set(power=2)

    threads = [threading.Thread(target=drag) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lab.set(power=1, scale=10.0)
    sweep.check_browser_frame(lab, lab.result, lab.sentence)


def test_both_themes_put_everything_at_the_same_place():
    lab = make()
    for axes in zip(*(stage.figure.axes for stage in lab.figure.stages.values()), strict=True):
        boxes = [ax.get_position().bounds for ax in axes]
        np.testing.assert_allclose(boxes[0], boxes[1])
    light, dark = lab.figure.background_light, lab.figure.background_dark
    assert b"#111111" in dark
    assert b"#111111" not in light


def test_far_away_and_missing_points_do_not_break_the_canvas():
    stage = Stage(paint)
    points = np.array([[0, 1e300], [0.5, np.inf], [1, np.nan]])
    stage.artists["line"].set_data(*points.T)
    pixels = stage.pixels([stage.coordinates()])[0, :6]
    assert abs(pixels[1]) == abs(pixels[3]) == FAR
    assert np.isnan(pixels[5])


def test_canvas_pixels_count_from_the_top_left():
    stage = Stage(paint)
    stage.artists["line"].set_data([0, 1], [10, 0])  # the corners of the axes
    left, top, width, height = stage.axes_box(0)
    corners = stage.pixels([stage.coordinates()])[0, :4]
    np.testing.assert_allclose(corners, [left, top, left + width, top + height], atol=0.01)
    assert top < 180 < top + height


def test_shorter_runs_are_filled_up_with_gaps():
    stage = Stage(paint)
    line = stage.artists["line"]
    line.set_data([0, 1], [0, 1])
    first = stage.coordinates()
    line.set_data([0], [0])
    assert np.isnan(stage.pixels([first, stage.coordinates()])[1, 2:4]).all()


def test_a_placed_prediction_knows_its_axes():
    lab = make(prediction=Prediction("Where does it end?"))
    axes = lab.figure.prediction["axes"]
    assert axes["limits"] == [0.0, 1.0]
    assert len(axes["box"]) == 4


def test_a_wrong_preset_is_found_when_the_lab_is_made():
    with pytest.raises(ValueError, match="power = 7 is not on the control"):
        make(presets={"odd": {"power": 7}})


def test_logarithmic_values_are_round():
    assert logarithmic(0.01, 1, per_decade=3) == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    assert len(logarithmic(1e-4, 1)) == 41
