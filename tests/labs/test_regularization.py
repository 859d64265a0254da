import numpy as np
import pytest

from coursekit.labs import regularization
from coursekit.labs.regularization import LAMBDAS, NOISES, WIDTHS
from tests.labs import sweep


@pytest.fixture(scope="module")
def lab():
    return regularization.explore()


def test_every_preset_end_and_corner(lab):
    sweep.check(lab)


@pytest.mark.parametrize(
    ("preset", "ending"),
    [
        ("too small", "It underfits."),
        ("memorises", "It overfits."),
        ("L2 helps", "It fits well."),
        ("L1 helps", "It fits well."),
        ("dropout helps", "It fits well."),
        ("too strong", "It underfits. The whole plane has one colour."),
    ],
)
def test_each_preset_shows_what_it_says(lab, preset, ending):
    assert lab.preset(preset).sentence.endswith(ending)


def test_prediction_knows_the_outcome_of_every_frame():
    lab = regularization.explore(predict=True)
    question = lab.figure.prediction
    lab.preset("memorises")
    assert question["choices"][question["outcomes"][sweep.frame(lab)]] == "overfits"


def test_live_is_the_same_lab():
    live = regularization.explore(sweep=False)
    live.preset("L1 helps")
    sweep.check_browser_frame(live, live.result, live.sentence)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_stored_networks_are_what_training_gives(width):
    """A sample, with each noise, penalty and dropout; other processors round otherwise."""
    sample = [(0.0, 0.2, "L1", 0.001), (0.1, 0.5, "L2", 0.003), (0.2, 0.0, "L2", 0.01)]
    trained = regularization.train(width, sample)
    rows = [regularization.settings().index(setting) for setting in sample]
    stored = regularization.stored()[f"losses_{width}"][rows]
    np.testing.assert_allclose(regularization.measure(trained, sample), stored, atol=0.003)


def test_the_stored_losses_are_those_of_the_stored_networks():
    for width in WIDTHS:
        stored = regularization.stored()
        networks = regularization.ensembles.Ensemble(stored[f"theta_{width}"], 2, width)
        every_ninth = range(0, len(regularization.settings()), 9)
        sample = networks._replace(theta=networks.theta[every_ninth])
        losses = regularization.measure(sample, [regularization.settings()[i] for i in every_ninth])
        np.testing.assert_allclose(losses, stored[f"losses_{width}"][every_ninth], rtol=1e-4)


def test_no_network_beats_the_noise_on_fresh_dots():
    for width in WIDTHS:
        fresh = regularization.stored()[f"losses_{width}"][:, 1]
        floor = np.array([noise * (1 - noise) for noise, *_ in regularization.settings()])
        assert np.all(fresh > floor)


def test_a_strong_penalty_leaves_the_constant():
    for noise in NOISES:
        _, y = regularization.training_data(noise)
        result = regularization.compute(noise, 50, 0.0, "L1", LAMBDAS[-1])
        assert result.training[-1] == pytest.approx(y.var(), abs=0.002)


def test_the_boundary_lies_where_the_output_is_a_half():
    points = regularization.compute(0.2, 50, 0.0, "L2", 0.003).boundary
    index = regularization.settings().index((0.2, 0.0, "L2", 0.003))
    theta = regularization.stored()["theta_50"][index : index + 1]
    network = regularization.ensembles.Ensemble(theta, 2, 50)
    points = points[~np.isnan(points).any(axis=1)]
    assert np.abs(network.predict(points) - 0.5).max() < 0.05  # linear between grid points
