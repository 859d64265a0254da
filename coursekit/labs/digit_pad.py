"""The drawing pad: draw a digit and watch what a network makes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anywidget
import numpy as np
import traitlets

from coursekit import pictures, plots
from coursekit.labs.figure import STATIC, saved_output, stylesheet

INK_SIDE = 56

Predict = Callable[[np.ndarray], np.ndarray]


class DigitPad(anywidget.AnyWidget):
    """A pad with the probabilities of the ten digits beside it.

    Parameters
    ----------
    predict : callable
        ``predict(pictures) -> probabilities``: (1, 28, 28) float32 in [0, 1] → (1, 10).
    example : ndarray, shape (28, 28), uint8
        The digit that the saved notebook shows where the pad itself cannot run.
    """

    _esm = STATIC / "digit_pad.js"
    _css = stylesheet("digit_pad.css")

    # JavaScript's bytes arrive as a memoryview over a buffer that may be used again: copy it.
    ink = traitlets.Bytes().tag(sync=True, from_json=lambda value, _: bytes(value or b""))
    seen = traitlets.Bytes().tag(sync=True)
    answer: Any = traitlets.Dict().tag(sync=True)

    def __init__(self, predict: Predict, example: np.ndarray):
        self._predict, self._example = predict, example
        self._lock = threading.Lock()
        super().__init__(answer={"sentence": "Draw a digit from 0 to 9."})
        self.observe(self._on_ink, "ink")

    def read(self, ink: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Prepare a drawing as MNIST's pictures were, and let the network read it.

        Parameters
        ----------
        ink : ndarray, shape (height, width), uint8

        Returns
        -------
        seen : ndarray, shape (28, 28), float32
            What the network is given.
        probabilities : ndarray, shape (10,), or None
            None for an empty pad.
        """
        seen = pictures.mnist_like(ink)
        return seen, self._predict(seen[None])[0] if seen.any() else None

    def _on_ink(self, change: dict[str, Any]) -> None:
        # JupyterLab may deliver this on another thread while a cell is running.
        with self._lock:
            ink = np.frombuffer(change["new"], np.uint8)
            if ink.size != INK_SIDE**2:  # not from our pad
                return
            seen, probabilities = self.read(ink.reshape(INK_SIDE, INK_SIDE))
            answer: dict[str, Any] = {"sentence": sentence(probabilities)}
            if probabilities is not None:
                answer["probabilities"] = [round(float(p), 4) for p in probabilities]
            with self.hold_sync():
                self.seen = np.round(seen * 255).astype(np.uint8).tobytes()
                self.answer = answer

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**options)
        seen, probabilities = self.read(self._example)
        text = "Drawing pad. Its example: " + sentence(probabilities, percent=False)
        return saved_output(bundle, _picture(seen, probabilities), text, (6.0, 2.4))


def sentence(probabilities: np.ndarray | None, percent: bool = True) -> str:
    """Say what the network reads."""
    if probabilities is None:
        return "Draw a digit from 0 to 9."
    best = int(np.argmax(probabilities))
    sure = f" ({100 * probabilities[best]:.0f} % sure)" if percent else ""
    return f"The network reads {best}{sure}."


def _picture(seen: np.ndarray, probabilities: np.ndarray | None) -> bytes:
    """Paint what the pad shows, for places where it cannot run."""
    figure, (left, right) = plots.new_figure(1, 2, width=6, height=2.4)
    left.imshow(seen, cmap="gray", vmin=0, vmax=1)
    left.set(title="What the network sees", xticks=[], yticks=[])
    left.grid(visible=False)
    heights = np.zeros(10) if probabilities is None else probabilities
    colors = [plots.SKY] * 10
    colors[int(np.argmax(heights))] = plots.VERMILION
    right.bar(range(10), heights, color=colors)
    right.set(title="Probability of each digit", xticks=range(10), ylim=(0, 1), xlabel="digit")
    return plots.png(figure)
