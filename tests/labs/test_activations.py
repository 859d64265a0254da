import numpy as np
import pytest

from coursekit.labs import activations
from coursekit.network import numerical_gradient
from tests.labs import sweep


@pytest.fixture(scope="module")
def neuron():
    return activations.explore()


@pytest.fixture(scope="module")
def layer():
    return activations.approximate()


def test_neuron_at_every_preset_end_and_corner(neuron):
    sweep.check(neuron)


def test_layer_at_every_preset_end_and_corner(layer):
    sweep.check(layer)


@pytest.mark.parametrize(
    ("preset", "sentence"),
    [
        (
            "plain sigmoid",
            "sigmoid, w = 1, b = 0: outputs from 0.018 to 0.982; it can learn from every input.",
        ),
        (
            "saturated",
            "sigmoid, w = 8, b = 0: outputs from 0.000 to 1.000; "
            "saturated, |f′| < 0.01, for 86 % of the inputs.",
        ),
        (
            "dead ReLU",
            "relu, w = 0.5, b = −3: the output is always 0.000 and its slope is 0: "
            "a dead ReLU, it learns nothing.",
        ),
        (
            "saved by a leak",
            "leaky_relu, w = 0.5, b = −3: outputs from −1.000 to −0.200; "
            "it can learn from every input.",
        ),
    ],
)
def test_each_preset_says_what_it_shows(neuron, preset, sentence):
    assert neuron.preset(preset).sentence == sentence


@pytest.mark.parametrize("name", activations.NAMES)
def test_the_slope_is_the_derivative_of_the_output(name):
    result = activations.compute(name, 1.5, -1)
    middles, step = activations.MIDDLES, 1e-6
    away = np.abs(1.5 * activations.INPUTS - 1) > 1e-3  # from the corner

    def output(x):
        return getattr(activations.activations, name)(1.5 * x - 1)

    slopes = [numerical_gradient(output, x, step).item() / 1.5 for x in activations.INPUTS[away]]
    np.testing.assert_allclose(result.slope[away], slopes, atol=1e-7)
    assert result.flat.shape == middles.shape


def test_a_neuron_without_weight_ignores_its_input(neuron):
    neuron.set(activation="sigmoid", weight=0, bias=0)
    assert "the output is always 0.500" in neuron.sentence
    assert "hardly learns" in neuron.set(activation="tanh", bias=4).sentence


def test_the_outcome_counts_the_inputs_that_learn():
    outcomes = [
        activations.outcome(activations.compute(*each))
        for each in (("linear", 1, 0), ("relu", 1, 0), ("sigmoid", 8, 0), ("relu", 0.5, -3))
    ]
    assert outcomes == list(activations.SHARES)


def test_prediction_knows_the_outcome_of_every_frame():
    lab = activations.explore(predict=True).preset("dead ReLU")
    question = lab.figure.prediction
    assert question["choices"][question["outcomes"][sweep.frame(lab)]] == "for none"


def test_the_bar_covers_the_saturated_inputs(neuron):
    stage = neuron.figure.stages["light"]
    activations.draw(activations.compute("relu", 1, 0), stage.artists)
    x, bar = stage.artists["flat"].get_data()
    assert x[np.isfinite(bar)].max() == 0
    assert x[np.isfinite(bar)].min() == -4


def test_the_layer_is_the_best_one():
    """No other output weights leave less squared error: the residual is orthogonal to them."""
    x = activations.INSIDE
    for hidden in ("relu", "tanh", "square"):
        features = activations.neuron_outputs(x, 8, hidden)
        on_grid = np.linalg.pinv(features, rcond=1e-10) @ np.sin(x)
        error = np.abs(features @ on_grid - np.sin(x)).max()
        assert activations.fit(8, hidden)[1][0] == pytest.approx(error, rel=1e-4)


def test_what_more_neurons_buy():
    """ReLU: the error falls like 1/n². A polynomial, a line, or a jump: it does not fall."""
    fits = {
        (hidden, target): activations.approximate_compute(hidden, target, 64).errors
        for hidden in activations.HIDDEN
        for target in activations.TARGETS
    }
    relu = dict(zip(activations.WIDTHS, fits["relu", "sin x"], strict=True))
    assert relu[8] / relu[32] == pytest.approx(16, rel=0.3)
    assert relu[64] < 0.001
    assert fits["tanh", "sin x"][-1] < 0.02
    assert fits["square", "sin x"].min() > 0.9
    assert fits["linear", "sin x"].min() > 0.9
    for hidden in activations.HIDDEN:
        assert fits[hidden, "a jump"].min() > 0.99


def test_the_sentence_counts_neurons_and_parameters(layer):
    sentence = layer.preset("8 neurons").sentence
    assert sentence.startswith(
        "8 relu neurons, 25 parameters: sin x with a largest error of 0.052 inside"
    )
    assert layer.set(width=1).sentence.startswith("1 relu neuron, 4 parameters")
