import numpy as np
import pytest
from scipy import signal

from coursekit import schedules
from tests.reference import REFERENCE

EVERY = {
    "exponential_decay": schedules.exponential_decay(0.1, 10, 0.99, staircase=True),
    "piecewise_constant": schedules.piecewise_constant([5, 20], [0.1, 0.05, 0.01]),
    "inverse_time_decay": schedules.inverse_time_decay(0.1, 10, 0.5),
    "polynomial_decay": schedules.polynomial_decay(0.1, 30, cycle=True),
    "cosine_decay": schedules.cosine_decay(0.1, 40),
    "cosine_restarts": schedules.cosine_restarts(0.1, 7),
    "cyclical": schedules.cyclical(0.01, 0.1, 8),
    "with_warmup": schedules.with_warmup(schedules.cosine_decay(0.1, 40), 10),
}


def test_staircase_of_the_source():
    expected = REFERENCE["staircase_base0.1_decay0.99_step10"]
    for name in ("staircase", "smooth"):
        rate = schedules.exponential_decay(0.1, 10, 0.99, staircase=name == "staircase")
        for step, value in expected[name].items():
            assert rate(int(step)) == pytest.approx(value, abs=expected["tol"])


def test_decay_of_the_digit_project():
    expected = REFERENCE["lr_mnist_fc1"]
    rate = schedules.exponential_decay(0.1, expected["lr_step"], 0.99, staircase=True)
    for step, value in expected["lr"].items():
        assert rate(int(step)) == pytest.approx(value, abs=1e-12)


def test_cosine_of_the_source():
    rate = schedules.cosine_decay(0.1, 40)
    for step, value in REFERENCE["cosine_anneal_base0.1_T40"]["lr"].items():
        assert rate(int(step)) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_one_step_or_many(name):
    rate = EVERY[name]
    steps = np.arange(60)
    rates = rate(steps)
    assert rates.shape == steps.shape
    assert rates.tolist() == [rate(int(step)) for step in steps]
    assert type(rate(0)) is float
    assert type(rate(np.int64(3))) is float
    assert ((rates >= 0) & (rates <= 0.1 + 1e-12)).all()


def test_piecewise_boundary_belongs_to_the_left():
    rate = schedules.piecewise_constant([5], [0.1, 0.01])
    assert [rate(4), rate(5), rate(6)] == [0.1, 0.1, 0.01]
    assert schedules.piecewise_constant([], [0.3])(7) == 0.3


@pytest.mark.parametrize("t_mul", [1, 1.5, 2, 3])
@pytest.mark.parametrize("m_mul", [1, 0.5])
def test_restarts_come_on_time(t_mul, m_mul):
    """Walk through the periods one by one and compare every step."""
    rate = schedules.cosine_restarts(0.1, 20, t_mul, m_mul, alpha=0.1)
    begin, length, height = 0.0, 20.0, 1.0
    for step in range(2500):
        if step >= begin + length - 1e-6:
            begin, length, height = begin + length, length * t_mul, height * m_mul
        cosine = height * (1 + np.cos(np.pi * (step - begin) / length)) / 2
        assert rate(step) == pytest.approx(0.1 * (0.9 * cosine + 0.1), abs=1e-9)


def test_cyclical_agrees_with_scipy():
    steps = np.arange(500)
    for step_size in (1, 3, 25, 40.5):
        wave = (signal.sawtooth(np.pi * steps / step_size, width=0.5) + 1) / 2
        triangle = 0.01 + 0.09 * wave
        rates = schedules.cyclical(0.01, 0.1, step_size)(steps)
        np.testing.assert_allclose(rates, triangle, atol=1e-12)
    rates = schedules.cyclical(0.01, 0.1, 40.5, "triangular2")(steps)
    np.testing.assert_allclose(rates, 0.01 + 0.09 * wave / 2 ** (steps // 81), atol=1e-12)
    rates = schedules.cyclical(0.01, 0.1, 40.5, "exp_range", gamma=0.99)(steps)
    np.testing.assert_allclose(rates, 0.01 + 0.09 * wave * 0.99**steps, atol=1e-12)


def test_warmup_meets_its_schedule():
    rate = schedules.with_warmup(schedules.cosine_decay(0.1, 40), 5, initial_learning_rate=0.02)
    np.testing.assert_allclose(rate(np.arange(6)), np.linspace(0.02, 0.1, 6))
    assert rate(45) == pytest.approx(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.exponential_decay(0, 10, 0.99), "initial_learning_rate must"),
        (lambda: schedules.exponential_decay(0.1, 0, 0.99), "decay_steps must"),
        (lambda: schedules.exponential_decay(0.1, 10, -1), "decay_rate must"),
        (lambda: schedules.piecewise_constant([5], [0.1]), "one entry more"),
        (lambda: schedules.piecewise_constant([5, 5], [0.1, 0.2, 0.3]), "boundaries must rise"),
        (lambda: schedules.piecewise_constant([5], [0.1, 0]), "values must"),
        (lambda: schedules.inverse_time_decay(0.1, 10, 0), "decay_rate must"),
        (lambda: schedules.polynomial_decay(0.1, 10, end_learning_rate=-1), "end_learning_rate"),
        (lambda: schedules.polynomial_decay(0.1, 10, power=0), "power must"),
        (lambda: schedules.cosine_decay(0.1, -1), "decay_steps must"),
        (lambda: schedules.cosine_decay(0.1, 10, alpha=-1), "alpha must"),
        (lambda: schedules.cosine_restarts(0.1, 10, t_mul=0.5), "t_mul must be 1 or above"),
        (lambda: schedules.cosine_restarts(0.1, 10, m_mul=-1), "m_mul must"),
        (lambda: schedules.cyclical(0.1, 0.01, 10), "maximal_learning_rate must not be below"),
        (lambda: schedules.cyclical(0.01, 0.1, 0), "step_size must"),
        (lambda: schedules.cyclical(0.01, 0.1, 10, "square"), "mode must be one of"),
        (lambda: schedules.cyclical(0.01, 0.1, 10, "exp_range", 2), "gamma must not be above 1"),
        (lambda: schedules.with_warmup(0.1, 10), "schedule must be a function"),
        (lambda: schedules.with_warmup(EVERY["cyclical"], 0), "warmup_steps must"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("step", [-1, [3, -1], np.nan])
def test_a_step_that_cannot_be(name, step):
    with pytest.raises(ValueError, match="step must be 0 or above"):
        EVERY[name](step)


@pytest.mark.parametrize("name", EVERY)
def test_far_out_and_empty(name):
    """No warnings, no infinities: the rate stays a rate however far the training goes."""
    rates = EVERY[name](np.array([0.0, 1e3, 1e6, 1e9, 1e15]))
    assert np.isfinite(rates).all()
    assert ((rates >= 0) & (rates <= 0.1 + 1e-12)).all()
    assert EVERY[name]([]).shape == (0,)
