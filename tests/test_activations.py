import math

import numpy as np
import pytest
from scipy import special, stats

from coursekit import activations
from coursekit.network import numerical_gradient
from tests.reference import REFERENCE

NAMES = ["linear", "relu", "leaky_relu", "elu", "softplus", "gelu", "silu", "sigmoid", "tanh"]
each = pytest.mark.parametrize("f", [getattr(activations, name) for name in NAMES], ids=NAMES)

X = np.concatenate([np.random.default_rng(0).normal(0, 5, 500), [-1e4, -800, 0, 800, 1e4]])


def test_values_of_the_sources():
    expected = REFERENCE["activations"]
    for name in ("sigmoid", "tanh", "relu"):
        values = getattr(activations, name)(expected["x"])
        np.testing.assert_allclose(values, expected[name], atol=1e-7)
    grid = np.linspace(-5, 5, 1001)
    for name in ("sigmoid", "tanh"):
        largest = getattr(activations, name).derivative(grid).max()
        assert largest == pytest.approx(expected[f"{name}_prime_max"], abs=1e-12)
    for layers in (5, 10):
        vanished = activations.sigmoid.derivative(0) ** layers
        assert vanished == expected["vanish"][f".25^{layers}"]


def test_ranges():
    x = np.linspace(-30, 30, 601)
    assert ((activations.sigmoid(x) > 0) & (activations.sigmoid(x) < 1)).all()
    assert (np.abs(activations.tanh(x[np.abs(x) < 18])) < 1).all()
    assert activations.relu(x).min() == 0


@pytest.mark.parametrize(
    ("name", "oracle"),
    {
        "sigmoid": special.expit,
        "softplus": lambda x: -special.log_expit(-x),
        "gelu": lambda x: x * special.ndtr(x),
        "silu": lambda x: x * special.expit(x),
        "tanh": lambda x: special.expit(2 * x) - special.expit(-2 * x),
        "elu": lambda x: np.where(x < 0, special.expm1(np.minimum(x, 0)), x),
    }.items(),
)
def test_scipy_agrees(name, oracle):
    np.testing.assert_allclose(getattr(activations, name)(X), oracle(X), rtol=1e-12, atol=1e-300)


def test_scipy_agrees_with_derivatives():
    gelu_slope = special.ndtr(X) + X * stats.norm.pdf(X)
    np.testing.assert_allclose(activations.gelu.derivative(X), gelu_slope, rtol=1e-9, atol=1e-300)
    sigmoid_slope = special.expit(X) * special.expit(-X)
    np.testing.assert_allclose(activations.sigmoid.derivative(X), sigmoid_slope, rtol=1e-12)
    np.testing.assert_allclose(activations.softplus.derivative(X), special.expit(X), rtol=1e-12)


@each
def test_derivative_is_the_slope(f):
    x = np.random.default_rng(1).uniform(-6, 6, 300)
    x = x[np.abs(x) > 1e-3]  # away from corners
    measured = np.array([numerical_gradient(f, value) for value in x])
    np.testing.assert_allclose(f.derivative(x), measured, atol=1e-8)


@each
def test_any_shape(f):
    assert f([[1, 2, 3]]).shape == (1, 3)
    assert f.derivative([[1, 2, 3]]).shape == (1, 3)
    assert f([]).shape == (0,)
    assert isinstance(f(1), float)
    assert isinstance(f.derivative(1), float)
    x = np.array([-1.0, 2.0])
    f(x)[0] = 99
    assert x.tolist() == [-1, 2]
    assert f.__doc__


def test_constants():
    assert activations.leaky_relu(-2, negative_slope=0.01) == pytest.approx(-0.02)
    assert activations.leaky_relu(-2, 0.01) == pytest.approx(-0.02)
    assert activations.leaky_relu.derivative(-2, negative_slope=0.01) == 0.01
    assert activations.elu(-1, alpha=2) == pytest.approx(2 * (1 / math.e - 1))
    assert activations.elu.derivative(-1, alpha=2) == pytest.approx(2 / math.e)


def test_a_dead_relu_has_no_slope():
    assert activations.relu.derivative([-3, 0, 3]).tolist() == [0, 0, 1]


def test_softmax_of_the_source():
    expected = REFERENCE["softmax"]
    p = activations.softmax(expected["y"])
    np.testing.assert_allclose(p, expected["p"], atol=expected["tol"])
    np.testing.assert_allclose(p, expected["published"], atol=expected["tol"])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_agrees_with_scipy(axis):
    logits = np.random.default_rng(2).normal(0, 300, (300, 5))
    logits[0] = [1000, -1000, 1000, 0, 999]
    logits[1] = [0, -np.inf, 1, 2, 3]
    p = activations.softmax(logits, axis=axis)
    np.testing.assert_allclose(p, special.softmax(logits, axis=axis), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(p.sum(axis=axis), 1)


@pytest.mark.parametrize(("logits", "axis"), [(3, -1), ([1, 2], 1), ([], -1), (np.ones((3, 0)), 1)])
def test_softmax_bad_input(logits, axis):
    with pytest.raises(ValueError, match="at least one class"):
        activations.softmax(logits, axis)


@each
@pytest.mark.parametrize("bad", ["high", [[1, 2], [3]], [None, "x"]], ids=str)
def test_what_is_no_array_of_numbers_is_refused_in_one_line(f, bad):
    for call in (f, f.derivative):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            call(bad)
