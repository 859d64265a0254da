"""What the data sets promise for any arguments, and how they refuse the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import datasets

MAKERS = (datasets.yogurt_sales, datasets.two_class_ring, datasets.noisy_cosine)
SEEDED = (*MAKERS, datasets.iris)

sizes = st.integers(1, 200)
seeds = st.integers(0, 2**32 - 1)
not_seeds = st.one_of(st.integers(max_value=-1), st.integers(min_value=2**32), st.floats())
few = settings(max_examples=30, deadline=None)  # the clock of a loaded machine proves nothing


def refusal(function, **arguments):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the callers look at the message
        function(**arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@few
@given(st.sampled_from(MAKERS), st.one_of(st.integers(max_value=0), st.floats(), st.none()))
def test_other_sizes_are_refused(make, n):
    assert refusal(make, n=n) == f"n must be a whole number that is 1 or more, not {n!r}"


@few
@given(st.sampled_from(SEEDED), not_seeds)
def test_other_seeds_are_refused(make, seed):
    assert refusal(make, seed=seed).startswith("seed must be a whole number from 0 to 2**32 - 1")


@few
@given(
    st.one_of(st.floats(max_value=0, exclude_max=True), st.sampled_from([np.nan, np.inf, -np.inf]))
)
def test_other_noise_is_refused(sigma):
    message = refusal(datasets.noisy_cosine, sigma=sigma)
    assert message == f"sigma must be a number that is 0 or more, not {sigma!r}"


@few
@given(st.text().filter(lambda name: name not in ("auto", "mnist", "uci")))
def test_other_sources_are_refused(source):
    assert refusal(datasets.digits, source=source).startswith("source must be 'auto', 'mnist' or")


@few
@given(sizes, seeds)
def test_yogurt_noise_stays_in_its_range(n, seed):
    x, y = datasets.yogurt_sales(n, seed)
    assert x.shape == (n, 2)
    assert y.shape == (n, 1)
    assert ((x >= 0) & (x < 1)).all()
    assert np.abs(y[:, 0] - x.sum(axis=1)).max() <= 0.05 + 1e-12


@few
@given(sizes, seeds)
def test_ring_classes_follow_the_circle(n, seed):
    x, y = datasets.two_class_ring(n, seed)
    assert y.dtype.kind == "i"
    np.testing.assert_array_equal(y[:, 0], [int(a * a + b * b < 2) for a, b in x])


@few
@given(seeds)
def test_every_split_of_iris_has_all_flowers(seed):
    flowers = datasets.iris(seed)
    y = np.concatenate([flowers.y_train, flowers.y_test])
    assert len(flowers.y_test) == 30
    assert np.bincount(y).tolist() == [50, 50, 50]


@few
@given(st.sampled_from(SEEDED), seeds)
def test_same_seed_same_data(make, seed):
    for one, other in zip(make(seed=seed), make(seed=seed), strict=True):
        np.testing.assert_array_equal(one, other)
