import itertools

import numpy as np
import pytest

from coursekit.labs import lr_decay
from coursekit.landscapes import parabola
from coursekit.optimizers import SGD, minimize
from tests.labs import sweep


@pytest.fixture(scope="module")
def lab():
    return lr_decay.explore()


def run(noise="mini-batches", **values):
    position = {"schedule": "constant", "initial_rate": 0.4, "period": 10} | values
    return lr_decay.compute(**position, noise=noise, steps=lr_decay.STEPS)


def test_every_preset_end_and_corner(lab):
    sweep.check(lab)


@pytest.mark.parametrize("preset", lr_decay.PRESETS)
def test_without_noise_it_is_gradient_descent(preset):
    values = lr_decay.PRESETS[preset]
    schedule = lr_decay.SCHEDULES[values["schedule"]](values["initial_rate"], values["period"])
    trace = minimize(parabola(), SGD(1), 5, lr_decay.STEPS, schedule)
    result = run("none", **values)
    np.testing.assert_allclose(result.w, trace.points[:, 0], atol=1e-12)
    np.testing.assert_allclose(result.loss, trace.losses, atol=1e-12)


@pytest.mark.parametrize(
    ("preset", "outcome"),
    [
        ("constant", "jitters around −1"),
        ("exponential", "settles near −1"),
        ("staircase", "settles near −1"),
        ("piecewise", "settles near −1"),
        ("inverse time", "settles near −1"),
        ("cosine", "settles near −1"),
        ("restarts", "settles near −1"),
        ("cyclical", "jitters around −1"),
        ("warm-up", "settles near −1"),
        ("frozen", "stays far away"),
    ],
)
def test_each_preset_ends_as_it_should(preset, outcome):
    assert lr_decay.outcome(run(**lr_decay.PRESETS[preset])) == outcome


def test_there_is_a_preset_for_every_schedule(lab):
    shown = {values["schedule"] for values in lab.presets.values()}
    assert shown == set(lr_decay.SCHEDULES) == set(lr_decay.MEANING)


def test_decay_pays_with_noise_and_costs_without():
    """The story of the lecture, as the lab shows it."""
    noisy, decayed = run(), run(schedule="exponential")
    assert decayed.late < noisy.late / 3
    slow = {"initial_rate": 0.03}
    exact, frozen = run("none", **slow), run("none", schedule="exponential", **slow)
    assert exact.late < frozen.late / 10


def test_no_schedule_exceeds_its_highest_rate():
    for name, rate, period in itertools.product(
        lr_decay.SCHEDULES, lr_decay.RATES, lr_decay.PERIODS
    ):
        rates = run(schedule=name, initial_rate=rate, period=period).rates
        assert rates.max() == pytest.approx(rate)
        assert rates.min() >= 0


def test_far_too_large_a_rate_diverges_and_is_said(lab):
    lab.preset("constant").set(initial_rate=1.2)
    assert lab.sentence.endswith("it diverges.")
    assert lr_decay.outcome(lab.result) == "diverges"


@pytest.mark.parametrize(
    ("preset", "steps", "sentence"),
    [
        ("staircase", 0, "staircase, η₀ = 0.4, halves in a jump every 10 steps: "
                         "starts at w = 5.000."),
        ("piecewise", 21, "piecewise, η₀ = 0.4, a tenth after 20 steps, a hundredth after twice as "
                          "many: after 21 steps w = −1.309, last η = 0.4."),
        ("frozen", 100, "exponential, η₀ = 0.03, halves every 4 steps: after 100 steps w = 2.951, "
                        "last η = 1.06e-09; still 3.951 away from −1, it never arrived."),
    ],
)  # fmt: skip
def test_sentences(lab, preset, steps, sentence):
    assert lab.preset(preset).set(noise="mini-batches", steps=steps).sentence == sentence


def test_prediction_knows_the_outcome_of_every_frame():
    lab = lr_decay.explore(predict=True)
    question = lab.figure.prediction
    lab.preset("frozen")
    assert question["choices"][question["outcomes"][sweep.frame(lab)]] == "stays far away"
