import numpy as np
import pytest
from scipy import signal

from coursekit.averages import ShadowAverage, ewma, ewma_weights
from tests.reference import REFERENCE


def test_numbers_of_the_source():
    expected = REFERENCE["ewma"]
    ones = ewma(np.ones(10), 0.9)
    np.testing.assert_allclose(ones[:3], expected["const_1_beta_0_9"], atol=1e-12)
    assert ones[9] == pytest.approx(expected["const_t10"], abs=1e-7)
    corrected = ewma(np.ones(10), 0.9, bias_correction=True)
    np.testing.assert_allclose(corrected, expected["corrected_const"], atol=1e-12)
    sequence = expected["seq_1_2_3_beta_0_9"]
    np.testing.assert_allclose(ewma([1, 2, 3], 0.9), sequence["raw"], atol=1e-12)
    np.testing.assert_allclose(ewma([1, 2, 3], 0.9, True), sequence["corrected"], atol=1e-6)


def test_window_of_the_source():
    expected = REFERENCE["ewma"]
    for beta, window in expected["beta_window"].items():
        assert 1 / (1 - float(beta)) == pytest.approx(window)
    for power, value in expected["weights_at_window"].items():
        if "^" in power:
            beta, window = (float(part) for part in power.split("^"))
            weights = ewma_weights(beta, int(window) + 1)
            assert weights[-1] / weights[0] == pytest.approx(value, abs=1e-7)
            assert weights[-1] / weights[0] == pytest.approx(
                expected["weights_at_window"]["1/e"], abs=0.02
            )


def test_noisy_cosine():
    t = np.linspace(0, 2 * np.pi, 500)
    clean = np.cos(t)
    noisy = clean + np.random.RandomState(0).normal(0, 0.3, 500)
    raw = np.sqrt(np.mean((noisy - clean) ** 2))
    assert raw == pytest.approx(REFERENCE["noisy_cosine"]["rmse_raw"], abs=1e-4)
    error = {
        beta: np.sqrt(np.mean((ewma(noisy, beta, bias_correction=True) - clean) ** 2))
        for beta in (0.5, 0.9, 0.98)
    }
    assert error[0.9] < error[0.5] < raw
    assert error[0.9] < error[0.98]


@pytest.mark.parametrize("beta", [0, 0.5, 0.9, 0.999])
def test_scipy_agrees(beta):
    values = np.random.default_rng(0).normal(size=(300, 250))
    filtered = signal.lfilter([1 - beta], [1, -beta], values, axis=0)
    np.testing.assert_allclose(ewma(values, beta), filtered, atol=1e-12)
    correction = 1 - beta ** np.arange(1, 301)
    corrected = filtered / correction[:, np.newaxis]
    np.testing.assert_allclose(ewma(values, beta, bias_correction=True), corrected, atol=1e-10)
    weighted = ewma_weights(beta, 300) @ values[::-1]
    np.testing.assert_allclose(ewma(values, beta)[-1], weighted, atol=1e-12)


def test_weights_sum():
    assert ewma_weights(0.9, 20).sum() == pytest.approx(1 - 0.9**20)
    assert ewma_weights(0, 3).tolist() == [1, 0, 0]
    assert ewma_weights(0.5, 0).shape == (0,)


def test_shadow_of_the_source():
    expected = REFERENCE["ema_shadow_opt4_6"]
    tol = expected["tol"]
    average = ShadowAverage(expected["decay"], 0)
    sequence = [average.shadow, average.update(1, num_updates=0)]
    sequence += [average.update(10, num_updates=100) for _ in range(7)]
    np.testing.assert_allclose(sequence, expected["seq"], atol=tol)
    np.testing.assert_allclose(sequence, expected["published"], atol=tol)
    k = np.arange(8)
    np.testing.assert_allclose(sequence[1:], 10 - 9.1 * (101 / 110) ** k, atol=1e-12)

    average = ShadowAverage(0.1, 0)
    sequence = [average.shadow, average.update(1, num_updates=0)]
    sequence += [average.update(10, num_updates=100) for _ in range(4)]
    np.testing.assert_allclose(sequence, expected["exercise_decay_0_1"], atol=tol)


def test_shadow_ramp_ends():
    n = REFERENCE["ema_shadow_opt4_6"]["ramp_reaches_0_99_at_n"]
    at = {k: ShadowAverage(0.99, 0).update(1, num_updates=k) for k in (n - 1, n, n + 1)}
    assert at[n - 1] > at[n] == pytest.approx(0.01)
    assert at[n + 1] == at[n]


def test_shadow_of_arrays():
    value = np.array([1.0, 2.0])
    average = ShadowAverage(0.5, value)
    shadow = average.update([3.0, 3.0])
    assert value.tolist() == [1, 2]
    assert shadow.tolist() == [2, 2.5]
    average.update([0, 0])
    assert shadow.tolist() == [2, 2.5]
    assert type(ShadowAverage(0.9, 1).update(2)) is float


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ewma([1, 2], 1), r"beta must lie in \[0, 1\)"),
        (lambda: ewma([1, 2], -0.1), r"beta must lie in \[0, 1\)"),
        (lambda: ewma(3, 0.9), "values must be a series"),
        (lambda: ewma([], 0.9), "values must hold at least one number"),
        (lambda: ewma_weights(1, 3), "beta must"),
        (lambda: ewma_weights(0.9, -1), "n must be a whole number"),
        (lambda: ShadowAverage(1, 0), "decay must"),
        (lambda: ShadowAverage(0.9, [1, 2]).update([1, 2, 3]), "keep its shape"),
        (lambda: ShadowAverage(0.9, 1).update(1, num_updates=-1), "num_updates must"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
