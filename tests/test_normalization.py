import numpy as np
import pytest
from scipy import stats

from coursekit.normalization import batch_norm, standardize
from tests.reference import REFERENCE


def test_numbers_of_the_source():
    expected = REFERENCE["batchnorm"]
    np.testing.assert_allclose(batch_norm(expected["x"], epsilon=0), expected["eps0"], atol=1e-8)
    np.testing.assert_allclose(standardize(expected["x"]), expected["eps0"], atol=1e-8)


def test_scipy_agrees():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 50, (40, 300)) * 10.0 ** rng.integers(-6, 6, 300)
    np.testing.assert_allclose(standardize(x), stats.zscore(x), atol=1e-9)
    np.testing.assert_allclose(batch_norm(x, epsilon=0), stats.zscore(x), atol=1e-9)
    gamma, beta = rng.normal(size=(2, 300))
    expected = gamma * stats.zscore(x) + beta
    np.testing.assert_allclose(batch_norm(x, gamma, beta, epsilon=0), expected, atol=1e-9)


def test_a_constant_feature_becomes_zero():
    x = [[0.1, 1], [0.1, 2], [0.1, 3]]
    assert (standardize(x)[:, 0] == 0).all()
    np.testing.assert_allclose(batch_norm(x)[:, 0], 0, atol=1e-12)


def test_a_prediction_does_not_depend_on_its_neighbours():
    x = np.random.default_rng(0).normal(size=(8, 3))
    statistics = {"mean": x.mean(axis=0), "variance": x.var(axis=0)}
    np.testing.assert_allclose(batch_norm(x, **statistics), batch_norm(x))
    np.testing.assert_allclose(batch_norm(x[:1], **statistics), batch_norm(x)[:1])
    assert (batch_norm(x[:1]) == 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: standardize(3), "at least one sample"),
        (lambda: standardize([]), "at least one sample"),
        (lambda: batch_norm(np.ones((0, 3))), "at least one sample"),
        (lambda: batch_norm([1, 2], epsilon=-1), "epsilon must"),
        (lambda: batch_norm(np.ones((2, 3)), gamma=[1, 2]), "gamma must be one number or 3"),
        (lambda: batch_norm(np.ones((2, 3)), mean=[1, 2]), "mean must be one number or 3"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
