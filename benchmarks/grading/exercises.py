"""Two exercises with submissions to them: a realistic one with TensorFlow, and a cheap one."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

import nbformat

from tests.grading.notebook import code, notebook, text, write

IMPORTS = """import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf"""

DATA = """random = np.random.default_rng(1)
angle = np.linspace(0.5, np.pi, 200)
arms = [angle + turn for turn in (0, 2 * np.pi / 3, 4 * np.pi / 3)]
points = np.concatenate([np.stack([np.cos(a) * angle, np.sin(a) * angle], 1) for a in arms])
points = points + random.normal(0, 0.2, points.shape)
labels = np.repeat([0, 1, 2], 200)
plt.scatter(*points.T, c=labels)
plt.show()"""

STANDARDISE = """def standardise(x):
    \"\"\"Shift and scale each column to mean 0 and standard deviation 1.\"\"\"
    ### BEGIN SOLUTION
    return (x - x.mean(axis=0)) / x.std(axis=0)
    ### END SOLUTION"""
TEST_STANDARDISE = """x = standardise(np.array([[1.0, 10.0], [3.0, 50.0]]))
assert np.allclose(x, [[-1, -1], [1, 1]])
### BEGIN HIDDEN TESTS
x = standardise(points)
assert np.allclose(x.mean(axis=0), 0), "the mean is not 0"
assert np.allclose(x.std(axis=0), 1), "the standard deviation is not 1"
### END HIDDEN TESTS"""

LOSS = """def cross_entropy(probabilities, labels):
    \"\"\"Mean of the negative logarithm of the right classes' probabilities.\"\"\"
    ### BEGIN SOLUTION
    return -np.mean(np.log(probabilities[np.arange(len(labels)), labels]))
    ### END SOLUTION"""
TEST_LOSS = """p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
assert np.isclose(cross_entropy(p, np.array([0, 1])), 0.28990925)
### BEGIN HIDDEN TESTS
p = np.random.dirichlet([1, 1, 1], 50)
y = np.random.randint(0, 3, 50)
expected = tf.keras.losses.sparse_categorical_crossentropy(y, p).numpy().mean()
assert np.isclose(cross_entropy(p, y), expected, atol=1e-5)
### END HIDDEN TESTS"""

MODEL = """def build(units):
    \"\"\"Give a network with two hidden layers of so many ReLUs, and three classes.\"\"\"
    ### BEGIN SOLUTION
    return tf.keras.Sequential(
        [
            tf.keras.Input((2,)),
            tf.keras.layers.Dense(units, activation="relu"),
            tf.keras.layers.Dense(units, activation="relu"),
            tf.keras.layers.Dense(3, activation="softmax"),
        ]
    )
    ### END SOLUTION"""
TEST_MODEL = """model = build(8)
assert model.count_params() == 3 * 8 + 9 * 8 + 9 * 3
### BEGIN HIDDEN TESTS
p = model(points.astype("float32")).numpy()
assert p.shape == (600, 3)
assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
### END HIDDEN TESTS"""

TRAIN = """def train(model, x, y, epochs):
    \"\"\"Fit a model with Adam at a rate of 0.01; give the losses after each epoch.\"\"\"
    ### BEGIN SOLUTION
    model.compile(tf.keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history["loss"]
    ### END SOLUTION"""
TEST_TRAIN = """tf.keras.utils.set_random_seed(4)
model = build(16)
found = train(model, standardise(points).astype("float32"), labels, 5)
assert len(found) == 5
assert found[-1] < found[0], "the loss does not fall"
### BEGIN HIDDEN TESTS
guess = model(standardise(points).astype("float32")).numpy().argmax(axis=1)
assert (guess == labels).mean() > 0.8, "the network has learned too little"
### END HIDDEN TESTS"""

TENSORFLOW = notebook(
    text("# A network for three arms"),
    code(IMPORTS, "locked", "imports"),
    code(DATA, "locked", "data"),
    text("## Task 1: Standardise (2 points)"),
    code(STANDARDISE, "answer", "standardise"),
    code(TEST_STANDARDISE, "tests", "test_standardise", 2),
    text("## Task 2: Cross entropy (2 points)"),
    code(LOSS, "answer", "loss"),
    code(TEST_LOSS, "tests", "test_loss", 2),
    text("## Task 3: The network (2 points)"),
    code(MODEL, "answer", "model"),
    code(TEST_MODEL, "tests", "test_model", 2),
    text("## Task 4: Training (4 points)"),
    code(TRAIN, "answer", "train"),
    code(TEST_TRAIN, "tests", "test_train", 4),
)
CHEAP = notebook(
    text("# Two sums"),
    code("import numpy as np", "locked", "imports"),
    code(STANDARDISE, "answer", "standardise"),
    code(TEST_STANDARDISE.partition("### BEGIN")[0], "tests", "test_standardise", 2),
    code(LOSS, "answer", "loss"),
    code(TEST_LOSS.partition("### BEGIN")[0], "tests", "test_loss", 2),
)
# What students get wrong, one after the other; only the first is right throughout.
MISTAKES = (
    ("", ""),
    ("x.mean(axis=0)", "x.mean()"),
    ("-np.mean", "-np.sum"),
    ("Dense(3,", "Dense(2,"),
    ('verbose=0).history["loss"]', "verbose=0)"),
)


def lay_out(source: nbformat.NotebookNode, numbers: Iterable[int], course: Path) -> Path:
    """Write a source and submissions in nbgrader's layout, as assignment "ps"."""
    write(source, course / "source" / "ps" / "work.ipynb")
    config = 'c = get_config()\nc.CourseDirectory.course_id = "course"\n'
    (course / "nbgrader_config.py").write_text(config)
    for number in numbers:
        right, wrong = MISTAKES[number % len(MISTAKES)]
        handed = copy.deepcopy(source)
        for cell in handed.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = cell.source.replace(right, wrong) + f"\n# by number {number}"
            cell.source = without(cell.source, "SOLUTION", "HIDDEN TESTS")
        write(handed, course / "submitted" / f"s{number:04}" / "ps" / "work.ipynb")
    return course


def without(source: str, solution: str, hidden: str) -> str:
    """Drop the marks around solutions, and hidden tests with what is in them."""
    lines, drop = [], False
    for line in source.splitlines():
        drop = drop or f"### BEGIN {hidden}" in line
        if not drop and solution not in line:
            lines.append(line)
        drop = drop and f"### END {hidden}" not in line
    return "\n".join(lines)
