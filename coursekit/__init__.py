"""Companion package of the course on neural-network optimisation.

``import coursekit`` costs next to nothing: it loads neither TensorFlow nor matplotlib.
Import the module of the concept you need, for example ``from coursekit import optimizers``.
"""

import os

__version__ = "0.1.0"

# TensorFlow reads both when it is first imported. Quiet start-up messages, and the same last
# digits on more machines. Values that are already set win.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
