"""Companion package of the course on neural-network optimisation.

``import coursekit`` costs next to nothing: it loads neither TensorFlow nor matplotlib.
Import the module of the concept you need, for example ``from coursekit import optimizers``.
"""

from __future__ import annotations

import os

__version__ = "0.1.0"

# TensorFlow reads both when it is first imported. Quiet start-up messages, and the same last
# digits on more machines. Values that are already set win.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def check(notebook: str | os.PathLike[str] | None = None) -> None:
    """Check the exercise in which you call this, before you hand it in.

    It runs the visible tests on the notebook as you saved it last, in a process of its own, and
    prints for each task what passes and what to look at. ``coursekit check NOTEBOOK`` does the
    same in a terminal.

    Parameters
    ----------
    notebook : str or path, optional
        The notebook's file. JupyterLab and VS Code tell it by themselves.
    """
    from coursekit.grading.check import in_notebook

    in_notebook(notebook)
