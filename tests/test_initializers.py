import numpy as np
import pytest
from scipy import stats

from coursekit import initializers
from tests.reference import REFERENCE

SHAPE = (784, 128)


def rng():
    return np.random.default_rng(5)


def test_numbers_of_the_source():
    expected = REFERENCE["init"]
    weights = initializers.glorot_uniform(SHAPE, rng())
    limit = expected["glorot_uniform_limit_784_128"]
    assert np.abs(weights).max() == pytest.approx(limit, rel=1e-4)
    assert np.abs(weights).max() <= limit + 1e-7
    assert weights.std() == pytest.approx(expected["glorot_std"], rel=0.01)
    assert initializers.glorot_normal(SHAPE, rng()).std() == pytest.approx(
        expected["glorot_std"], rel=0.01
    )
    assert initializers.he_normal(SHAPE, rng()).std() == pytest.approx(
        expected["he_std_784"], rel=0.01
    )
    q = initializers.orthogonal((128, 128), rng())
    assert np.abs(q.T @ q - np.eye(128)).max() < 10 * expected["orthogonal_error"]


@pytest.mark.parametrize(
    ("initializer", "distribution"),
    [
        (initializers.uniform, stats.uniform(-0.05, 0.1)),
        (initializers.normal, stats.norm(0, 0.05)),
        (initializers.glorot_uniform, stats.uniform(-(s := np.sqrt(6 / 912)), 2 * s)),
        (initializers.glorot_normal, stats.truncnorm(-2, 2, scale=np.sqrt(2 / 912) / 0.8796257)),
        (initializers.he_normal, stats.truncnorm(-2, 2, scale=np.sqrt(2 / 784) / 0.8796257)),
    ],
)
def test_distribution_agrees_with_scipy(initializer, distribution):
    weights = initializer(SHAPE, rng())
    assert weights.shape == SHAPE
    assert stats.kstest(weights.ravel(), distribution.cdf).pvalue > 0.01
    np.testing.assert_array_equal(weights, initializer(SHAPE, rng()))


def test_arguments():
    assert initializers.uniform(1000, rng(), 2, 3).min() >= 2
    assert initializers.normal(1000, rng(), mean=7, stddev=0).tolist() == [7] * 1000
    assert (initializers.zeros((2, 3), rng()) == 0).all()
    assert initializers.zeros(3).shape == (3,)
    q = initializers.orthogonal((4, 4), rng(), gain=2)
    np.testing.assert_allclose(q.T @ q, 4 * np.eye(4), atol=1e-12)


def test_fans_of_a_convolution():
    kernel = initializers.he_normal((3, 3, 64, 128), rng())
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.01)
    kernel = initializers.glorot_normal((3, 3, 64, 128), rng())
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64 + 9 * 128)), rel=0.01)


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (5, 5), (3, 3, 2, 4)])
def test_orthogonal(shape):
    q = initializers.orthogonal(shape, rng())
    assert q.shape == shape
    matrix = q.reshape(-1, shape[-1])
    small = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(small.T @ small, np.eye(small.shape[1]), atol=1e-14)


def test_every_rotation_is_equally_likely():
    generator = rng()
    angles = [np.arctan2(*initializers.orthogonal((2, 2), generator)[0]) for _ in range(1000)]
    assert stats.kstest(angles, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.zeros((2, -1)), "shape must be a whole number, 1 or above"),
        (lambda: initializers.zeros(()), "at least one number"),
        (lambda: initializers.glorot_uniform((2, 0), rng()), "shape must"),
        (lambda: initializers.he_normal((2, 2.5), rng()), "shape must"),
        (lambda: initializers.normal((2, 2), 0), r"pass np\.random\.default_rng\(0\)"),
        (lambda: initializers.normal((2, 2), rng(), stddev=-1), "stddev must"),
        (lambda: initializers.uniform((2, 2), rng(), 1, 0), "minval must not exceed maxval"),
        (lambda: initializers.orthogonal(5, rng()), "two axes or more"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
