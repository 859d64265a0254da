"""Labs of lecture 11: curves that grow while a network trains, and a pad to draw digits on."""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

import numpy as np

from coursekit import plots
from coursekit.labs.digit_pad import DigitPad
from coursekit.labs.figure import OverlayFigure, Stage, saved_output

UPDATE_SECONDS = 0.15  # often enough to look alive, seldom enough not to slow training
LOSS_TOP = 2.4  # an untrained classifier of ten digits starts near ln 10 = 2.303


class Progress(NamedTuple):
    """The numbers of a training run so far.

    Attributes
    ----------
    epochs, steps : int
        What the whole run will have: epochs, and steps in each.
    done : float
        Epochs that are over, with the fraction of the present one.
    batches : ndarray, shape (n, 3)
        Epoch as a fraction, running loss and running accuracy, once for each drawn batch.
    checks : ndarray, shape (m, 3)
        Epoch, validation loss and validation accuracy, once for each finished epoch.
    """

    epochs: int
    steps: int
    done: float
    batches: np.ndarray
    checks: np.ndarray


class LiveCurves:
    """Loss and accuracy that grow while ``fit`` runs. Make its Keras callback with `live_curves`.

    Parameters
    ----------
    epochs, steps : int
        What the run will have: epochs, and steps (batches) in each.
    """

    size = (8.0, 3.2)

    def __init__(self, epochs: int, steps: int):
        self.epochs, self.steps = epochs, steps
        self._batches: list[tuple[float, float, float]] = []
        self._checks: list[tuple[float, float, float]] = []
        self._started = self._drawn = time.monotonic()
        self._lock = threading.Lock()
        light = Stage(self._paint, "light", self.size)
        dark = Stage(self._paint, "dark", self.size, like=light)
        self.figure = OverlayFigure(
            {"light": light, "dark": dark},
            title="Training curves",
            alt="Left: the loss over the epochs. Right: the accuracy over the epochs.",
        )
        self._show("Training starts.")

    @property
    def text(self) -> str:
        """What the saved notebook says: known before training, so that CI can compare it."""
        return (
            f"Loss and accuracy over {self.epochs} epoch{'s' * (self.epochs != 1)} "
            f"of {self.steps} steps, for training and validation."
        )

    @property
    def progress(self) -> Progress:
        """The numbers so far."""
        batches = np.array(self._batches, float).reshape(-1, 3)
        checks = np.array(self._checks, float).reshape(-1, 3)
        done = max(batches[-1:, 0].sum(), float(len(checks)))
        return Progress(self.epochs, self.steps, done, batches, checks)

    def add_batch(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Note the running loss and accuracy after a step; draw if the last drawing is old."""
        # Keras starts its mean afresh in each epoch: over a few batches it says little. The line
        # breaks there.
        settled = self.steps // 20 if epoch else 0
        if step < settled:
            return
        if step == settled and epoch:
            self._batches.append((np.nan, np.nan, np.nan))
        self._batches.append((epoch + (step + 1) / self.steps, loss, accuracy))
        now = time.monotonic()
        if now - self._drawn >= UPDATE_SECONDS:
            self._drawn = now
            self._show(self.describe(now - self._started))

    def add_epoch(self, epoch: int, loss: float, accuracy: float) -> None:
        """Note the validation's result after an epoch and draw it."""
        self._checks.append((epoch + 1, loss, accuracy))
        self._show(self.describe(time.monotonic() - self._started))

    def finish(self) -> None:
        """Draw the last state; also after an interruption."""
        self._show(self.describe(None))

    def describe(self, seconds: float | None) -> str:
        """Say how far training is, and about how long it still takes.

        Parameters
        ----------
        seconds : float or None
            Time since the start; None when training is over.
        """
        done, total = self.progress.done, self.epochs
        if seconds is None:
            ending = "Done" if done >= total else "Stopped; the model keeps what it has learned"
            return f"{ending}: {done:.1f} of {total} epochs{self._last()}."
        left = seconds * (total - done) / done if done else 0.0
        return (
            f"Epoch {min(int(done) + 1, total)} of {total}{self._last()}; about {left:.0f} s left."
        )

    def _last(self) -> str:
        if not self._batches:
            return ""
        _, loss, accuracy = self._batches[-1]
        return f", loss {loss:.3f}, accuracy {accuracy:.3f}"

    def _paint(self, figure: Any) -> dict[str, Any]:
        axes = figure.subplots(1, 2)
        artists = {}
        for ax, name, top in zip(axes, ("loss", "accuracy"), (LOSS_TOP, 1.0), strict=True):
            plots.tidy(ax).set(
                xlim=(0, 1.03 * self.epochs), ylim=(0, top), xlabel="epoch", ylabel=name, title=name
            )
            style = {"linewidth": 1.8, "color": plots.BLUE}
            (artists[name],) = ax.plot([], [], "-", label="training (mean so far)", **style)
            style = {"color": plots.VERMILION, "linestyle": "--", "marker": "s", "markersize": 6}
            (artists[f"val_{name}"],) = ax.plot([], [], label="validation", **style)
        # The legend's own lines are static: the moving ones are hidden in the background.
        axes[1].legend(loc="lower right")
        return artists

    def _draw(self, artists: dict[str, Any]) -> None:
        _, _, _, batches, checks = self.progress
        for column, name in ((1, "loss"), (2, "accuracy")):
            artists[name].set_data(batches[:, 0], batches[:, column])
            artists[f"val_{name}"].set_data(checks[:, 0], checks[:, column])

    def _show(self, sentence: str) -> None:
        with self._lock:
            stage = self.figure.stages["light"]
            self._draw(stage.artists)
            self.figure.show_frames([stage.coordinates()], [sentence])

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = self.figure._repr_mimebundle_(**options)
        with self._lock:
            stage = self.figure.stages["light"]
            self._draw(stage.artists)
            picture = plots.png(stage.figure)
        return saved_output(bundle, picture, self.text, self.size)


def live_curves() -> Any:
    """Make a Keras callback that shows growing curves under the running cell.

    Returns
    -------
    keras.callbacks.Callback
        For ``fit(..., callbacks=[live_curves()])``. After training its `curves` is the
        `LiveCurves`. The model needs ``metrics=["accuracy"]``.
    """
    import keras
    from IPython.display import display

    class Callback(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.curves = LiveCurves(self.params["epochs"], self.params["steps"])
            self.handle = display(self.curves, display_id=True)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.curves.add_batch(self.epoch, batch, logs["loss"], logs["accuracy"])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            missing = float("nan")
            loss, accuracy = logs.get("val_loss", missing), logs.get("val_accuracy", missing)
            self.curves.add_epoch(epoch, loss, accuracy)

        def on_train_end(self, logs: Any = None) -> None:
            self.curves.finish()
            if self.handle:  # the saved notebook keeps the finished picture, not the empty one
                self.handle.update(self.curves)

    return Callback()


def drawing_pad(model: Any, example: np.ndarray | None = None) -> DigitPad:
    """Show a pad to draw on, and what `model` reads.

    Parameters
    ----------
    model : keras.Model
        (n, 28, 28) pictures in [0, 1] → (n, 10) probabilities.
    example : ndarray, shape (28, 28), uint8, optional
        The digit in the saved notebook's picture; default: the first test picture.
    """
    import tensorflow as tf

    if example is None:
        from coursekit import datasets

        example = datasets.digits().x_test[0]

    # A traced function answers in about 1 ms; model.predict sets up a data pipeline each time.
    @tf.function(reduce_retracing=True)
    def probabilities(pictures: Any) -> Any:
        return model(pictures, training=False)

    return DigitPad(lambda seen: probabilities(tf.constant(seen)).numpy(), example)
