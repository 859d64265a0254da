import numpy as np
import pytest

from coursekit import plots
from coursekit.network import count_multiply_adds


@pytest.mark.parametrize("sizes", [(3, 4, 2), [1, 1], (1, 12, 1), [2, 5, 5, 3]])
def test_one_line_for_each_weight_and_one_mark_for_each_node(sizes):
    figure, axes = plots.new_figure()
    plots.network_diagram(sizes, axes)
    weights = [line for line in axes.lines if line.get_linestyle() != "None"]
    nodes = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert len(weights) == count_multiply_adds(sizes)
    assert [len(line.get_xydata()) for line in nodes] == list(sizes)
    assert [text.get_text().split("\n")[0] for text in axes.texts] == [str(s) for s in sizes]
    ends = {tuple(point) for line in weights for point in line.get_xydata()}
    assert ends == {tuple(point) for line in nodes for point in line.get_xydata()}
    assert plots.png(figure).startswith(b"\x89PNG")


def test_layers_stand_centred_one_beside_the_other():
    _, axes = plots.new_figure()
    plots.network_diagram((3, 4), axes)
    inputs, outputs = (line.get_xydata() for line in axes.lines[-2:])
    np.testing.assert_array_equal(inputs, [[0, 1], [0, 0], [0, -1]])
    np.testing.assert_array_equal(outputs, [[1, 1.5], [1, 0.5], [1, -0.5], [1, -1.5]])


@pytest.mark.parametrize("sizes", [[], [3], [3, 0, 2], [784, 10], [2, -1]])
def test_what_cannot_be_drawn_is_refused(sizes):
    _, axes = plots.new_figure()
    with pytest.raises(ValueError, match="at least two layers of 1 to 12 nodes"):
        plots.network_diagram(sizes, axes)
