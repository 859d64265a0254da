"""A small TensorFlow notebook, and a way to compare what it gives."""

import copy
from pathlib import Path

import nbformat
from nbclient import NotebookClient

CELLS = [
    "import numpy as np, keras, tensorflow as tf\nkeras.utils.set_random_seed(1)",
    "import os; kernel = os.getpid()",
    "rng = np.random.default_rng(0)\n"
    "x = rng.normal(size=(256, 6)).astype('float32'); y = (x[:, 0] > 0).astype('int32')",
    "model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation='relu'),\n"
    "                          keras.layers.Dropout(0.1), keras.layers.Dense(2)])\n"
    "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
    "model.compile('adam', loss, metrics=['accuracy'])\n"
    "history = model.fit(x, y, epochs=3, verbose=0).history\n"
    "[round(v, 6) for v in history['loss']]",
    "print(tf.reduce_sum(tf.random.normal((3, 3), seed=2)).numpy().round(5))",
    "import matplotlib.pyplot as plt\nplt.plot(history['loss'])\nplt.show()",
    "import sys\nprint('to stderr', file=sys.stderr)",
    "f'{model(x).numpy().std():.5f}'",
    "raise ValueError('the last cell')",
]


def notebook() -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source, id=f"c{i}") for i, source in enumerate(CELLS)]
    cells[-1].metadata["tags"] = ["raises-exception"]
    return nbformat.v4.new_notebook(cells=cells)


def run(book: nbformat.NotebookNode, kind: str, folder: Path) -> list[object]:
    return comparable(executed(book, kind, folder))


def executed(book: nbformat.NotebookNode, kind: str, folder: Path) -> nbformat.NotebookNode:
    book = copy.deepcopy(book)
    NotebookClient(book, kernel_name=kind, timeout=300, startup_timeout=120).execute(
        cwd=str(folder)
    )
    return book


def texts(book: dict) -> list[str]:
    """What each code cell says: printed text, then the text of every other output."""
    said = []
    for cell in book["cells"]:
        outputs = cell.get("outputs", []) if cell["cell_type"] == "code" else []
        printed = "".join(out["text"] for out in outputs if out["output_type"] == "stream")
        said += [printed, *(out["data"]["text/plain"] for out in outputs if "data" in out)]
    return said


def comparable(book: dict) -> list[object]:
    """Leave out what differs between any two runs: numbers of widgets."""
    found: list[object] = []
    for cell in book["cells"]:
        for output in cell.get("outputs", []):
            output = copy.deepcopy(output)
            output.pop("execution_count", None)
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            output.pop("traceback", None)  # it names temporary files
            found.append(nbformat.from_dict(output))
    return found
