"""What one submission may use, and how well it is shut in."""

from __future__ import annotations

from dataclasses import dataclass

# Levels of isolation, best first; docs/grading.md says what each keeps out.
LEVELS = ("namespaces", "landlock", "container", "rlimits", "spawned")
DEFAULT_LEVEL = "landlock"  # for work of strangers


class GradingError(Exception):
    """A mistake that the user can mend: one line that says what to do."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Parameters
    ----------
    cell_seconds : float
        Time for one cell, and for one test cell with all calls that it makes.
    seconds : float
        Time for the whole submission.
    memory : int
        Bytes, of all processes of the student together.
    output : int
        Bytes of output that are kept; the rest is dropped and counted.
    processes : int
        Processes and threads at the same time. TensorFlow alone starts a few dozen threads.
    disk : int
        Bytes in the working folder.
    """

    cell_seconds: float = 30.0
    seconds: float = 300.0
    memory: int = 4 << 30
    output: int = 1 << 20
    processes: int = 256
    disk: int = 256 << 20
