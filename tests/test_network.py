import numpy as np
import pytest
from scipy import optimize

from coursekit import activations
from coursekit.losses import mean_squared_error
from coursekit.network import (
    DenseNetwork,
    count_multiply_adds,
    count_parameters,
    numerical_gradient,
)
from tests.reference import REFERENCE


def test_counts_of_the_sources():
    expected = REFERENCE["param_counts"]
    assert count_parameters([3, 4, 2]) == expected["net_3_4_2"]
    assert count_multiply_adds([3, 4, 2]) == expected["macs_3_4_2"]
    assert count_parameters([2, 2, 1], bias=False) == expected["net_2_2_1_weights_only"]
    assert count_parameters([2, 11, 1]) == expected["net_2_11_1"]
    assert count_parameters([4, 3]) == expected["iris_4_3"]
    assert count_parameters((784, 128, 10)) == expected["mnist_784_128_10"]
    layers = [count_parameters([784, 128]), count_parameters([128, 10])]
    assert layers == expected["mnist_layers"]
    assert count_parameters([784, 500, 10]) == expected["mnist_784_500_10"]


def test_a_network_has_as_many_parameters_as_counted():
    rng = np.random.default_rng(0)
    for bias in (True, False):
        network = DenseNetwork([5, 7, 3, 2], rng, bias=bias)
        arrays = network.weights + network.biases
        assert sum(a.size for a in arrays) == count_parameters([5, 7, 3, 2], bias)


def network_of_the_source():
    expected = REFERENCE["backprop_2_2_1"]
    network = DenseNetwork(
        [2, 2, 1],
        np.random.default_rng(0),
        activation=activations.linear,
        output_activation=activations.sigmoid,
        bias=False,
    )
    # The source writes one neuron in each row; here and in Keras it is a column.
    network.weights = [np.transpose(expected["W1"]), np.reshape(expected["w2"], (2, 1))]
    return network, np.array([expected["x"]]), np.array([[expected["y"]]]), expected


def test_back_propagation_of_the_source():
    network, x, y, expected = network_of_the_source()
    forward = network.forward(x)
    np.testing.assert_allclose(forward.signals[1], [expected["h"]], atol=1e-12)
    assert forward.sums[1] == pytest.approx(expected["z"], abs=1e-12)
    assert forward.output == pytest.approx(expected["out"], abs=1e-7)
    assert mean_squared_error(y, forward.output) == pytest.approx(expected["loss"], abs=1e-7)

    gradients = network.backward(forward, 2 * (forward.output - y) / y.size)
    np.testing.assert_allclose(gradients.weights[0].T, expected["grad_W1"], atol=1e-6)
    np.testing.assert_allclose(gradients.weights[1][:, 0], expected["grad_w2"], atol=1e-6)
    for layer, gradient in enumerate(gradients.weights):

        def loss(w, layer=layer):
            changed = network_of_the_source()[0]
            changed.weights[layer] = w
            return mean_squared_error(y, changed.forward(x).output)

        measured = numerical_gradient(loss, network.weights[layer])
        np.testing.assert_allclose(gradient, measured, atol=1e-9)

    network.weights = [w - 0.1 * g for w, g in zip(network.weights, gradients.weights, strict=True)]
    loss_after = mean_squared_error(y, network.forward(x).output)
    assert loss_after == pytest.approx(expected["loss_after_gd_lr0_1"], abs=1e-7)


def yogurt():
    """Draw the sales of the source."""
    rng = np.random.RandomState(REFERENCE["yogurt_data"]["seed"])
    x = rng.rand(32, 2)
    y = [[x1 + x2 + rng.rand() / 10 - 0.05] for x1, x2 in x]
    return x, np.array(y)


def train_on_yogurt(steps, loss_gradient):
    """Yield the two weights after each step, with batches of 8 in the order of the source."""
    x, y = yogurt()
    network = DenseNetwork([2, 1], np.random.default_rng(0), bias=False)
    network.weights = [np.reshape(REFERENCE["yogurt_mse"]["w_init"], (2, 1))]
    for step in range(steps):
        batch = slice(8 * step % 32, 8 * step % 32 + 8)
        forward = network.forward(x[batch])
        gradients = network.backward(forward, loss_gradient(forward.output, y[batch]))
        network.weights = [network.weights[0] - 0.001 * gradients.weights[0]]
        yield network.weights[0][:, 0]


def test_training_on_yogurt_of_the_source():
    expected = REFERENCE["yogurt_mse"]
    run, tol = expected["gd_lr0_001_batch8_20000"], expected["tol"]
    weights = list(train_on_yogurt(20000, lambda output, y: 2 * (output - y) / y.size))
    for step, values in run["after_step_index"].items():
        np.testing.assert_allclose(weights[int(step)], values, atol=tol)
    np.testing.assert_allclose(weights[-1], run["final"], atol=tol)
    np.testing.assert_allclose(weights[-1], run["published"], atol=tol)


@pytest.mark.parametrize(("name", "cost", "profit"), [("1/9", 1, 9), ("9/1", 9, 1)])
def test_training_with_asymmetric_loss_of_the_source(name, cost, profit):
    expected = REFERENCE["yogurt_custom_loss"]

    def gradient(output, y):
        return np.where(output > y, float(cost), -float(profit))

    *_, weights = train_on_yogurt(3000, gradient)
    final = expected["sgd_lr0_001_batch8_3000"][name]
    np.testing.assert_allclose(weights, final, atol=expected["tol"])


def test_batch_order_does_not_matter_to_the_gradient():
    rng = np.random.default_rng(0)
    network = DenseNetwork([3, 8, 2], rng, activation=activations.tanh)
    x, g = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    gradients = network.backward(network.forward(x), g)
    backwards = network.backward(network.forward(x[::-1]), g[::-1])
    for a, b in zip(gradients.weights, backwards.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_allclose(gradients.inputs, backwards.inputs[::-1])
    assert gradients.biases[0].shape == (8,)


def test_forward_keeps_the_inputs_unchanged():
    x = np.ones((2, 3))
    forward = DenseNetwork([3, 2], np.random.default_rng(0)).forward(x)
    forward.output[:] = 99
    assert (x == 1).all()


def test_huge_inputs_give_no_warning():
    network = DenseNetwork([1, 1], np.random.default_rng(0))
    forward = network.forward([[1e308]])
    network.weights = [np.array([[10.0]])]
    assert network.forward([[1e308]]).output == np.inf
    network.backward(forward, [[1e308]])


def test_numerical_gradient_agrees_with_scipy():
    rng = np.random.default_rng(0)
    for x in rng.uniform(-1.5, 1.5, (200, 4)):
        slope = numerical_gradient(optimize.rosen, x)
        np.testing.assert_allclose(slope, optimize.rosen_der(x), atol=1e-6)
    matrix = rng.normal(size=(3, 2))
    np.testing.assert_allclose(numerical_gradient(lambda a: (a**2).sum(), matrix), 2 * matrix)
    assert numerical_gradient(lambda w: (w + 1) ** 2, 5.0) == pytest.approx(12)


def test_numerical_gradient_leaves_x_alone():
    x = np.array([1.0, 2.0])

    def f(w):
        w *= 2
        return w.sum()

    numerical_gradient(f, x)
    assert x.tolist() == [1, 2]


def test_forward_difference_of_the_source():
    expected = REFERENCE["derivative_step"]["x2"]
    for setting, (rise, linear) in expected.items():
        x, epsilon = (float(part.split("=")[1]) for part in setting.split(","))
        assert (x + epsilon) ** 2 - x**2 == pytest.approx(rise)
        # The central difference of a square is exact: the error ε² of one side cancels.
        slope = numerical_gradient(lambda w: w**2, x, epsilon)
        assert slope * epsilon == pytest.approx(linear)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_parameters([784]), "at least inputs and outputs"),
        (lambda: count_parameters(784), "at least inputs and outputs"),
        (lambda: count_parameters([784, 0]), "whole number, 1 or above"),
        (lambda: count_parameters([784, -5, 10]), "whole number, 1 or above"),
        (lambda: count_multiply_adds([784, 1.5]), "whole number, 1 or above"),
        (lambda: numerical_gradient(sum, [1.0], 0), "epsilon must"),
        (lambda: numerical_gradient(lambda x: x, [1.0, 2.0]), "one number"),
        (lambda: DenseNetwork([2, 1], None), "pass np.random.default_rng"),
        (
            lambda: DenseNetwork(
                [2, 1], np.random.default_rng(0), output_activation=activations.softmax
            ),
            "softmax_cross_entropy",
        ),
        (lambda: DenseNetwork([2, 1], np.random.default_rng(0)).forward([1, 2]), "one sample in"),
        (lambda: DenseNetwork([2, 1], np.random.default_rng(0)).forward([[1]]), "one sample in"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_output_gradient():
    network = DenseNetwork([2, 1], np.random.default_rng(0))
    forward = network.forward(np.ones((5, 2)))
    with pytest.raises(ValueError, match="shape of the output"):
        network.backward(forward, np.ones(5))
