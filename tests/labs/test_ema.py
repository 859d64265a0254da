import numpy as np
import pytest
from scipy import signal

from coursekit import datasets
from coursekit.labs import ema
from tests.labs import sweep


@pytest.fixture(scope="module")
def lab():
    return ema.explore()


def test_every_preset_end_and_corner(lab):
    sweep.check(lab)


@pytest.mark.parametrize(
    ("preset", "sentence"),
    [
        (
            "β = 0.5",
            "β = 0.5: window 2, lag 1 samples, error 0.175 (data: 0.300). "
            "At sample 300 the weights sum to 1.000.",
        ),
        (
            "β = 0.9",
            "β = 0.9: window 10, lag 9 samples, error 0.142 (data: 0.300). "
            "At sample 300 the weights sum to 1.000.",
        ),
        (
            "β = 0.98",
            "β = 0.98: window 50, lag 44 samples, error 0.416 (data: 0.300). "
            "At sample 300 the weights sum to 0.998.",
        ),
        (
            "β = 0.999",
            "β = 0.999: window 1000, lag 118 samples, error 0.707 (data: 0.300). "
            "At sample 300 the weights sum to 0.259.",
        ),
        (
            "the start",
            "β = 0.98: window 50, lag 44 samples, error 0.416 (data: 0.300). "
            "At sample 10 the weights sum to 0.183.",
        ),
        (
            "the start, corrected",
            "β = 0.98, corrected: window 50, lag 44 samples, error 0.386 (data: 0.300). "
            "At sample 10 the weights sum to 1.000.",
        ),
    ],
)
def test_each_preset_says_what_it_shows(lab, preset, sentence):
    assert lab.preset(preset).sentence == sentence


@pytest.mark.parametrize("beta", ema.BETAS)
def test_the_average_is_the_filter_that_scipy_computes(beta):
    curve = datasets.noisy_cosine()
    expected = signal.lfilter([1 - beta], [1, -beta], curve.noisy)
    result = ema.compute(beta, False, 300)
    np.testing.assert_allclose(result.average, expected, atol=1e-12)
    rmse = np.sqrt(np.mean((expected - curve.clean) ** 2))
    assert result.error == pytest.approx(rmse)


def test_the_usual_betas_are_on_the_panel_and_well_apart():
    positions = [ema.BETAS.index(beta) for beta in (0.5, 0.9, 0.98, 0.99, 0.999)]
    assert np.diff(positions).min() >= 2
    windows = 1 / (1 - np.array(ema.BETAS))
    assert (windows[1:] / windows[:-1]).max() <= 2.5 + 1e-9


def test_all_outcomes_can_happen():
    def outcome(beta):
        return ema.outcome(ema.compute(beta, False, 1))

    assert [outcome(beta) for beta in (0.9, 0.5, 0.0, 0.98)] == list(ema.OUTCOMES)


def test_the_prediction_knows_the_outcome_of_every_frame():
    lab = ema.explore(predict=True).preset("β = 0.98")
    question = lab.figure.prediction
    assert question["choices"][question["outcomes"][sweep.frame(lab)]] == "a larger error"


def test_weights_before_the_first_sample_fall_on_the_start(lab):
    lab.preset("the start")
    lab.png()  # draws the present position
    seen, missing = (lab.figure.stages["light"].artists[name].get_xdata()
                     for name in ("weights", "missing"))  # fmt: skip
    assert seen[0] == 0
    assert seen[-1] == missing[0] == 9  # ten samples so far: ages 0 to 9
    lab.preset("the start, corrected").png()
    assert not len(lab.figure.stages["light"].artists["missing"].get_xdata())
