"""Wrong answers to the exercise on the Sequential digit reader."""

from tests.exercises import Wrong

BUILD = """def build_model(hidden):
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
"""
TRAIN = """def train_model(x, y):
    model = build_model(64)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=6, batch_size=32, verbose=0)
    return model
"""
SCORES = """def scores(matrix, k):
    precision = matrix[k, k] / matrix[:, k].sum()
    recall = matrix[k, k] / matrix[k].sum()
    return precision, recall, 2 * precision * recall / (precision + recall)
"""


def changed(code: str, old: str, new: str) -> str:
    """Put one mistake into a right answer."""
    assert code.count(old) == 1, old
    return code.replace(old, new)


WRONG = {
    # Task 1
    "no biases": Wrong(
        "count_parameters",
        "def count_parameters(s):\n    return sum(a * b for a, b in zip(s, s[1:]))",
        "the weights only: every neuron has a bias",
    ),
    "inputs have biases": Wrong(
        "count_parameters",
        "def count_parameters(s):\n    return sum(a * b for a, b in zip(s, s[1:])) + sum(s)",
        "Inputs are no neurons",
    ),
    "last layer without biases": Wrong(
        "count_parameters",
        "def count_parameters(s):\n    return sum(a * b for a, b in zip(s, s[1:])) + sum(s[1:-1])",
        "The neurons of the last layer have biases, too",
    ),
    "two layers only": Wrong(
        "count_parameters",
        "def count_parameters(s):\n"
        "    return s[0] * s[1] + s[1] + (s[1] * s[2] + s[2] if len(s) > 2 else 0)",
        "Go through every pair of neighbouring layers",
    ),
    # Task 2
    "rounds down": Wrong(
        "steps_per_epoch",
        "def steps_per_epoch(n, b, split=0.0):\n"
        "    kept = round(n * (1 - split))\n"
        "    return kept // b, b",
        "they make one more, smaller batch",
    ),
    "forgets the validation part": Wrong(
        "steps_per_epoch",
        "def steps_per_epoch(n, b, split=0.0):\n    return -(-n // b), n - (-(-n // b) - 1) * b",
        "are kept for validation",
    ),
    "remainder as last batch": Wrong(
        "steps_per_epoch",
        "def steps_per_epoch(n, b, split=0.0):\n"
        "    kept = round(n * (1 - split))\n"
        "    return -(-kept // b), kept % b",
        "the last batch is a full one",
    ),
    "steps alone": Wrong(
        "steps_per_epoch",
        "def steps_per_epoch(n, b, split=0.0):\n    return -(-round(n * (1 - split)) // b)",
        "Return two numbers",
    ),
    # Task 3
    "no Flatten": Wrong(
        "build_model",
        changed(BUILD, "            keras.layers.Flatten(),\n", ""),
        "Without Flatten",
    ),
    "no softmax": Wrong(
        "build_model",
        changed(BUILD, ', activation="softmax"', ""),
        "the last layer needs softmax",
    ),
    "linear hidden layer": Wrong(
        "build_model",
        changed(BUILD, ', activation="relu"', ""),
        "does the hidden layer have activation='relu'?",
    ),
    "hidden ignored": Wrong(
        "build_model", changed(BUILD, "(hidden,", "(128,"), "Is the argument `hidden` used?"
    ),
    "build_model without return": Wrong(
        "build_model", changed(BUILD, "return ", "model = "), "must return the Keras model"
    ),
    "one epoch": Wrong(
        "train_model",
        changed(changed(TRAIN, "epochs=6", "epochs=1"), "3e-3", "1e-3"),
        "train for longer",
    ),
    "never trained": Wrong(
        "train_model",
        changed(TRAIN, "    model.fit(x, y, epochs=6, batch_size=32, verbose=0)\n", ""),
        "is fit called",
    ),
    "learning rate 3": Wrong(
        "train_model", changed(TRAIN, "3e-3", "3.0"), "is the learning rate small enough?"
    ),
    "loss for one-hot labels": Wrong(
        "train_model",
        changed(TRAIN, "sparse_categorical", "categorical"),
        "need a *sparse* loss",
    ),
    "history returned": Wrong(
        "train_model",
        changed(changed(TRAIN, "    model.fit", "    return model.fit"), "    return model\n", ""),
        "not what fit gives back",
    ),
    # Task 4
    "double softmax left in": Wrong(
        "mean_loss",
        "mean_loss = buggy_mean_loss",
        "softmax is applied to numbers that already are probabilities",
    ),
    "loss for one-hot rows": Wrong(
        "mean_loss",
        "def mean_loss(labels, probabilities):\n"
        "    return float(keras.losses.CategoricalCrossentropy()(labels, probabilities))",
        "the loss must be a sparse one",
    ),
    "sum for mean": Wrong(
        "mean_loss",
        "def mean_loss(labels, probabilities):\n"
        "    p = np.asarray(probabilities)[np.arange(len(labels)), labels]\n"
        "    return float(-np.log(p).sum())",
        "the sum over the pictures, not the mean",
    ),
    "sign flipped": Wrong(
        "mean_loss",
        "def mean_loss(labels, probabilities):\n"
        "    p = np.asarray(probabilities)[np.arange(len(labels)), labels]\n"
        "    return float(np.log(p).mean())",
        "minus the logarithm",
    ),
    "logarithm of base 10": Wrong(
        "mean_loss",
        "def mean_loss(labels, probabilities):\n"
        "    p = np.asarray(probabilities)[np.arange(len(labels)), labels]\n"
        "    return float(-np.log10(p).mean())",
        "The mean of -ln(probability of the true class)",
    ),
    "leak left in": Wrong("split", "split = buggy_split", "samples are in both parts"),
    "first part held back": Wrong(
        "split",
        "def split(x, y, share):\n"
        "    n = round(len(x) * share)\n"
        "    return x[n:], y[n:], x[:n], y[:n]",
        "Validation is the *last* part",
    ),
    "labels not cut": Wrong(
        "split",
        "def split(x, y, share):\n"
        "    n = len(x) - round(len(x) * share)\n"
        "    return x[:n], y, x[n:], y",
        "The labels of the training part are wrong",
    ),
    "negative slice with nothing to hold back": Wrong(
        "split",
        "def split(x, y, share):\n"
        "    n = round(len(x) * share)\n"
        "    return x[:-n], y[:-n], x[-n:], y[-n:]",
        "A share of 0.0 of 80 samples are 0 for validation",
    ),
    # Task 5
    "pairs counted once": Wrong(
        "confusion_matrix",
        "def confusion_matrix(y_true, y_pred, classes):\n"
        "    matrix = np.zeros((classes, classes), dtype=int)\n"
        "    matrix[y_true, y_pred] += 1\n"
        "    return matrix",
        "Every pair counts only once",
    ),
    "transposed": Wrong(
        "confusion_matrix",
        "def confusion_matrix(y_true, y_pred, classes):\n"
        "    matrix = np.zeros((classes, classes), dtype=int)\n"
        "    np.add.at(matrix, (y_pred, y_true), 1)\n"
        "    return matrix",
        "Rows are the true class",
    ),
    "only classes that appear": Wrong(
        "confusion_matrix",
        "def confusion_matrix(y_true, y_pred, classes):\n"
        "    size = max(y_true.max(), y_pred.max()) + 1\n"
        "    matrix = np.zeros((size, size), dtype=int)\n"
        "    np.add.at(matrix, (y_true, y_pred), 1)\n"
        "    return matrix",
        "even if a class never appears",
    ),
    "precision and recall exchanged": Wrong(
        "scores",
        changed(changed(SCORES, "[:, k].sum", "[k].SUM"), "[k].sum", "[:, k].sum").replace(
            "SUM", "sum"
        ),
        "Precision and recall are exchanged",
    ),
    "F1 as plain mean": Wrong(
        "scores",
        changed(
            SCORES, "2 * precision * recall / (precision + recall)", "(precision + recall) / 2"
        ),
        "F1 is the harmonic mean",
    ),
    "zero divided by zero": Wrong("scores", SCORES, "a score is nan"),
    "accuracy for recall": Wrong(
        "scores",
        changed(SCORES, "matrix[k, k] / matrix[k].sum()", "np.trace(matrix) / matrix.sum()"),
        "Keras finds the recall",
    ),
}
