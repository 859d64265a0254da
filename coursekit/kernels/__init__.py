"""Warm kernels: Jupyter kernels forked from a process that has already imported TensorFlow.

`docs/warm_kernels.md` explains what they are, when they are safe and how to switch them on.
Importing this package is cheap and works on every platform.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping

PROVISIONER = "coursekit-warm"
ENTRY_POINTS = "jupyter_client.kernel_provisioners"

# What the fork server imports, in this order, with the words for its progress lines.
# "coursekit" stands for all its modules that lectures use.
MODULES = {
    "numpy": "NumPy",
    "ipykernel.kernelapp": "Jupyter",
    "matplotlib.pyplot": "matplotlib",
    "ipywidgets": "widgets",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "coursekit": "the course",
}
IDLE_SECONDS = 600.0


@functools.cache
def unsupported() -> str | None:
    """Say why warm kernels can't be used on this machine.

    Returns
    -------
    str or None
        The reason as half a sentence, or None where they work.
    """
    if not sys.platform.startswith("linux"):
        return "they are only shown safe on Linux"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return "this system can't watch processes (pidfd_open is missing)"
    # The CUDA build on x86-64 starts driver threads, which don't survive a fork. Elsewhere on
    # Linux the package of that name is the CPU build.
    if platform.machine() == "x86_64" and _installed("tensorflow"):
        return "TensorFlow's GPU build is not shown safe to fork"
    return None


def environment() -> dict[str, str]:
    """Give the environment variables that switch warm kernels on for Jupyter.

    Put them into the environment of a Jupyter process before it starts its first kernel.

    Returns
    -------
    dict of str to str
        Empty where warm kernels are not supported or not installed.
    """
    registered = importlib.metadata.entry_points(group=ENTRY_POINTS, name=PROVISIONER)
    if unsupported() or not registered:
        return {}
    return {"JUPYTER_DEFAULT_PROVISIONER_NAME": PROVISIONER}


def prepare(env: Mapping[str, str] | None = None) -> None:
    """Let the fork server warm up in the background, so that the first kernel need not wait.

    Does nothing where there are no warm kernels; if the server fails, the first kernel says so.

    Parameters
    ----------
    env : mapping of str to str, optional
        The environment of the kernels to come. Default: this process's.
    """
    if not environment():
        return
    from coursekit.kernels import client

    with contextlib.suppress(client.WarmKernelError):
        client.prepare(client.Wanted({**client.TENSORFLOW_DEFAULTS, **(env or os.environ)}))


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
