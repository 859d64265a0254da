"""Wrong answers to the exercise of chapter 01, each with the message that is meant for it."""

from tests.exercises import Wrong


def layer(formula: str) -> str:
    """Write a `relu_layer` with another formula."""
    return f"def relu_layer(x, weights, biases):\n    return {formula}\n"


def softsign(formula: str) -> str:
    """Write a `softsign` with another formula."""
    return f"def softsign(z):\n    return {formula}\n"


def slope(formula: str) -> str:
    """Write a `softsign_slope` with another formula."""
    return f"def softsign_slope(z):\n    return {formula}\n"


def count(parameters: str, multiply_adds: str = "lines", layers: str = "len(neurons)") -> str:
    """Write a `count` that returns other numbers."""
    return (
        "def count(layer_sizes):\n"
        "    inputs, neurons = layer_sizes[:-1], layer_sizes[1:]\n"
        "    lines = sum(n * m for n, m in zip(inputs, neurons))\n"
        f"    return {layers}, {parameters}, {multiply_adds}\n"
    )


RIGHT = "lines + sum(neurons)"


def collapse(weights: str, biases: str, layers: str = "layers[1:]") -> str:
    """Write a `collapse` with another product or sum."""
    return (
        "def collapse(layers):\n"
        "    W, b = layers[0]\n"
        f"    for V, c in {layers}:\n"
        f"        W, b = {weights}, {biases}\n"
        "    return W, b\n"
    )


def relu_weights(
    points: str = "n + 1", weights: str = "np.diff(slopes, prepend=0)", bias: str = "heights[0]"
) -> str:
    """Write a `relu_weights` in which some of the bugs are left."""
    return (
        "def relu_weights(g, a, b, n):\n"
        f"    points = np.linspace(a, b, {points})\n"
        "    heights = g(points)\n"
        "    slopes = np.diff(heights) / np.diff(points)\n"
        f"    return points[:-1], {weights}, {bias}\n"
    )


WRONG = {
    # Task 1
    "no bend": Wrong("relu_layer", layer("x @ weights + biases"), "Did you bend?"),
    "no bias": Wrong(
        "relu_layer", layer("np.maximum(0, x @ weights)"), "Add the bias to the sum before you bend"
    ),
    "bias after the bend": Wrong(
        "relu_layer",
        layer("np.maximum(0, x @ weights) + biases"),
        "Add the bias before you bend, not after",
    ),
    "bends the inputs": Wrong(
        "relu_layer", layer("np.maximum(0, x) @ weights + biases"), "Did you bend?"
    ),
    "only the first sample": Wrong(
        "relu_layer", layer("np.maximum(0, x[:1] @ weights + biases)"), "the shape is (4, 2)"
    ),
    # Task 2
    "absolute value on top": Wrong(
        "softsign", softsign("np.abs(z) / (1 + np.abs(z))"), "Your curve is never negative"
    ),
    "no absolute value": Wrong(
        "softsign", softsign("z / (1 + z)"), "Is the absolute value missing in the denominator?"
    ),
    "square in the denominator": Wrong(
        "softsign", softsign("z / (1 + z**2)"), "The denominator is 1 + |z|, not 1 + z²"
    ),
    "tanh instead": Wrong("softsign", softsign("np.tanh(z)"), "softsign(9) is 9 / 10"),
    "denominator not squared": Wrong(
        "softsign_slope", slope("1 / (1 + np.abs(z))"), "squares the denominator"
    ),
    "slope of the sigmoid": Wrong(
        "softsign_slope",
        slope("z / (1 + np.abs(z)) * (1 - z / (1 + np.abs(z)))"),
        "is the slope of the sigmoid",
    ),
    "slope of tanh": Wrong(
        "softsign_slope", slope("1 - (z / (1 + np.abs(z))) ** 2"), "is the slope of tanh"
    ),
    "right for positive z only": Wrong(
        "softsign_slope", slope("1 / (1 + z) ** 2"), "Right for z > 0, wrong for z < 0"
    ),
    "falls for negative z": Wrong(
        "softsign_slope",
        slope("np.sign(z) / (1 + np.abs(z)) ** 2"),
        "so its slope is never negative",
    ),
    # Task 3
    "inputs as a layer": Wrong(
        "count", count(RIGHT, layers="len(layer_sizes)"), "The inputs are no layer"
    ),
    "hidden layers only": Wrong(
        "count", count(RIGHT, layers="len(layer_sizes) - 2"), "The output layer counts, too"
    ),
    "no biases": Wrong("count", count("lines"), "you forget the biases"),
    "biases of the inputs": Wrong("count", count("lines + sum(layer_sizes)"), "only neurons have"),
    "one bias for each layer": Wrong(
        "count", count("lines + len(neurons)"), "not one for the whole layer"
    ),
    "biases in the multiply-adds": Wrong(
        "count", count(RIGHT, RIGHT), "left out of the multiply-adds"
    ),
    "product of all sizes": Wrong(
        "count", count(RIGHT, "int(np.prod(layer_sizes))"), "multiply neighbours only"
    ),
    # Task 4
    "wrong order": Wrong("collapse", collapse("V @ W", "b @ V + c"), "in the wrong order"),
    "first bias lost": Wrong("collapse", collapse("W @ V", "c"), "b1 is lost"),
    "last bias lost": Wrong("collapse", collapse("W @ V", "b @ V"), "b2 is lost"),
    "biases added up": Wrong(
        "collapse", collapse("W @ V", "b[0] * np.ones(len(c)) + c"), "For the input 0"
    ),
    "two layers only": Wrong(
        "collapse", collapse("W @ V", "b @ V + c", "layers[1:2]"), "Do you use all layers?"
    ),
    # Task 5
    "one corner too few": Wrong(
        "relu_weights", relu_weights(points="n"), "How many points divide [a, b]"
    ),
    "slopes as weights": Wrong(
        "relu_weights", relu_weights(weights="slopes"), "must be the change of the slope"
    ),
    "bias at zero": Wrong("relu_weights", relu_weights(bias="g(0.0)"), "Your bias is g(0)"),
    "no first weight": Wrong(
        "relu_weights",
        relu_weights(weights="np.append(0, np.diff(slopes))"),
        "The first weight is wrong",
    ),
}
