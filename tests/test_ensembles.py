"""Networks side by side against `DenseNetwork`, one at a time, and against Keras."""

import numpy as np
import pytest

from coursekit import datasets, ensembles, optimizers, regularizers
from coursekit.network import DenseNetwork
from tests.reference import REFERENCE

X, Y = datasets.two_class_ring(40, seed=5)


def single(ensemble, member):
    """Give one member as a DenseNetwork."""
    network = DenseNetwork([ensemble.inputs, ensemble.width, 1], np.random.default_rng(0))
    W1, W2, b1, b2 = (part[member] for part in ensemble.layers())
    network.weights, network.biases = [W1, W2], [b1[0], b2[0]]
    return network


def penalised(network, x, y, l1, l2):
    """Loss with penalty, and its gradients by DenseNetwork's back-propagation."""
    forward = network.forward(x)
    error = forward.output - y
    w = np.concatenate([each.ravel() for each in network.weights])
    loss = np.mean(error**2) + l1 * regularizers.l1(w) + l2 * regularizers.l2(w)
    gradients = network.backward(forward, 2 * error / error.size)
    slopes = [
        g + l1 * np.sign(each) + 2 * l2 * each
        for g, each in zip(gradients.weights, network.weights, strict=True)
    ]
    return loss, slopes + gradients.biases


@pytest.mark.parametrize("stddev", [1.0, None])
def test_members_predict_like_networks_of_their_own(stddev):
    ensemble = ensembles.start(7, range(250), stddev=stddev)
    outputs = ensemble.predict(X)
    for member in range(250):
        expected = single(ensemble, member).forward(X).output[:, 0]
        np.testing.assert_allclose(outputs[member], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ensemble.loss(X, Y), ((outputs - Y[:, 0]) ** 2).mean(axis=1))


def test_training_side_by_side_is_training_one_by_one():
    l1, l2 = [0, 0.01, 0, 0.003], [0, 0, 0.02, 0.005]
    begun = ensembles.start(5, [0, 1, 2, 2])
    trained = ensembles.fit(begun, X, Y, 60, optimizers.SGD(0.05), batch_size=15, l1=l1, l2=l2)
    for member in range(4):
        network = single(begun, member)
        for t in range(60):
            rows = [slice(0, 15), slice(15, 30), slice(30, 40)][t % 3]  # the last one is shorter
            _, slopes = penalised(network, X[rows], Y[rows], l1[member], l2[member])
            network.weights = [
                w - 0.05 * g for w, g in zip(network.weights, slopes[:2], strict=True)
            ]
            network.biases = [b - 0.05 * g for b, g in zip(network.biases, slopes[2:], strict=True)]
        expected = np.concatenate([part.ravel() for part in network.weights + network.biases])
        np.testing.assert_allclose(trained.theta[member], expected, rtol=1e-9, atol=1e-12)


def test_the_start_is_not_changed():
    begun = ensembles.start(3, [0])
    before = begun.theta.copy()
    ensembles.fit(begun, X, Y, 5)
    np.testing.assert_array_equal(begun.theta, before)


def test_training_agrees_with_keras():
    import keras

    begun = ensembles.start(11, [0])
    penalty = keras.regularizers.L1L2(0.002, 0.005)
    layers = [
        keras.layers.Dense(11, activation="relu", kernel_regularizer=penalty),
        keras.layers.Dense(1, kernel_regularizer=penalty),
    ]
    model = keras.Sequential([keras.Input((2,)), *layers])
    W1, W2, b1, b2 = (part[0] for part in begun.layers())
    layers[0].set_weights([W1, b1[0]])
    layers[1].set_weights([W2, b2[0]])
    model.compile(keras.optimizers.SGD(0.02), loss="mse")
    model.fit(X, Y, batch_size=10, epochs=15, shuffle=False, verbose=0)
    ours = ensembles.fit(begun, X, Y, 60, optimizers.SGD(0.02), batch_size=10, l1=0.002, l2=0.005)
    for part, theirs in zip(
        ours.layers(),
        (layers[0].kernel, layers[1].kernel, layers[0].bias, layers[1].bias),
        strict=True,
    ):
        np.testing.assert_allclose(part[0].reshape(theirs.shape), theirs, rtol=1e-3, atol=1e-4)


def test_every_member_may_have_its_own_labels_and_learning_rate():
    begun = ensembles.start(4, [3, 3])
    together = ensembles.fit(
        begun, X, np.array([Y, 1 - Y]), 30, schedule=lambda t: np.array([[0.01], [0.002]])
    )
    for member, (labels, rate) in enumerate(((Y, 0.01), (1 - Y, 0.002))):
        alone = ensembles.fit(ensembles.start(4, [3]), X, labels, 30, optimizers.Adam(rate))
        np.testing.assert_allclose(together.theta[member], alone.theta[0], rtol=1e-9, atol=1e-12)


def test_training_shows_the_networks_on_the_way():
    begun = ensembles.start(4, [0, 1])
    shown = list(ensembles.train(begun, X, Y, 50, every=20))
    assert len(shown) == 2  # after 20 and 40 steps
    for networks, steps in zip(shown, (20, 40), strict=True):
        np.testing.assert_array_equal(networks.theta, ensembles.fit(begun, X, Y, steps).theta)


def test_dropout_keeps_the_gradient_right_on_average():
    """One step of plain descent moves the output layer's mean by the mean gradient.

    The output of a network is linear in the survivors, so the mean output over many masks is the
    output without dropout; its spread grows with p / (1 − p).
    """
    begun = ensembles.start(30, [0])
    moved = np.array(
        [
            begun.theta[0, -1]  # one step with η = 1 moves the output bias by its slope, 2 · output
            - ensembles.fit(
                begun, X[:1], [[0.0]], 1, optimizers.SGD(1.0), dropout=0.3, seed=seed
            ).theta[0, -1]
            for seed in range(2000)
        ]
    )
    output = begun.predict(X[:1])[0, 0]
    assert moved.mean() / 2 == pytest.approx(output, abs=5 * moved.std() / 2 / np.sqrt(2000))
    W1, W2, b1, _ = (part[0] for part in begun.layers())
    parts = np.maximum(X[:1] @ W1 + b1, 0) * W2.T
    assert moved.std() / 2 == pytest.approx(np.sqrt(0.3 / 0.7 * np.sum(parts**2)), rel=0.1)


def test_a_member_is_trained_as_if_it_were_alone():
    begun = ensembles.start(6, [0, 1, 2])
    options = {"dropout": 0.4, "l1": 0.01, "batch_size": 15, "seed": 3}
    together = ensembles.fit(begun, X, Y, 50, **options)
    for member in range(3):
        alone = ensembles.fit(ensembles.start(6, [member]), X, Y, 50, **options)
        np.testing.assert_allclose(together.theta[member], alone.theta[0], rtol=1e-9, atol=1e-12)


def test_dropout_of_zero_changes_nothing_for_its_members():
    begun = ensembles.start(6, [0, 0])
    mixed = ensembles.fit(begun, X, Y, 20, dropout=[0, 0.5])
    plain = ensembles.fit(begun, X, Y, 20)
    np.testing.assert_allclose(mixed.theta[0], plain.theta[0], rtol=1e-12)
    assert np.abs(mixed.theta[1] - plain.theta[1]).max() > 1e-3


def test_ring_training_gives_the_listed_values():
    """The free run of the first seed; the lecture runs all of them."""
    listed = REFERENCE["ring_training"]["tf2_p29_sgd0_01_b32_400ep"]
    x, y = datasets.two_class_ring()
    networks = ensembles.fit(
        ensembles.start(11, [0, 1, 2] * 2), x, y, 4000, optimizers.SGD(0.01), batch_size=32,
        l2=[0, 0, 0, 0.015, 0.015, 0.015],
    )  # fmt: skip
    w2 = (networks.weights**2).sum(axis=1)
    np.testing.assert_allclose(w2[:3], listed["sum_w2_free"], atol=0.05)
    np.testing.assert_allclose(w2[3:], listed["sum_w2_L2"], atol=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ensembles.start(0, [0]), "width must be a whole number"),
        (lambda: ensembles.start(3, []), "at least one"),
        (lambda: ensembles.start(3, [0]).predict(np.ones((4, 3))), r"shape \(n, 2\)"),
        (lambda: ensembles.start(3, [0]).predict(np.ones((0, 2))), r"shape \(n, 2\)"),
        (lambda: ensembles.start(3, [0]).loss(X, Y[:, 0]), r"y must have shape \(40, 1\)"),
        (lambda: ensembles.fit(ensembles.start(3, [0]), X, Y[:5], 3), "y must have shape"),
        (lambda: ensembles.fit(ensembles.start(3, [0]), X, Y, 0), "steps must be"),
        (lambda: ensembles.fit(ensembles.start(3, [0]), X, Y, 3, batch_size=0), "batch_size"),
        (lambda: ensembles.fit(ensembles.start(3, [0]), X, Y, 3, dropout=1), "dropout must lie"),
        (lambda: ensembles.fit(ensembles.start(3, [0]), X, Y, 3, l2=-1), "l2 must lie"),
        (lambda: ensembles.fit(ensembles.start(3, [0]), X, Y, 3, l1=[1, 2]), "each of the 1"),
        (lambda: ensembles.fit(ensembles.start(3, [0]), X, Y, 3, l1=np.nan), "l1 must lie"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
