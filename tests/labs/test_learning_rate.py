import numpy as np
import pytest

from coursekit.labs import learning_rate
from tests.labs import sweep


@pytest.fixture(scope="module")
def lab():
    return learning_rate.explore()


def test_every_preset_end_and_corner(lab):
    sweep.check(lab)


@pytest.mark.parametrize(
    ("preset", "sentence"),
    [
        ("too slow", "η = 0.0001: after 40 steps w = 4.952, loss 35.429, still creeping."),
        ("good", "η = 0.2: reaches w = −1.000 in 19 steps."),
        ("one step", "η = 0.5: reaches w = −1.000 in 1 step."),
        (
            "oscillates",
            "η = 1: after 40 steps w = 5.000, loss 36.000, "
            "jumping between 5.000 and −7.000 for ever.",
        ),
        (
            "diverges",
            "η = 1.1: after 40 steps w = 8817.629, loss 7.8 × 10⁷, "
            "farther away with every step: it diverges.",
        ),
    ],
)
def test_each_preset_says_what_it_shows(lab, preset, sentence):
    assert lab.preset(preset).sentence == sentence


def test_a_prefix_of_a_run_is_a_shorter_run():
    """The browser shows few steps by cutting a long run: that must be the same thing."""
    long, short = (learning_rate.compute(0.7, 5, steps) for steps in (60, 9))
    np.testing.assert_array_equal(long.w[:10], short.w)
    assert learning_rate.describe(long, 9) == learning_rate.describe(short, 9)


def test_arrival_is_told_at_the_step_that_arrives(lab):
    assert lab.set(learning_rate=0.2, start=5, steps=19).sentence.endswith("in 19 steps.")
    assert "after 18 steps" in lab.set(steps=18).sentence


def test_the_outcome_follows_from_the_factor():
    outcomes = [learning_rate.outcome(learning_rate.compute(rate, 5, 3))
                for rate in (1e-3, 0.2, 0.5, 0.9, 1.0, 1.01)]  # fmt: skip
    assert outcomes == ["creeps", "converges", "arrives in one step", "converges",
                        "oscillates for ever", "diverges"]  # fmt: skip


def test_the_start_at_the_minimum_stays_there(lab):
    assert "nothing moves" in lab.set(start=-1, learning_rate=1.5).sentence


def test_prediction_knows_the_outcome_of_every_frame():
    lab = learning_rate.explore(predict=True)
    question = lab.figure.prediction
    lab.preset("oscillates")
    assert question["choices"][question["outcomes"][sweep.frame(lab)]] == "oscillates for ever"


def test_a_value_that_is_not_on_the_panel_is_refused(lab):
    with pytest.raises(ValueError, match="not on the control"):
        lab.set(learning_rate=0.123)
    with pytest.raises(ValueError, match="No control 'rate'"):
        lab.set(rate=0.1)
    with pytest.raises(ValueError, match="There are: too slow, good"):
        lab.preset("slow")
