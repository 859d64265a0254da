"""Fully connected networks: counting, forward pass, back-propagation, numerical gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coursekit import _check
from coursekit.activations import Activation, linear, relu
from coursekit.initializers import glorot_uniform, zeros

Array = NDArray[np.float64]


def count_parameters(layer_sizes: Sequence[int], bias: bool = True) -> int:
    """Count weights and biases: every layer has inputs · outputs weights and outputs biases.

    Parameters
    ----------
    layer_sizes : sequence of int
        From the inputs to the outputs, for example (784, 128, 10).
    bias : bool
        Whether neurons have biases.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there are fewer than two sizes, or one is not a positive whole number.

    Examples
    --------
    >>> count_parameters([3, 4, 2])
    26
    """
    outputs = sum(_sizes(layer_sizes)[1:])
    return count_multiply_adds(layer_sizes) + (outputs if bias else 0)


def count_multiply_adds(layer_sizes: Sequence[int]) -> int:
    """Count the multiplications (each with its addition) of one forward pass of one sample.

    Parameters
    ----------
    layer_sizes : sequence of int
        From the inputs to the outputs.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there are fewer than two sizes, or one is not a positive whole number.

    Examples
    --------
    >>> count_multiply_adds([3, 4, 2])
    20
    """
    return sum(inputs * outputs for inputs, outputs in pairwise(_sizes(layer_sizes)))


class Forward(NamedTuple):
    """All that a forward pass computed; back-propagation uses it again.

    Attributes
    ----------
    sums : list of numpy.ndarray, shapes (n, outputs of the layer)
        z = a W + b of each layer, before the activation.
    signals : list of numpy.ndarray
        The inputs of the network, then f(z) of each layer.
    """

    sums: list[Array]
    signals: list[Array]

    @property
    def output(self) -> Array:
        """What the last layer gives, shape (n, outputs)."""
        return self.signals[-1]


class Gradients(NamedTuple):
    """Slopes of a loss, each in the shape of what it belongs to.

    Attributes
    ----------
    weights, biases : list of numpy.ndarray
        One for each layer; `biases` is empty in a network without them.
    inputs : numpy.ndarray, shape (n, inputs)
    """

    weights: list[Array]
    biases: list[Array]
    inputs: Array


class DenseNetwork:
    """Layers of neurons, each connected to all of the layer before: a ← f(a W + b).

    Parameters
    ----------
    layer_sizes : sequence of int
        From the inputs to the outputs.
    rng : numpy.random.Generator
        Draws the first weights.
    activation, output_activation : Activation
        Of the hidden layers and of the last one. For softmax leave the last one linear and use
        `coursekit.losses.softmax_cross_entropy` on what comes out.
    initializer : callable
        From (shape, rng) to weights, see `coursekit.initializers`.
    bias : bool
        Whether neurons have biases; they start at 0.

    Attributes
    ----------
    weights : list of numpy.ndarray, shapes (inputs, outputs) of the layers
    biases : list of numpy.ndarray, shapes (outputs,); empty without biases
        Assign to these lists to train the network.

    Raises
    ------
    ValueError
        If a layer size is unusable or an activation has no derivative.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating
    errors", Nature 323 (1986).
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        rng: np.random.Generator,
        activation: Activation = relu,
        output_activation: Activation = linear,
        initializer: Callable[[tuple[int, int], np.random.Generator], Array] = glorot_uniform,
        bias: bool = True,
    ) -> None:
        shapes = list(pairwise(_sizes(layer_sizes)))
        self.weights = [initializer(shape, rng) for shape in shapes]
        self.biases = [zeros(outputs) for _, outputs in shapes] if bias else []
        self.activations = [activation] * (len(shapes) - 1) + [output_activation]
        if not all(isinstance(f, Activation) for f in self.activations):
            raise ValueError(
                "take an activation with a derivative from coursekit.activations; for softmax "
                "keep the output linear and use softmax_cross_entropy"
            )

    def forward(self, x: ArrayLike) -> Forward:
        """Compute the outputs, and keep the results on the way.

        Parameters
        ----------
        x : array_like, shape (n, inputs)

        Returns
        -------
        Forward
            ``sums`` and ``signals``; ``output`` is the last signal.

        Raises
        ------
        ValueError
            If `x` has another shape.
        """
        a = _matrix("x", x, len(self.weights[0]))
        sums, signals = [], [a]
        with np.errstate(all="ignore"):
            for layer, (W, f) in enumerate(zip(self.weights, self.activations, strict=True)):
                z = a @ W
                if self.biases:
                    z = z + self.biases[layer]
                a = f(z)
                sums.append(z)
                signals.append(a)
        return Forward(sums, signals)

    def backward(self, forward: Forward, output_gradient: ArrayLike) -> Gradients:
        """Apply the chain rule from the last layer to the first (back-propagation).

        Parameters
        ----------
        forward : Forward
            What `forward` returned.
        output_gradient : array_like, shape (n, outputs)
            Slope of the loss for each output: 2 (output − y) / output.size for the mean squared
            error.

        Returns
        -------
        Gradients
            ``weights``, ``biases`` and ``inputs``.

        Raises
        ------
        ValueError
            If `output_gradient` does not have the shape of the output.
        """
        g = np.asarray(output_gradient, dtype=np.float64)
        if g.shape != forward.output.shape:
            raise ValueError(
                f"output_gradient must have the shape of the output, {forward.output.shape}, "
                f"not {g.shape}"
            )
        weights: list[Array] = []
        biases: list[Array] = []
        with np.errstate(all="ignore"):
            for layer in reversed(range(len(self.weights))):
                delta = g * self.activations[layer].derivative(forward.sums[layer])
                weights.insert(0, forward.signals[layer].T @ delta)
                if self.biases:
                    biases.insert(0, delta.sum(axis=0))
                g = delta @ self.weights[layer].T
        return Gradients(weights, biases, g)


def numerical_gradient(f: Callable[[Array], float], x: ArrayLike, epsilon: float = 1e-6) -> Array:
    """Measure the slope by a small step to either side: (f(x + ε) − f(x − ε)) / (2 ε).

    The error shrinks like ε² until rounding takes over; near 1 an ε of 1e-6 is a good choice.

    Parameters
    ----------
    f : callable
        From an array in the shape of `x` to one number.
    x : array_like
    epsilon : float
        ε.

    Returns
    -------
    numpy.ndarray, shape of `x`

    Raises
    ------
    ValueError
        If `epsilon` is not above 0 or `f` returns several numbers.
    """
    _check.positive(epsilon=epsilon)
    x = np.asarray(x, dtype=np.float64)
    gradient = np.empty_like(x)
    with np.errstate(all="ignore"):
        for index in np.ndindex(x.shape):
            above, below = x.copy(), x.copy()
            above[index] += epsilon
            below[index] -= epsilon
            rise = np.asarray(f(above)) - np.asarray(f(below))
            if rise.size != 1:
                raise ValueError(f"f must return one number, not an array of shape {rise.shape}")
            gradient[index] = rise.item() / (2 * epsilon)
    return gradient


def _sizes(layer_sizes: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(layer_sizes) if np.iterable(layer_sizes) else ()
    if len(sizes) < 2:
        raise ValueError("layer_sizes must list at least inputs and outputs, such as [784, 10]")
    for size in sizes:
        _check.whole(minimum=1, layer_sizes=size)
    return sizes


def _matrix(name: str, values: ArrayLike, columns: int) -> Array:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != columns:
        raise ValueError(
            f"{name} must have shape (samples, {columns}), one sample in each row, "
            f"not {matrix.shape}"
        )
    return matrix
