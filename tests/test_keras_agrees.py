"""NumPy against Keras and TensorFlow. One file, so that TensorFlow is imported once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from coursekit import (
    activations,
    averages,
    initializers,
    losses,
    network,
    normalization,
    optimizers,
    regularizers,
    schedules,
)
from coursekit.landscapes import parabola, ravine, rosenbrock, saddle
from coursekit.training import make_deterministic

# Keras rounds learning rate, momentum, decay … to float32, which holds these numbers exactly.
LR, MOMENTUM, BETA_2, EPSILON = 2.0**-6, 0.875, 1 - 2.0**-10, 2.0**-23


def pair(name, learning_rate=LR, ours=(), **constants):
    """Make the same optimiser here and in Keras; `ours` are arguments that Keras does not know."""
    return (
        getattr(optimizers, name)(learning_rate, **constants, **dict(ours)),
        getattr(keras.optimizers, name)(learning_rate, **constants),
    )


ADAM = {"beta_1": MOMENTUM, "beta_2": BETA_2, "epsilon": EPSILON}
OPTIMIZERS = {
    "sgd": pair("SGD"),
    "momentum": pair("SGD", momentum=MOMENTUM),
    "keras form": pair("SGD", momentum=MOMENTUM, ours={"form": "keras"}),
    "nesterov": pair("SGD", momentum=MOMENTUM, nesterov=True, ours={"form": "keras"}),
    "adagrad": pair("Adagrad", initial_accumulator_value=0.125, epsilon=EPSILON),
    "adagrad from 0": pair("Adagrad", initial_accumulator_value=0.0, epsilon=2.0**-10),
    "adadelta": pair("Adadelta", learning_rate=1.0),
    "adadelta of the paper": pair("Adadelta", learning_rate=1.0, rho=0.875, epsilon=1e-6),
    "rmsprop": pair("RMSprop"),
    "rmsprop centred": pair("RMSprop", rho=0.75, momentum=0.5, epsilon=2.0**-10, centered=True),
    "adam": pair("Adam", **ADAM),
    "adam with large epsilon": pair("Adam", beta_1=0.75, beta_2=0.9375, epsilon=0.125),
    "adamw": pair("AdamW", **ADAM, weight_decay=2.0**-8),
    "adamw with strong decay": pair("AdamW", **ADAM, weight_decay=0.5),
}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def variable(value):
    return keras.Variable(np.asarray(value, dtype=np.float64), dtype="float64")


def keras_path(optimizer, start, gradient, steps):
    """Let a fresh copy of a Keras optimiser walk."""
    optimizer = type(optimizer).from_config(optimizer.get_config())
    w = variable(start)
    points = [w.numpy()]
    for t in range(steps):
        optimizer.apply([tf.constant(gradient(t, points[-1]))], [w])
        points.append(w.numpy())
    return np.array(points)


def compare_on_random_gradients(ours, theirs, rtol, atol):
    """250 parameters, 80 steps, gradients of all sizes from 1e-4 to 1e4 and zeros."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(80, 250)) * 10.0 ** rng.integers(-4, 5, 250)
    gradients[:, :5] = 0
    gradients[rng.random((80, 250)) < 0.1] = 0
    start = rng.normal(size=250)
    expected = keras_path(theirs, start, lambda t, w: gradients[t], 80)
    w, state = start, ours.begin(start)
    for t in range(80):
        w, state = ours.step(w, gradients[t], state, t + 1, ours.learning_rate)
        np.testing.assert_allclose(w, expected[t + 1], rtol=rtol, atol=atol)


@each_optimizer
def test_optimizers_on_random_gradients(name):
    compare_on_random_gradients(*OPTIMIZERS[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW"])
def test_optimizers_with_their_defaults(name):
    ours, theirs = getattr(optimizers, name)(), getattr(keras.optimizers, name)()
    compare_on_random_gradients(ours, theirs, rtol=1e-4, atol=1e-6)


@each_optimizer
def test_optimizers_on_landscapes(name):
    """One walk of Keras over five coordinates covers three landscapes, 150 steps each."""
    ours, theirs = OPTIMIZERS[name]
    start = np.array([5.0, 10.0, 1.0, 1.0, 0.1])
    parts = [(slice(0, 1), parabola()), (slice(1, 3), ravine(30)), (slice(3, 5), saddle())]

    def gradient(t, w):
        return np.concatenate([landscape.gradient(w[part]) for part, landscape in parts])

    expected = keras_path(theirs, start, gradient, 150)
    for part, landscape in parts:
        trace = optimizers.minimize(landscape, ours, start[part], 150)
        np.testing.assert_allclose(trace.points, expected[:, part], rtol=1e-7, atol=1e-9)


def test_keras_stores_the_look_ahead_points_of_nesterov():
    start = [-1.2, 1.0]
    theirs = keras.optimizers.SGD(2.0**-11, momentum=MOMENTUM, nesterov=True)
    expected = keras_path(theirs, start, lambda t, w: rosenbrock().gradient(w), 300)
    ours = optimizers.SGD(2.0**-11, momentum=MOMENTUM, nesterov=True)
    points = optimizers.minimize(rosenbrock(), ours, start, 300).points
    ahead = points + MOMENTUM * np.diff(points, axis=0, prepend=points[:1])
    np.testing.assert_allclose(ahead, expected, rtol=1e-8)


def test_defaults_are_those_of_keras():
    for cls in ("Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "SGD"):
        ours = vars(getattr(optimizers, cls)())
        theirs = getattr(keras.optimizers, cls)().get_config()
        for name in ours.keys() & theirs.keys():
            assert ours[name] == pytest.approx(theirs[name], rel=1e-6), (cls, name)


def test_optimizer_follows_a_keras_schedule():
    theirs = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5, True))
    expected = keras_path(theirs, [5.0], lambda t, w: parabola().gradient(w) / 4, 60)
    schedule = schedules.exponential_decay(0.125, 10, 0.5, staircase=True)
    trace = optimizers.minimize(parabola(), optimizers.SGD(1), 5, 60, schedule)
    np.testing.assert_allclose(trace.points, expected, rtol=1e-6)


K = keras.optimizers.schedules
LR64 = np.float64(0.1)  # makes Keras calculate in float64


def schedule_pairs(rng):
    """Make each schedule twice, with random constants."""
    steps, rate = int(rng.integers(1, 100)), rng.uniform(0.1, 0.99)
    alpha, stair = rng.uniform(0, 0.5), bool(rng.integers(2))
    power, cycle, t_mul = rng.uniform(0.5, 3), bool(rng.integers(2)), rng.uniform(1.1, 3)
    edges = sorted(rng.choice(300, 3, replace=False).tolist())
    values = rng.uniform(0.01, 1, 4).tolist()
    warmup = int(rng.integers(1, 50))
    return {
        "exponential": (
            schedules.exponential_decay(0.1, steps, rate, stair),
            K.ExponentialDecay(LR64, steps, rate, stair),
        ),
        "inverse": (
            schedules.inverse_time_decay(0.1, steps, rate, stair),
            K.InverseTimeDecay(LR64, steps, rate, stair),
        ),
        "polynomial": (
            schedules.polynomial_decay(0.1, steps, 0.01, power, cycle),
            K.PolynomialDecay(LR64, steps, 0.01, power, cycle),
        ),
        "cosine": (
            schedules.cosine_decay(0.1, steps, alpha),
            K.CosineDecay(LR64, steps, alpha),
        ),
        "warmup": (
            schedules.with_warmup(schedules.cosine_decay(0.1, steps, alpha), warmup, 0.02),
            K.CosineDecay(np.float64(0.02), steps, alpha, warmup_target=LR64, warmup_steps=warmup),
        ),
        "restarts": (
            schedules.cosine_restarts(0.1, steps + 0.3, t_mul, rate, alpha),
            K.CosineDecayRestarts(LR64, steps + 0.3, t_mul, rate, alpha),
        ),
        "piecewise": (
            schedules.piecewise_constant(edges, values),
            K.PiecewiseConstantDecay(edges, values),
        ),
    }


def test_schedules():
    rng = np.random.default_rng(0)
    for _ in range(50):
        pairs = schedule_pairs(rng)
        for name, (ours, theirs) in pairs.items():
            for step in rng.integers(0, 300, 4):
                expected = float(theirs(int(step)))
                assert ours(int(step)) == pytest.approx(expected, rel=2e-6, abs=1e-9), name


def test_schedules_over_thousands_of_steps():
    """Every step of a long training, as the lecture on decay shows it with other numbers."""
    rng = np.random.default_rng(1)
    steps = np.arange(6000)
    for _ in range(20):
        pairs = schedule_pairs(rng)
        del pairs["warmup"]  # Keras's takes one step at a time only
        for name, (ours, theirs) in pairs.items():
            expected = np.array(theirs(steps.astype(np.float64)))
            np.testing.assert_allclose(ours(steps), expected, rtol=2e-6, atol=1e-7, err_msg=name)


ACTIVATIONS = {
    "linear": keras.activations.linear,
    "relu": keras.activations.relu,
    "leaky_relu": keras.activations.leaky_relu,
    "elu": keras.activations.elu,
    "softplus": keras.activations.softplus,
    "gelu": keras.activations.gelu,
    "silu": keras.activations.silu,
    "sigmoid": tf.nn.sigmoid,
    "tanh": keras.activations.tanh,
}


TIGHT = {"rtol": 1e-10, "atol": 1e-13}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_derivatives(name):
    x = np.random.default_rng(0).normal(0, 8, 500)
    x = np.concatenate([x, [-1e4, -700, -40, 0, 40, 700, 1e4]])
    t = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(t)
        y = ACTIVATIONS[name](t)
    f = getattr(activations, name)
    # TensorFlow rounds the constants of these two to float32; SciPy checks them closer.
    close = {"rtol": 1e-6, "atol": 1e-7} if name in ("gelu", "leaky_relu") else TIGHT
    np.testing.assert_allclose(f(x), y, **close)
    np.testing.assert_allclose(f.derivative(x), tape.gradient(y, t), **close)


def test_approximate_gelu_and_constants():
    x = np.random.default_rng(0).normal(0, 3, 300)
    t = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(t)
        y = tf.nn.gelu(t, approximate=True)
    np.testing.assert_allclose(activations.gelu(x, approximate=True), y, atol=1e-6)
    slope = activations.gelu.derivative(x, approximate=True)
    np.testing.assert_allclose(slope, tape.gradient(y, t), atol=1e-6)
    leaky = activations.leaky_relu(x, negative_slope=0.01)
    np.testing.assert_allclose(leaky, keras.activations.leaky_relu(t, negative_slope=0.01))
    np.testing.assert_allclose(activations.elu(x, alpha=2), keras.activations.elu(t, alpha=2.0))


def extreme_logits(n=300, classes=5):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (n, classes)) * 10.0 ** rng.integers(-2, 3, (n, 1))
    logits[:3] = [[1000, -1000, 0, 0, 0], [1000] * 5, [-1000, -1000, -999, -1000, -1000]]
    return logits, rng.integers(classes, size=n), rng.dirichlet(np.ones(classes), n)


def test_softmax_and_cross_entropy():
    logits, labels, soft = extreme_logits()
    np.testing.assert_allclose(activations.softmax(logits), tf.nn.softmax(logits), atol=1e-13)
    np.testing.assert_allclose(activations.softmax(logits, 0), tf.nn.softmax(logits, 0), atol=1e-13)
    sparse = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    np.testing.assert_allclose(losses.softmax_cross_entropy(labels, logits), sparse, atol=1e-11)
    dense = tf.nn.softmax_cross_entropy_with_logits(soft, logits)
    np.testing.assert_allclose(losses.softmax_cross_entropy(soft, logits), dense, rtol=1e-10)


def test_losses():
    _, labels, p = extreme_logits()
    q = np.random.default_rng(2).dirichlet(np.full(5, 5.0), 300)
    q = (q + 1e-3) / (q + 1e-3).sum(axis=1, keepdims=True)  # out of reach of Keras's clipping
    p = (p + 1e-3) / (p + 1e-3).sum(axis=1, keepdims=True)
    one_hot = np.eye(5)[labels]
    for truth in (p, one_hot):
        expected = keras.losses.categorical_crossentropy(tf.constant(truth), tf.constant(q))
        np.testing.assert_allclose(losses.cross_entropy(truth, q), expected, rtol=1e-6)
    expected = keras.losses.kl_divergence(tf.constant(p), tf.constant(q))
    np.testing.assert_allclose(losses.kl_divergence(p, q), expected, rtol=1e-5, atol=1e-7)
    for a, b in zip(p, q, strict=True):
        expected = keras.losses.MeanSquaredError(dtype="float64")(a, b)
        assert losses.mean_squared_error(a, b) == pytest.approx(float(expected), rel=1e-10)


def test_asymmetric_loss():
    """TensorFlow's `where` and sum, as in the source's program, for random prices and sizes."""
    rng = np.random.default_rng(3)
    for cost, profit in rng.uniform(0, 20, (300, 2)):
        y, p = rng.normal(0, 10.0 ** rng.integers(-4, 5), (2, rng.integers(1, 40), 1))
        expected = tf.reduce_sum(tf.where(tf.greater(p, y), cost * (p - y), profit * (y - p)))
        ours = losses.asymmetric_loss(y, p, cost, profit)
        assert ours == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("decay", [0.1, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("with_num_updates", [False, True])
def test_shadow_average(decay, with_num_updates):
    values = np.random.default_rng(0).normal(size=(60, 250))
    w = tf.Variable(values[0])
    count = tf.Variable(0) if with_num_updates else None
    theirs = tf.train.ExponentialMovingAverage(decay, num_updates=count)
    theirs.apply([w])  # the shadow starts at the variable
    ours = averages.ShadowAverage(decay, values[0])
    for n, value in enumerate(values[1:]):
        w.assign(value)
        if count is not None:
            count.assign(n)
        theirs.apply([w])
        shadow = ours.update(value, num_updates=n if with_num_updates else None)
        np.testing.assert_allclose(shadow, theirs.average(w), atol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, 0.9, 0.999])
def test_use_ema_is_a_shadow_that_starts_after_the_first_step(momentum):
    """What lecture 06 says of Keras: no zero at the start, no ramp, overwritten at the end."""
    gradients = np.random.default_rng(0).normal(size=(60, 250)).astype("float32")
    w = keras.Variable(np.ones(250, "float32"))
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=momentum)
    seen = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [w])
        seen.append(w.numpy())
    ours = averages.ShadowAverage(momentum, seen[0])
    for value in seen[1:]:
        ours.update(value)
    assert not np.allclose(w, ours.shadow, atol=1e-3)
    optimizer.finalize_variable_values([w])
    np.testing.assert_allclose(w, ours.shadow, atol=1e-5)


def test_back_propagation():
    """200 random networks against `tf.GradientTape`."""
    rng = np.random.default_rng(0)
    names = ["relu", "tanh", "sigmoid", "elu", "softplus", "gelu", "silu", "linear"]
    for case in range(200):
        sizes = rng.integers(1, 6, rng.integers(2, 5)).tolist()
        hidden, last = rng.choice(names, 2)
        ours = network.DenseNetwork(
            sizes, rng, getattr(activations, hidden), getattr(activations, last), bias=case % 2 == 0
        )
        ours.biases = [rng.normal(size=b.shape) for b in ours.biases]
        x, y = rng.normal(size=(7, sizes[0])), rng.normal(size=(7, sizes[-1]))
        forward = ours.forward(x)
        gradients = ours.backward(forward, 2 * (forward.output - y) / y.size)

        weights, biases = ([tf.constant(a) for a in group] for group in (ours.weights, ours.biases))
        functions = [ACTIVATIONS[hidden]] * (len(sizes) - 2) + [ACTIVATIONS[last]]
        inputs = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch([weights, biases, inputs])
            a = inputs
            for layer, f in enumerate(functions):
                z = tf.matmul(a, weights[layer])
                a = f(z + biases[layer] if biases else z)
            loss = tf.reduce_mean((a - y) ** 2)
        expected = tape.gradient(loss, [*weights, *biases, inputs])
        np.testing.assert_allclose(forward.output, a, rtol=1e-6, atol=1e-7)
        found = [*gradients.weights, *gradients.biases, gradients.inputs]
        for gradient, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(gradient, other, rtol=1e-6, atol=1e-7)


def test_counts():
    for sizes in ([3, 4, 2], [784, 128, 10], [5, 7, 7, 1]):
        for bias in (True, False):
            model = keras.Sequential([keras.Input((sizes[0],))])
            for units in sizes[1:]:
                model.add(keras.layers.Dense(units, use_bias=bias))
            assert network.count_parameters(sizes, bias) == model.count_params()


@pytest.mark.parametrize("shape", [(200, 100), (3, 3, 32, 64)])
@pytest.mark.parametrize(
    ("name", "theirs"),
    {
        "uniform": keras.initializers.RandomUniform,
        "normal": keras.initializers.RandomNormal,
        "glorot_uniform": keras.initializers.GlorotUniform,
        "glorot_normal": keras.initializers.GlorotNormal,
        "he_normal": keras.initializers.HeNormal,
        "orthogonal": keras.initializers.Orthogonal,
    }.items(),
)
def test_initializers_have_the_same_distribution(name, theirs, shape):
    ours = getattr(initializers, name)(shape, np.random.default_rng(1))
    expected = np.asarray(theirs(seed=1)(shape))
    assert ours.shape == expected.shape
    assert stats.ks_2samp(ours.ravel(), expected.ravel()).pvalue > 0.01


@pytest.mark.parametrize("shape", [(50, 250), (6, 5, 4, 250)])
def test_batch_norm(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, shape)
    gamma, beta, mean = rng.normal(size=(3, 250))
    variance = rng.uniform(0.1, 4, 250)
    layer = keras.layers.BatchNormalization(dtype="float64")
    layer.build(shape)
    layer.set_weights([gamma, beta, mean, variance])
    expected = layer(x, training=False)
    found = normalization.batch_norm(x, gamma, beta, mean=mean, variance=variance)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    expected = layer(x, training=True)
    np.testing.assert_allclose(normalization.batch_norm(x, gamma, beta), expected, atol=1e-5)


def test_regularizers():
    for w in np.random.default_rng(0).normal(0, 10, (200, 4, 3)):
        t = tf.constant(w)
        assert regularizers.l1(w) == pytest.approx(float(keras.regularizers.L1(1.0)(t)), rel=1e-6)
        assert regularizers.l2(w) == pytest.approx(float(keras.regularizers.L2(1.0)(t)), rel=1e-6)
        assert regularizers.l2_loss(w) == pytest.approx(float(tf.nn.l2_loss(t)), rel=1e-12)


def test_make_deterministic():
    def train():
        make_deterministic(3)
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dropout(0.5)]
        )
        model.compile(loss="mse")
        x = np.random.rand(64, 4)  # noqa: NPY002, the seed of legacy NumPy is set, too
        history = model.fit(x, np.zeros((64, 8)), epochs=2, verbose=0)
        return history.history["loss"], model.get_weights()[0]

    (first_losses, first), (second_losses, second) = train(), train()
    assert first_losses == second_losses
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "3", None])
def test_make_deterministic_bad_seed(seed):
    with pytest.raises(ValueError, match="seed must be"):
        make_deterministic(seed)
