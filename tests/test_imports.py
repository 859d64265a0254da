"""What an import costs: no lecture pays for libraries that it does not use."""

import json
import subprocess
import sys

HEAVY = ["tensorflow", "keras", "matplotlib", "scipy", "IPython", "ipywidgets", "pooch"]
NUMPY_MODULES = [
    "activations", "averages", "exercises", "initializers", "landscapes", "losses", "network",
    "normalization", "optimizers", "regularizers", "schedules", "training",
]  # fmt: skip


def test_imports_are_light():
    program = f"""
import importlib, json, sys
import coursekit
loaded = {{"coursekit": [name for name in {[*HEAVY, "numpy"]} if name in sys.modules]}}
for module in {NUMPY_MODULES}:
    importlib.import_module("coursekit." + module)
    loaded[module] = [name for name in {HEAVY} if name in sys.modules]
print(json.dumps(loaded))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == {name: [] for name in ["coursekit", *NUMPY_MODULES]}
