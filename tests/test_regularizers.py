import numpy as np
import pytest

from coursekit.network import numerical_gradient
from coursekit.regularizers import l1, l2, l2_loss
from tests.reference import REFERENCE


def test_conventions_of_the_source():
    expected = REFERENCE["l2_conventions"]
    assert l1(expected["W"]) == expected["sum_abs"]
    assert l2(expected["W"]) == expected["sum_sq"]
    assert l2_loss(expected["W"]) == expected["tf_l2_loss"]


def test_norms_agree_with_numpy():
    for w in np.random.default_rng(0).normal(0, 100, (200, 5, 3)):
        assert l1(w) == pytest.approx(np.linalg.norm(w.ravel(), 1))
        assert l2(w) == pytest.approx(np.linalg.norm(w) ** 2)
        assert l2_loss(w) == pytest.approx(np.linalg.norm(w) ** 2 / 2)


def test_slopes():
    w = np.array([[3.0, -2.0], [0.5, 4.0]])
    np.testing.assert_allclose(numerical_gradient(l1, w), np.sign(w), rtol=1e-8)
    np.testing.assert_allclose(numerical_gradient(l2, w), 2 * w, rtol=1e-8)
    np.testing.assert_allclose(numerical_gradient(l2_loss, w), w, rtol=1e-8)


def test_overflow_is_a_result():
    assert l2([1e200]) == np.inf
    assert l1([]) == 0
