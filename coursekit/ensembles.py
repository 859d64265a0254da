"""Many small networks of one shape, trained side by side.

A network of 45 parameters keeps a computer waiting for Python. Fifty of them in one array take
hardly longer, so that an experiment can be repeated with several seeds and several penalties at
once. Every network here has one hidden layer of ReLUs and one linear output, and every weight of
member k lies in row k of `Ensemble.theta`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coursekit import _check
from coursekit.optimizers import Adam, Optimizer

Array = NDArray[np.float64]
FIRST_BIAS = 0.01  # as in the course's program; it hardly matters


class Ensemble(NamedTuple):
    """Networks with one hidden layer of ReLUs and one linear output.

    Attributes
    ----------
    theta : numpy.ndarray, shape (members, parameters)
        Parameters, one network in each row: hidden weights, output weights, hidden biases, output
        bias.
    inputs, width : int
        Number of inputs and of hidden neurons.
    """

    theta: Array
    inputs: int
    width: int

    @property
    def weights(self) -> Array:
        """All weights of each network without its biases, shape (members, weights)."""
        return self.theta[:, : (self.inputs + 1) * self.width]

    def layers(self) -> tuple[Array, Array, Array, Array]:
        """Give the parameters in their shapes, as views on `theta`.

        Returns
        -------
        W1, W2, b1, b2 : numpy.ndarray
            Shapes (members, inputs, width), (members, width, 1), (members, 1, width) and
            (members, 1, 1).
        """
        members, first = len(self.theta), self.inputs * self.width
        both = first + self.width
        return (
            self.theta[:, :first].reshape(members, self.inputs, self.width),
            self.theta[:, first:both].reshape(members, self.width, 1),
            self.theta[:, both:-1].reshape(members, 1, self.width),
            self.theta[:, -1:].reshape(members, 1, 1),
        )

    def predict(self, x: ArrayLike) -> Array:
        """Compute every network's output for every point.

        Parameters
        ----------
        x : array_like, shape (n, inputs)

        Returns
        -------
        numpy.ndarray, shape (members, n)

        Raises
        ------
        ValueError
            If `x` has another shape.
        """
        W1, W2, b1, b2 = self.layers()
        hidden = np.maximum(_points(x, self.inputs) @ W1 + b1, 0)
        return (hidden @ W2 + b2)[..., 0]

    def loss(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Compute every network's mean squared error, without any penalty.

        Parameters
        ----------
        x : array_like, shape (n, inputs)
        y : array_like, shape (n, 1), or (members, n, 1) if every member has its own labels

        Returns
        -------
        numpy.ndarray, shape (members,)
        """
        truth = _labels(y, len(np.asarray(x)), len(self.theta))[..., 0]
        return ((self.predict(x) - truth) ** 2).mean(axis=1)


def start(
    width: int, seeds: Sequence[int], inputs: int = 2, stddev: float | None = 1.0
) -> Ensemble:
    """Make untrained networks.

    Parameters
    ----------
    width : int
        Number of hidden neurons.
    seeds : sequence of int
        One for each network, for `numpy.random.RandomState`, as in `coursekit.datasets`.
    inputs : int
    stddev : float, optional
        Standard deviation of the first weights. None is He's choice, √(2 / fan-in).

    Returns
    -------
    Ensemble

    Raises
    ------
    ValueError
        If `width` or `inputs` is not a positive whole number, or there are no seeds.

    References
    ----------
    K. He et al., "Delving deep into rectifiers", ICCV 2015.
    """
    _check.whole(minimum=1, width=width, inputs=inputs)
    if not len(seeds):
        raise ValueError("seeds must list at least one whole number, one for each network")
    rows = []
    for seed in seeds:
        random = np.random.RandomState(seed)
        W1, W2 = random.randn(inputs, width), random.randn(width, 1)
        scale_1, scale_2 = (
            (stddev, stddev) if stddev is not None else (np.sqrt(2 / inputs), np.sqrt(2 / width))
        )
        biases = np.full(width + 1, FIRST_BIAS)
        rows.append(np.concatenate([scale_1 * W1.ravel(), scale_2 * W2.ravel(), biases]))
    return Ensemble(np.array(rows), inputs, width)


def train(
    ensemble: Ensemble,
    x: ArrayLike,
    y: ArrayLike,
    steps: int,
    optimizer: Optimizer | None = None,
    *,
    batch_size: int | None = None,
    schedule: Callable[[int], ArrayLike] | None = None,
    l1: ArrayLike = 0.0,
    l2: ArrayLike = 0.0,
    dropout: ArrayLike = 0.0,
    seed: int = 0,
    every: int = 1,
) -> Iterator[Ensemble]:
    """Minimise mean squared error + l1 · Σ|w| + l2 · Σw², and show the networks on the way.

    Biases are not penalised. The batches are taken in the order of the data, the same for all
    members.

    Parameters
    ----------
    ensemble : Ensemble
        Where to start; it is not changed.
    x : array_like, shape (n, inputs)
    y : array_like, shape (n, 1), or (members, n, 1) if every member has its own labels
    steps : int
    optimizer : Optimizer, optional
        From `coursekit.optimizers`; Adam by default.
    batch_size : int, optional
        Samples for one step; by default all.
    schedule : callable, optional
        From the step, counted from 0, to the learning rate: a number, or shape (members, 1).
    l1, l2 : float or array_like, shape (members,)
        Strengths λ of the penalties, Keras's convention.
    dropout : float or array_like, shape (members,)
        Share of hidden neurons that is silenced in each step, anew for each sample; the others
        are divided by 1 − dropout, as in Keras.
    seed : int
        Of the generator that draws the silenced neurons, for all members alike.
    every : int
        Yield after so many steps.

    Yields
    ------
    Ensemble
        After `every`, 2 · `every`, … steps.

    Raises
    ------
    ValueError
        If a shape does not fit, `dropout` leaves [0, 1), a λ is negative or `steps` is no whole
        number.

    References
    ----------
    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 15 (2014).
    """
    theta, inputs, width = ensemble
    members, weights = len(theta), (inputs + 1) * width
    x = _points(x, inputs)
    y = _labels(y, len(x), members)
    batch_size = len(x) if batch_size is None else batch_size
    _check.whole(minimum=1, steps=steps, batch_size=batch_size, every=every)
    l1, l2, dropout = (
        _for_each_member(members, limit, **{name: value})
        for name, value, limit in (("l1", l1, np.inf), ("l2", l2, np.inf), ("dropout", dropout, 1))
    )
    optimizer = optimizer or Adam()
    state = optimizer.begin(theta)
    random = np.random.default_rng(seed)
    batches = -(-len(x) // batch_size)  # rounded up: the last one may be shorter
    for t in range(steps):
        rows = slice(t % batches * batch_size, (t % batches + 1) * batch_size)
        kept = None
        if dropout.any():
            # The same draws for all members: each is trained as if it were alone.
            draws = random.random((len(x[rows]), width))
            kept = (draws >= dropout[..., None]) / (1 - dropout[..., None])
        g = _gradient(Ensemble(theta, inputs, width), x[rows], y[:, rows], kept)
        w = theta[:, :weights]
        g[:, :weights] += l1 * np.sign(w) + 2 * l2 * w
        lr = optimizer.learning_rate if schedule is None else schedule(t)
        theta, state = optimizer.step(theta, g, state, t + 1, lr)  # type: ignore[arg-type]
        if (t + 1) % every == 0:
            yield Ensemble(theta, inputs, width)


def fit(ensemble: Ensemble, x: ArrayLike, y: ArrayLike, steps: int, *args, **options) -> Ensemble:
    """Train to the end: the last networks that `train` yields, with the same arguments.

    Returns
    -------
    Ensemble

    Raises
    ------
    ValueError
        As `train`.
    """
    (last,) = train(ensemble, x, y, steps, *args, **(options | {"every": steps}))
    return last


def _gradient(ensemble: Ensemble, x: Array, y: Array, kept: Array | None) -> Array:
    """Back-propagation of the mean squared error through all networks at once."""
    W1, W2, b1, _ = layers = ensemble.layers()
    hidden = np.maximum(x @ W1 + b1, 0)
    if kept is not None:
        hidden = hidden * kept
    delta_2 = 2 * (hidden @ W2 + layers[3] - y) / len(x)
    delta_1 = delta_2 * W2.swapaxes(1, 2) * (hidden > 0)
    if kept is not None:
        delta_1 = delta_1 * kept
    slopes = ensemble._replace(theta=np.empty_like(ensemble.theta))
    for slope, value in zip(
        slopes.layers(),
        (
            x.T @ delta_1,
            hidden.swapaxes(1, 2) @ delta_2,
            delta_1.sum(axis=1, keepdims=True),
            delta_2.sum(axis=1, keepdims=True),
        ),
        strict=True,
    ):
        slope[:] = value
    return slopes.theta


def _points(x: ArrayLike, inputs: int) -> Array:
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != inputs or not len(points):
        raise ValueError(
            f"x must have shape (n, {inputs}), one point in each row, not {points.shape}"
        )
    return points


def _labels(y: ArrayLike, n: int, members: int) -> Array:
    labels = np.asarray(y, dtype=np.float64)
    if labels.shape not in ((n, 1), (members, n, 1)):
        raise ValueError(
            f"y must have shape ({n}, 1), or ({members}, {n}, 1) with labels for each member, "
            f"not {labels.shape}"
        )
    return labels.reshape(-1, n, 1)


def _for_each_member(members: int, limit: float, **values: ArrayLike) -> Array:
    ((name, value),) = values.items()
    array = np.asarray(value, dtype=np.float64)
    good = array.shape in ((), (members,)) and np.all((array >= 0) & (array < limit))
    if not good:
        raise ValueError(
            f"{name} must lie in [0, {limit}): one number, or one for each of the {members} members"
        )
    return array.reshape(-1, 1)
