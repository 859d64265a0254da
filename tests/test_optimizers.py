import dataclasses

import numpy as np
import pytest

from coursekit.landscapes import Landscape, parabola, ravine, rosenbrock, saddle
from coursekit.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    RMSprop,
    minimize,
)
from coursekit.schedules import exponential_decay
from tests.reference import REFERENCE

ALL = [SGD, Adagrad, Adadelta, RMSprop, Adam, AdamW]


def descend(optimizer, steps, start=5):
    return minimize(parabola(), optimizer, start, steps)


def path(optimizer, steps, start=5):
    return descend(optimizer, steps, start).points[:, 0]


def test_learning_rate_0_2():
    expected = REFERENCE["gd_w_plus_1_squared_lr0.2"]
    tol = expected["tol"]
    trace = descend(SGD(0.2), 40)
    np.testing.assert_allclose(trace.points[:7, 0], expected["w_seq"], atol=tol)
    np.testing.assert_allclose(trace.losses[1:7], expected["loss_seq_after_step"], atol=tol)
    w40, loss40 = expected["after40"]
    assert trace.points[40, 0] == pytest.approx(w40, abs=1e-14)
    assert trace.losses[40] == pytest.approx(loss40, rel=1e-6)
    k = np.arange(41)
    np.testing.assert_allclose(trace.points[:, 0], -1 + 6 * 0.6**k, atol=1e-14)
    np.testing.assert_allclose(trace.losses, 36 * 0.36**k, atol=1e-13)
    # The loop of the source prints after the update, so its index i shows w after i + 1 steps.
    printed = [f"{w:.6f}" for w in trace.points[1:, 0]]
    index = expected["prints_minus_1_000000_from_loop_index"]
    assert printed.index("-1.000000") == index


def test_learning_rate_1_oscillates():
    expected = REFERENCE["gd_lr1"]
    trace = descend(SGD(1), 3)
    assert trace.points[:, 0].tolist() == expected["w_seq"]
    assert (trace.losses == expected["loss"]).all()


def test_learning_rate_1e_4_is_slow():
    expected = REFERENCE["gd_lr1e-4"]
    trace = descend(SGD(1e-4), 40)
    assert trace.points[1, 0] == pytest.approx(expected["w_after_1"], abs=1e-12)
    assert trace.points[40, 0] == pytest.approx(expected["w_after_40"], abs=1e-7)
    assert trace.losses[40] == pytest.approx(expected["loss_after_40"], abs=1e-6)
    published = expected["published_float32"]
    assert [trace.points[40, 0], trace.losses[40]] == pytest.approx(published, abs=1e-4)


def test_stability():
    for lr in (0.01, 0.3, 0.7, 0.99):  # 0 < lr < 1 converges
        assert abs(path(SGD(lr), 2000)[-1] + 1) < 1e-6
    assert path(SGD(0.5), 1)[1] == -1  # one step
    assert set(path(SGD(1), 9)) == {5, -7}  # oscillates
    assert abs(path(SGD(1.01), 500)[-1]) > 1000  # diverges


def test_exponential_decay_of_the_source():
    expected = REFERENCE["expdecay_opt4_5"]
    schedule = exponential_decay(expected["base"], expected["lr_step"], expected["decay"])
    trace = minimize(parabola(), SGD(0.1), expected["w0"], expected["steps"], schedule)
    for step, w in expected["w_after"].items():
        assert trace.points[int(step), 0] == pytest.approx(w, abs=expected["tol"])
    for step, lr in expected["lr_printed_after"].items():
        assert schedule(int(step)) == pytest.approx(lr, abs=expected["tol"])
    assert trace.losses[40] == pytest.approx(expected["loss_after_40"], abs=expected["tol"])


@pytest.mark.parametrize(
    ("name", "optimizer"),
    {
        "sgd": SGD(0.1),
        "heavy_ball_b0_9": SGD(0.1, momentum=0.9),
        "ewma_momentum_b0_9": SGD(0.1, momentum=0.9, form="ewma"),
        "nesterov_lookahead": SGD(0.1, momentum=0.9, nesterov=True),
        "adagrad_acc0": Adagrad(0.1, initial_accumulator_value=0),
        "rmsprop_rho0_9": RMSprop(0.1, rho=0.9),
        "adam": Adam(0.1),
        "adadelta_lr1_rho0_95_eps1e_6": Adadelta(1, rho=0.95, epsilon=1e-6),
    }.items(),
)
def test_traces_of_the_sources(name, optimizer):
    expected = REFERENCE["optimizer_traces_w_plus_1_sq_from5_lr0.1"]
    np.testing.assert_allclose(path(optimizer, 5)[1:], expected[name], atol=expected["tol"])


@pytest.mark.parametrize("nesterov", [False, True])
def test_forms_of_momentum(nesterov):
    start = [-1.2, 1]
    args = {"momentum": 0.9, "nesterov": nesterov}
    classical = minimize(rosenbrock(), SGD(1e-4, **args), start, 500).points
    ewma = minimize(rosenbrock(), SGD(1e-3, **args, form="ewma"), start, 500).points
    np.testing.assert_allclose(ewma, classical, rtol=1e-9)  # (1 − μ) η
    keras = minimize(rosenbrock(), SGD(1e-4, **args, form="keras"), start, 500).points
    if nesterov:  # Keras stores the points ahead
        classical = classical + 0.9 * np.diff(classical, axis=0, prepend=classical[:1])
    np.testing.assert_allclose(keras, classical, rtol=1e-9)


def test_momentum_forms_differ_under_a_schedule():
    schedule = exponential_decay(0.1, 1, 0.5)
    classical = minimize(parabola(), SGD(0.1, momentum=0.9), 5, 2, schedule).points
    keras = minimize(parabola(), SGD(0.1, momentum=0.9, form="keras"), 5, 2, schedule).points
    # Step 2: v = 0.9 · 12 + 9.6, times the halved rate; Keras keeps 0.9 of the whole first step.
    assert classical[2, 0] == pytest.approx(3.8 - 0.05 * (0.9 * 12 + 9.6))
    assert keras[2, 0] == pytest.approx(3.8 - 0.9 * 1.2 - 0.05 * 9.6)


@pytest.mark.parametrize(
    ("key", "optimizer"),
    [
        ("gd_lr0.01", SGD(0.01)),
        ("gd_lr2/101", SGD(2 / 101)),
        ("heavy_ball_0.01_0.9", SGD(0.01, momentum=0.9)),
    ],
)
def test_ravine_steps(key, optimizer):
    losses = minimize(ravine(), optimizer, [10, 1], 1000).losses
    assert int(np.argmax(losses < 1e-6)) == REFERENCE["ravine"]["steps"][key]


def test_ravine_diverges_above_2_over_condition():
    assert minimize(ravine(), SGD(0.0199), [10, 1], 3000).losses[-1] < 1e-6
    assert minimize(ravine(), SGD(0.0201), [10, 1], 3000).losses[-1] > 1e6


def test_square_from_2():
    square = Landscape(
        "square",
        lambda p: (p**2)[..., 0],
        lambda p: 2 * p,
        lambda p: np.full((*p.shape, 1), 2.0),
        np.zeros(1),
        ((-2.0, 2.0),),
    )
    expected = REFERENCE["derivative_step"]["gd_from_pm2_lr0_1"]
    for sign in (1, -1):
        points = minimize(square, SGD(0.1), sign * 2, 5).points[:, 0]
        np.testing.assert_allclose(points, sign * np.array(expected), atol=1e-12)


def test_adam_of_the_paper():
    # With a constant gradient both corrected moments are exact: each step is η g / (|g| + ε).
    g, epsilon = np.array([1e-3, -0.1, 50.0]), 0.01
    optimizer = Adam(0.1, epsilon=epsilon, form="paper")
    w = np.zeros(3)
    state = optimizer.begin(w)
    for t in range(1, 101):
        w, state = optimizer.step(w, g, state, t, 0.1)
        np.testing.assert_allclose(w, -t * 0.1 * g / (np.abs(g) + epsilon), rtol=1e-9)


def test_rmsprop_without_epsilon_is_nan_on_the_saddle_line():
    trace = minimize(saddle(), RMSprop(0.1, epsilon=0), [1, 0], 5)
    assert np.isnan(trace.points[1:, 1]).all()
    assert np.isfinite(minimize(saddle(), RMSprop(0.1), [1, 0], 5).points).all()


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("landscape", [parabola(), ravine(), rosenbrock()], ids=lambda x: x.name)
def test_divergence_is_a_result_and_stays(cls, landscape):
    start = np.full(landscape.dimension, 5.0)
    trace = minimize(landscape, cls(learning_rate=1e200), start, 60)
    bad = ~np.isfinite(trace.points)
    assert (np.diff(bad.astype(int), axis=0) >= 0).all()  # once out of range, never back
    if cls is SGD:
        assert bad[-1].all()
        assert not np.isfinite(trace.losses[-1])


@pytest.mark.parametrize("cls", ALL)
def test_optimizer_and_start_are_left_alone(cls):
    optimizer = cls(learning_rate=0.1)
    before = dataclasses.asdict(optimizer)
    start = np.array([10.0, 1.0])
    first = minimize(ravine(), optimizer, start, 30)
    second = minimize(ravine(), optimizer, start, 30)
    np.testing.assert_array_equal(first.points, second.points)
    assert dataclasses.asdict(optimizer) == before
    assert start.tolist() == [10, 1]
    first.points[0] = 99
    assert start.tolist() == [10, 1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.learning_rate = 1


def test_shapes():
    trace = minimize(ravine(), SGD(0.01), [10, 1], 7)
    assert trace.points.shape == (8, 2)
    assert trace.losses.shape == (8,)
    assert trace.points[0].tolist() == [10, 1]
    np.testing.assert_array_equal(trace.losses, ravine().value(trace.points))
    assert minimize(parabola(), SGD(0.1), 5, 0).points.tolist() == [[5]]
    for start in (5, 5.0, [5], np.float32(5)):
        assert minimize(parabola(), SGD(0.1), start, 3).points.shape == (4, 1)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("learning_rate", [0, -0.1, np.nan, np.inf, None, "0.1"])
def test_bad_learning_rate(cls, learning_rate):
    with pytest.raises(ValueError, match="learning_rate must be a finite number above 0"):
        cls(learning_rate=learning_rate)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (SGD, {"momentum": 1}, r"momentum must lie in \[0, 1\)"),
        (SGD, {"momentum": -0.1}, r"momentum must lie in \[0, 1\)"),
        (SGD, {"form": "heavy"}, "form must be one of classical, ewma, keras"),
        (Adagrad, {"initial_accumulator_value": -1}, "0 or above"),
        (Adagrad, {"epsilon": -1}, "epsilon must be"),
        (Adadelta, {"rho": 1.0}, r"rho must lie in \[0, 1\)"),
        (Adadelta, {"epsilon": np.nan}, "epsilon must be"),
        (RMSprop, {"rho": 2}, "rho must"),
        (RMSprop, {"momentum": 1}, "momentum must"),
        (Adam, {"beta_1": 1}, "beta_1 must"),
        (Adam, {"beta_2": -1}, "beta_2 must"),
        (Adam, {"form": "old"}, "form must be one of keras, paper"),
        (AdamW, {"weight_decay": -1}, "weight_decay must"),
        (AdamW, {"beta_2": 1}, "beta_2 must"),
    ],
)
def test_bad_constant(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**arguments)


@pytest.mark.parametrize(
    ("start", "steps", "message"),
    [
        ([1, 2], 5, "length 1"),
        ([[1]], 5, "start must be one point"),
        (np.nan, 5, "finite"),
        (5, -1, "steps must be a whole number, 0 or above"),
        (5, 2.5, "steps must be a whole number"),
    ],
)
def test_bad_start_or_steps(start, steps, message):
    with pytest.raises(ValueError, match=message):
        minimize(parabola(), SGD(0.1), start, steps)
