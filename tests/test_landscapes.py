import numpy as np
import pytest
from scipy import optimize

from coursekit import landscapes
from coursekit.landscapes import double_well, parabola, ravine, rosenbrock, saddle

ALL = [parabola(), ravine(), ravine(7), rosenbrock(), saddle(), double_well()]
each = pytest.mark.parametrize("landscape", ALL, ids=lambda landscape: landscape.name)


def random_points(landscape, n=200):
    low, high = np.transpose(landscape.bounds)
    return np.random.default_rng(1).uniform(low, high, (n, landscape.dimension))


@each
def test_derivatives_agree_with_scipy(landscape):
    points = random_points(landscape)
    gradients, hessians = landscape.gradient(points), landscape.hessian(points)
    scale = 1 + np.abs(hessians).max()
    for point, gradient, hessian in zip(points, gradients, hessians, strict=True):
        measured = optimize.approx_fprime(point, landscape.value)
        np.testing.assert_allclose(gradient, measured, atol=1e-6 * scale)
        measured = optimize.approx_fprime(point, landscape.gradient)
        np.testing.assert_allclose(hessian, np.atleast_2d(measured), atol=1e-5 * scale)


def test_rosenbrock_agrees_with_scipy():
    landscape = rosenbrock()
    points = random_points(landscape, 300)
    np.testing.assert_allclose(landscape.value(points), optimize.rosen(points.T), rtol=1e-12)
    np.testing.assert_allclose(landscape.gradient(points).T, optimize.rosen_der(points.T))
    for point in points:
        np.testing.assert_allclose(landscape.hessian(point), optimize.rosen_hess(point))


@each
def test_minimum_is_global(landscape):
    assert landscape.minimum.shape == (landscape.dimension,)
    np.testing.assert_allclose(landscape.gradient(landscape.minimum), 0, atol=1e-12)
    assert (np.linalg.eigvalsh(landscape.hessian(landscape.minimum)) > 0).all()
    lowest = landscape.value(landscape.minimum)
    for start in random_points(landscape, 10):
        found = optimize.minimize(landscape.value, start, jac=landscape.gradient, method="BFGS")
        assert found.fun >= lowest - 1e-12
    for (low, high), coordinate in zip(landscape.bounds, landscape.minimum, strict=True):
        assert low < coordinate < high


@each
def test_many_points_at_once(landscape):
    d = landscape.dimension
    grid = random_points(landscape, 12).reshape(3, 4, d)
    assert landscape.value(grid).shape == (3, 4)
    assert landscape.gradient(grid).shape == (3, 4, d)
    assert landscape.hessian(grid).shape == (3, 4, d, d)
    for function in (landscape.value, landscape.gradient, landscape.hessian):
        np.testing.assert_array_equal(function(grid)[2, 1], function(grid[2, 1]))
        np.testing.assert_array_equal(function(grid.tolist()), function(grid))


@each
def test_far_away_is_a_result(landscape):
    far = np.full(landscape.dimension, 1e200)
    assert landscape.value(far) == np.inf or np.isnan(landscape.value(far))
    landscape.gradient(far)
    landscape.hessian(far)


def test_parabola():
    assert parabola().value(5) == 36
    assert parabola().gradient(5.0) == 12
    assert parabola().hessian([5]) == [[2]]


def test_saddle_at_the_origin():
    assert (saddle().gradient([0, 0]) == 0).all()
    np.testing.assert_array_equal(np.linalg.eigvalsh(saddle().hessian([0, 0])), [-1, 1])


def test_double_well_has_a_local_minimum():
    stationary = optimize.brentq(lambda w: double_well().gradient(w)[0], 0.5, 1.5)
    assert stationary == pytest.approx(0.9602, abs=1e-4)
    assert double_well().value(stationary) > double_well().value(double_well().minimum) + 0.5


def test_own_landscape():
    square = landscapes.Landscape(
        name="square",
        value_formula=lambda p: (p**2)[..., 0],
        gradient_formula=lambda p: 2 * p,
        hessian_formula=lambda p: np.full((*p.shape, 1), 2.0),
        minimum=np.zeros(1),
        bounds=((-2.0, 2.0),),
    )
    assert square.value(3) == 9


def test_bad_input():
    with pytest.raises(ValueError, match=r"add it with w\[\.\.\., np\.newaxis\]"):
        parabola().value(np.linspace(-5, 5, 11))
    with pytest.raises(ValueError, match="rosenbrock has 2 parameters"):
        rosenbrock().gradient(1.0)
    for condition in (0, -1, np.nan, np.inf, "100", None):
        with pytest.raises(ValueError, match="condition must be a finite number above 0"):
            ravine(condition)


def test_the_minimum_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        parabola().minimum[0] = 3
