import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from coursekit.activations import softmax
from coursekit.losses import (
    asymmetric_loss,
    cross_entropy,
    kl_divergence,
    mean_squared_error,
    softmax_cross_entropy,
)
from tests.reference import REFERENCE


def yogurt():
    """Draw the sales of the source."""
    rng = np.random.RandomState(REFERENCE["yogurt_data"]["seed"])
    x = rng.rand(32, 2)
    y = [[x1 + x2 + rng.rand() / 10 - 0.05] for x1, x2 in x]
    return x, np.array(y)


def random_probabilities(n=300, classes=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), n)


def test_mean_squared_error_of_yogurt():
    x, y = yogurt()
    expected = REFERENCE["yogurt_mse"]
    best, *_ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(best[:, 0], expected["ols_no_bias"], atol=1e-7)
    assert mean_squared_error(y, x @ best) == pytest.approx(expected["ols_mse"], abs=1e-12)
    at_1_1 = mean_squared_error(y, x @ [[1], [1]])
    assert at_1_1 == pytest.approx(expected["mse_at_1_1"], abs=1e-12)


def test_mean_squared_error_of_labels():
    expected = REFERENCE["cross_entropy_binary"]
    for p, mse in zip(expected["p"], expected["mse"], strict=True):
        assert mean_squared_error(expected["y_"], p) == pytest.approx(mse, abs=1e-12)


@pytest.mark.parametrize(("name", "cost", "profit"), [("1/9", 1, 9), ("9/1", 9, 1)])
def test_asymmetric_loss_of_yogurt(name, cost, profit):
    x, y = yogurt()
    expected = REFERENCE["yogurt_custom_loss"]
    weights, lowest = expected["lp_optimum"][name]
    loss = asymmetric_loss(y, x @ np.reshape(weights, (2, 1)), cost, profit)
    assert loss == pytest.approx(lowest, abs=1e-6)
    for others in (expected["sgd_lr0_001_batch8_3000"][name], [1, 1]):
        assert asymmetric_loss(y, x @ np.reshape(others, (2, 1)), cost, profit) > loss
    # SciPy solves the same as a linear programme: cost · over + profit · under → minimum.
    eye = np.eye(32)
    solution = optimize.linprog(
        c=np.r_[np.zeros(2), np.full(32, cost), np.full(32, profit)],
        A_eq=np.hstack([x, -eye, eye]),
        b_eq=y[:, 0],
        bounds=[(None, None)] * 2 + [(0, None)] * 64,
    )
    assert solution.fun == pytest.approx(loss, abs=1e-6)


def test_asymmetric_loss_sides():
    assert asymmetric_loss([1, 1], [3, 0], cost=10, profit=100) == 2 * 10 + 1 * 100
    assert asymmetric_loss([5.0], [5.0], 1, 9) == 0
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(2, 500))
    by_hand = sum(3 * (b - a) if b > a else 7 * (a - b) for a, b in zip(y, p, strict=True))
    assert asymmetric_loss(y, p, 3, 7) == pytest.approx(by_hand)


def test_cross_entropy_of_the_source():
    expected = REFERENCE["cross_entropy_binary"]
    y, p, tol = expected["y_"], expected["p"], expected["tol"]
    np.testing.assert_allclose(cross_entropy(y, p), expected["ln"], atol=tol)
    np.testing.assert_allclose(cross_entropy(y, p), expected["published_tf2"], atol=tol)
    np.testing.assert_allclose(cross_entropy(y, p, base=10), expected["log10_source"], atol=tol)
    np.testing.assert_allclose(cross_entropy(y, p, base=2), expected["bits"], atol=tol)
    halved = expected["reduce_mean_over_all_elements_bug"]
    np.testing.assert_allclose(cross_entropy(y, p) / 2, halved, atol=tol)
    worst = cross_entropy([1, 0], [0, 1])
    assert worst == pytest.approx(expected["clip_1e_12_max"], abs=tol)


def test_cross_entropy_agrees_with_scipy():
    p, q = random_probabilities(seed=0), random_probabilities(seed=1)
    entropy = stats.entropy(p, axis=1) + stats.entropy(p, q, axis=1)
    np.testing.assert_allclose(cross_entropy(p, q), entropy, rtol=1e-10)
    np.testing.assert_allclose(cross_entropy(p, q, base=2), entropy / math.log(2), rtol=1e-10)
    assert cross_entropy([0, 1], [1, 0], clip=0) == np.inf
    assert cross_entropy([1, 0], [1, 0], clip=0) == 0


def test_first_loss_of_a_network_with_ten_classes():
    loss = cross_entropy(np.eye(10), np.full((10, 10), 0.1))
    np.testing.assert_allclose(loss, REFERENCE["mnist_sequential"]["init_loss"], rtol=1e-12)


def test_softmax_cross_entropy_of_the_source():
    expected = REFERENCE["softmax_ce_batch"]
    labels, logits, tol = expected["labels"], expected["logits"], expected["tol"]
    losses = softmax_cross_entropy(labels, logits)
    np.testing.assert_allclose(losses, expected["per_sample"], atol=tol)
    assert losses.mean() == pytest.approx(expected["mean"], abs=tol)
    np.testing.assert_allclose(softmax_cross_entropy(np.eye(3)[labels], logits), losses)
    assert np.mean(np.argmax(logits, axis=1) == labels) == expected["accuracy"]


def test_softmax_cross_entropy_agrees_with_scipy():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 400, (400, 6))
    logits[:3] = [[1000, -1000, 0, 0, 0, 0], [1000] * 6, [-1000] * 6]
    labels = rng.integers(6, size=400)
    expected = -special.log_softmax(logits, axis=1)[np.arange(400), labels]
    np.testing.assert_allclose(softmax_cross_entropy(labels, logits), expected, rtol=1e-12)
    np.testing.assert_allclose(softmax_cross_entropy(np.eye(6)[labels], logits), expected)
    soft = random_probabilities(400, 6)
    expected = -(soft * special.log_softmax(logits, axis=1)).sum(axis=1)
    np.testing.assert_allclose(softmax_cross_entropy(soft, logits), expected, rtol=1e-12)


def test_sure_and_right_costs_nothing():
    """A loss of 0 is printed as 0.0, not as -0.0."""
    for labels in (0, [1, 0, 0]):
        loss = softmax_cross_entropy(labels, [1000.0, -1000.0, 0.0])
        assert loss == 0
        assert not np.signbit(loss)


def test_softmax_twice_flattens():
    logits = [0.0, 10.0]
    once = softmax_cross_entropy(1, logits)
    assert once < 0.001
    assert softmax_cross_entropy(1, softmax(logits)) > 0.3


def test_more_axes():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4))
    labels = np.array([[0, 1, 2], [3, 2, 1]])
    losses = softmax_cross_entropy(labels, logits)
    assert losses.shape == (2, 3)
    np.testing.assert_allclose(losses, cross_entropy(np.eye(4)[labels], softmax(logits)))
    assert losses[1, 0] == pytest.approx(softmax_cross_entropy(3, logits[1, 0]))


def test_kl_divergence_agrees_with_scipy():
    p, q = random_probabilities(seed=4), random_probabilities(seed=5)
    p[0], q[0] = [0, 0.5, 0.5, 0], [0, 1, 0, 0]
    p[1], q[1] = [0, 1, 0, 0], [0.5, 0.5, 0, 0]
    np.testing.assert_allclose(kl_divergence(p, q), special.rel_entr(p, q).sum(axis=1), rtol=1e-9)
    assert kl_divergence(p[0], q[0]) == np.inf
    np.testing.assert_array_equal(kl_divergence(p, p), 0)


def test_divergence_is_a_result():
    assert mean_squared_error([0.0], [1e200]) == np.inf
    assert np.isnan(mean_squared_error([0.0], [np.nan]))
    assert np.isnan(cross_entropy([1, 0], [np.nan, np.nan]))
    assert np.isnan(softmax_cross_entropy(0, [np.nan, 1]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_squared_error(np.ones((32, 1)), np.ones(32)), r"\(32, 1\) and \(32,\)"),
        (lambda: mean_squared_error([], []), "empty"),
        (lambda: asymmetric_loss(np.ones((32, 1)), np.ones(32), 1, 9), "equal shapes"),
        (lambda: asymmetric_loss([1], [1], -1, 9), "cost must be"),
        (lambda: asymmetric_loss([1], [1], 1, np.nan), "profit must be"),
        (lambda: cross_entropy([1, 0], [0.6, 0.6]), "y_pred must hold probabilities"),
        (lambda: cross_entropy([1, 1], [0.6, 0.4]), "y_true must hold probabilities"),
        (lambda: cross_entropy([1, 0], [1.5, -0.5]), "y_pred must hold probabilities"),
        (lambda: cross_entropy([1, 0], [0.2, 0.3, 0.5]), "equal shapes"),
        (lambda: cross_entropy(np.eye(2), np.eye(2)[[0, 1, 1]]), "equal shapes"),
        (lambda: cross_entropy(1, 1), "last axis"),
        (lambda: cross_entropy([1, 0], [1, 0], base=1), "base must be above 1"),
        (lambda: cross_entropy([1, 0], [1, 0], clip=1), "clip must"),
        (lambda: softmax_cross_entropy(3, [1, 2, 3]), "from 0 to 2"),
        (lambda: softmax_cross_entropy(-1, [1, 2, 3]), "from 0 to 2"),
        (lambda: softmax_cross_entropy(0.5, [1, 2, 3]), "whole class numbers"),
        (lambda: softmax_cross_entropy([0, 1, 2], np.ones((2, 3))), "labels must have shape"),
        (lambda: softmax_cross_entropy([1, 1, 0], [1, 2, 3]), "labels must hold probabilities"),
        (lambda: softmax_cross_entropy(0, 3), "last axis"),
        (lambda: kl_divergence([0.5, 0.4], [0.5, 0.5]), "p must hold probabilities"),
        (lambda: kl_divergence([0.5, 0.5], [0.5, 0.4]), "q must hold probabilities"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
