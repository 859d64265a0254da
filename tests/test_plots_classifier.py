"""The pictures that lecture 11 draws: what stands in them, read back from the artists."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from coursekit import plots


@pytest.fixture
def axes():
    return plots.new_figure()[1]


def test_confusion_matrix_writes_rows_as_true_classes(axes):
    matrix = np.array([[90, 1, 0], [40, 80, 2], [0, 0, 70]])
    plots.confusion_matrix(axes, matrix)
    texts = {text.get_position(): text for text in axes.texts}
    # (x, y) = (predicted, true); a zero is left out
    assert {where: text.get_text() for where, text in texts.items()} == {
        (0, 0): "90",
        (1, 0): "1",
        (0, 1): "40",
        (1, 1): "80",
        (2, 1): "2",
        (2, 2): "70",
    }
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted digit", "true digit")
    # readable: white only on the darkest mistakes, never on the white diagonal
    assert [where for where, text in texts.items() if text.get_color() == "white"] == [(0, 1)]


def test_confusion_matrix_colours_mistakes_only(axes):
    plots.confusion_matrix(axes, [[1000, 3], [5, 1000]])
    shown = axes.images[0].get_array()
    assert shown.mask.tolist() == [[True, False], [False, True]]
    assert shown.max() == 5


def test_learning_curves_count_epochs_from_one(axes):
    history = {"loss": [3.0, 2.0, 1.0], "val_loss": [2.5, 2.2, 2.1]}
    plots.learning_curves(axes, history, "loss")
    training, validation = axes.lines
    assert training.get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
    assert validation.get_ydata().tolist() == [2.5, 2.2, 2.1]
    assert training.get_linestyle() != validation.get_linestyle()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation"]


def test_learning_curves_without_validation(axes):
    plots.learning_curves(axes, {"accuracy": [0.5, 0.7]}, "accuracy")
    assert len(axes.lines) == 1


def test_marked_probability_stands_out_by_more_than_colour(axes):
    plots.probability_bars(axes, [0.1, 0.7, 0.2], marked=1)
    assert [bar.get_height() for bar in axes.patches] == [0.1, 0.7, 0.2]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False, True, False]
    assert axes.patches[1].get_facecolor() == to_rgba(plots.VERMILION)


def test_picture_keeps_ink_dark(axes):
    plots.picture(axes, [[0, 255], [255, 0]], "label 7")
    image = axes.images[0]
    assert image.cmap(0.0)[:3] == (1, 1, 1)
    assert image.cmap(1.0)[:3] == (0, 0, 0)
    assert axes.get_title() == "label 7"
    assert list(axes.get_xticks()) == []
