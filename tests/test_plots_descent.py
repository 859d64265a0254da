import numpy as np

from coursekit import plots


def test_descent_path_marks_the_start_and_keeps_all_points():
    _, axes = plots.new_figure()
    w = np.linspace(-2, 2, 5)
    points = np.array([2.0, -1.0, 0.5])
    plots.descent_path(axes, (w, w**2), points, points**2, index=1, label="η = 0.75")
    curve, path, start = axes.lines
    np.testing.assert_array_equal(curve.get_xydata(), np.column_stack([w, w**2]))
    np.testing.assert_array_equal(path.get_xydata(), np.column_stack([points, points**2]))
    np.testing.assert_array_equal(start.get_xydata(), [[2.0, 4.0]])
    assert path.get_label() == "η = 0.75"
    assert path.get_color() == plots.style(1)["color"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("weight w", "loss J(w)")


def test_loss_curve_is_logarithmic_and_survives_a_loss_of_zero():
    figure, axes = plots.new_figure()
    plots.loss_curve(axes, [36.0, 0.0, 0.0], index=2, label="one step")
    assert axes.get_yscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0, 36], [1, 0], [2, 0]])
    assert axes.lines[0].get_label() == "one step"
    assert plots.png(figure).startswith(b"\x89PNG")  # draws without a warning
