import numpy as np
import pytest
from scipy import optimize, special

from coursekit import datasets
from coursekit.labs import losses
from tests.labs import sweep
from tests.reference import REFERENCE


@pytest.fixture(scope="module")
def plane_lab():
    return losses.explore()


@pytest.fixture(scope="module")
def probability_lab():
    return losses.compare()


def test_every_preset_end_and_corner_of_the_plane(plane_lab):
    sweep.check(plane_lab)


def test_every_preset_end_and_corner_of_the_comparison(probability_lab):
    sweep.check(probability_lab)


@pytest.mark.parametrize(
    ("preset", "sentence"),
    [
        (
            "waste is cheap",
            "Cost 1, profit 9: best plane w = (1.0178, 1.0448), too much 1.068 in 25 rows, "
            "too little 0.092 in 5 rows, exact in 2; money lost 1.898 (least squares: 3.616).",
        ),
        (
            "both cost the same",
            "Cost 5, profit 5: best plane w = (1.0176, 0.9815), too much 0.307 in 15 rows, "
            "too little 0.365 in 15 rows, exact in 2; money lost 3.362 (least squares: 3.447).",
        ),
        (
            "waste is dear",
            "Cost 9, profit 1: best plane w = (0.9617, 0.9768), too much 0.043 in 3 rows, "
            "too little 1.028 in 27 rows, exact in 2; money lost 1.415 (least squares: 3.278).",
        ),
    ],
)
def test_each_preset_of_the_plane_says_what_it_shows(plane_lab, preset, sentence):
    assert plane_lab.preset(preset).sentence == sentence


@pytest.mark.parametrize(
    ("preset", "sentence"),
    [
        (
            "confident and wrong",
            "p = 0.001: cross entropy 6.908 pulls the score with 0.999, MSE 0.998 with 0.0020; "
            "the answer turns right after 8 steps and after 514 steps.",
        ),
        (
            "undecided",
            "p = 0.5: cross entropy 0.693 pulls the score with 0.500, MSE 0.250 with 0.2500; "
            "the answer turns right after 1 step and after 1 step.",
        ),
        (
            "confident and right",
            "p = 0.99: cross entropy 0.010 pulls the score with 0.010, MSE 0.000 with 0.0002; "
            "the answer is right already.",
        ),
    ],
)
def test_each_preset_of_the_comparison_says_what_it_shows(probability_lab, preset, sentence):
    assert probability_lab.preset(preset).sentence == sentence


@pytest.mark.parametrize(("name", "cost", "profit"), [("1/9", 1, 9), ("9/1", 9, 1)])
def test_the_best_plane_is_that_of_the_source(name, cost, profit):
    weights, lowest = REFERENCE["yogurt_custom_loss"]["lp_optimum"][name]
    plane = losses.best_plane(cost, profit)
    np.testing.assert_allclose(plane.weights, weights, atol=1e-7)
    assert plane.money == pytest.approx(lowest, abs=1e-6)


@pytest.mark.parametrize("cost", losses.PRICES)
def test_scipy_finds_no_better_plane(cost):
    x, y = datasets.yogurt_sales()
    eye = np.eye(len(x))
    for profit in losses.PRICES:
        plane = losses.best_plane(cost, profit)
        solution = optimize.linprog(
            c=np.r_[np.zeros(2), np.full(len(x), cost), np.full(len(x), profit)],
            A_eq=np.hstack([x, -eye, eye]),
            b_eq=y[:, 0],
            bounds=[(None, None)] * 2 + [(0, None)] * (2 * len(x)),
        )
        assert plane.money == pytest.approx(solution.fun, abs=1e-9)
        np.testing.assert_allclose(x @ plane.weights - y[:, 0], plane.error, atol=1e-12)
        assert (plane.error == 0).sum() == 2


def test_the_plane_rises_with_the_profit_and_falls_with_the_cost():
    x, _ = datasets.yogurt_sales()
    for fixed in losses.PRICES:
        rising = [(x @ losses.best_plane(fixed, price).weights).sum() for price in losses.PRICES]
        falling = [(x @ losses.best_plane(price, fixed).weights).sum() for price in losses.PRICES]
        assert rising[-1] > rising[0]
        assert falling[-1] < falling[0]
    assert losses.way(losses.best_plane(1, 9)) == "up"
    assert losses.way(losses.best_plane(9, 1)) == "down"
    assert losses.way(losses.best_plane(4, 4)) == losses.WAYS[2]


def test_the_picture_shows_each_error_at_its_size(plane_lab):
    """Bars are the totals of the sticks, and each stick is as long as its error."""
    stage = plane_lab.figure.stages["light"]
    plane = losses.best_plane(2, 7)
    losses.draw_plane(plane, stage.artists)
    for name, errors in (
        ("over", plane.error[plane.error > 0]),
        ("under", -plane.error[plane.error < 0]),
    ):
        height = np.asarray(stage.artists[name].get_ydata()).reshape(-1, 3)
        np.testing.assert_allclose(np.abs(height[:, 1] - height[:, 0]), errors, atol=1e-12)
        bar = stage.artists[f"{name} total"].patches[0].get_height()
        assert bar == pytest.approx(errors.sum())


def test_pulls_are_the_derivatives_with_respect_to_the_score():
    for z in np.linspace(-9, 9, 37):
        p = special.expit(z)
        slopes = [
            optimize.approx_fprime([z], lambda z: -special.log_expit(z)[0], 1e-6)[0],
            optimize.approx_fprime([z], lambda z: special.expit(-z[0]) ** 2, 1e-6)[0],
        ]
        pulls = [losses.pull_cross_entropy(p), losses.pull_mse(p)]
        np.testing.assert_allclose(pulls, np.negative(slopes), atol=1e-5)


def test_both_runs_are_counted_to_the_end():
    """The slowest run of the lab ends before patience does."""
    for p in losses.PROBABILITIES:
        result = losses.compare_losses(p)
        assert len(result.path_mse) == losses.SHOWN_STEPS + 1
        counts = (result.steps_cross_entropy, result.steps_mse)
        if p > 0.5:
            assert counts == (0, 0)
        else:
            assert 1 <= counts[0] <= counts[1] < losses.PATIENCE
        for path, count in zip((result.path_cross_entropy, result.path_mse), counts, strict=True):
            assert (count <= losses.SHOWN_STEPS) == (path > 0.5).any()


def test_predictions_know_their_outcomes():
    for build, answers in (
        (losses.explore, {"waste is cheap": "up", "waste is dear": "down"}),
        (losses.compare, {"confident and wrong": losses.TURNED[1], "undecided": "both"}),
    ):
        lab = build(predict=True)
        question = lab.figure.prediction
        for preset, answer in answers.items():
            lab.preset(preset)
            assert question["choices"][question["outcomes"][sweep.frame(lab)]] == answer
