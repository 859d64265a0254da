"""Helpers around Keras: repeatable runs, and `fit` with one plain line per epoch.

Keras is imported only when a function is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from coursekit import _check

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def make_deterministic(seed: int) -> None:
    """Make what follows repeatable: the same seed gives the same weights and the same losses.

    Seeds Python, NumPy and Keras, and asks TensorFlow for operations that add up in a fixed
    order. That costs some speed. The last digits may still differ between machines.

    Parameters
    ----------
    seed : int
        From 0 to 2³² − 1.

    Raises
    ------
    ValueError
        If `seed` is not such a number.
    """
    _check.whole(seed=seed)
    if seed >= 2**32:
        raise ValueError(f"seed must be below 2**32, not {seed!r}")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(int(seed))
    tf.config.experimental.enable_op_determinism()


class FitResult(NamedTuple):
    """What `fit` hands back.

    Attributes
    ----------
    history : dict of str to list of float
        One number per completed epoch for every quantity, under Keras's names: ``"loss"``,
        ``"accuracy"``, ``"val_loss"``, ``"val_accuracy"``, …
    epochs : int
        How many epochs were completed.
    interrupted : bool
        True if the run was stopped before its last epoch was over.
    """

    history: dict[str, list[float]]
    epochs: int
    interrupted: bool


def fit(
    model: Any,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Any] = (),
    digits: int = 2,
) -> FitResult:
    """Train a compiled Keras model and print one line per epoch.

    The call is ``model.fit`` with the same arguments and defaults. Two things differ. The lines
    hold no timings and only `digits` decimals, so that two runs can be compared. And stopping the
    run (the ■ button in JupyterLab) is not an error: the model keeps what it has learned, and
    the epochs that were completed are returned.

    Parameters
    ----------
    model : keras.Model
        Compiled. It is trained in place.
    x, y : array_like, shapes (samples, …)
        Pictures and labels.
    epochs : int
        How often the training part of the data is gone through.
    batch_size : int
        Samples per step. The last batch of an epoch may be smaller.
    validation_split : float
        The share at the *end* of `x` and `y` that is kept for validation, in [0, 1).
    callbacks : sequence of keras.callbacks.Callback
        Called while training runs, for example to draw curves that grow. When the run is
        stopped, their `on_train_end` is called as well.
    digits : int
        Decimals in the printed lines.

    Returns
    -------
    FitResult
        The numbers of every completed epoch, not rounded.
    """
    import keras

    record = keras.callbacks.History()
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: print(epoch_line(epoch + 1, epochs, logs, digits))
    )
    interrupted = False
    try:
        model.fit(
            x,
            y,
            epochs=epochs,
            batch_size=batch_size,
            validation_split=validation_split,
            callbacks=[record, report, *callbacks],
            verbose=0,
        )
    except KeyboardInterrupt:
        interrupted = True
        done = len(record.epoch)
        print(f"stopped after {done} of {epochs} epochs: the model keeps what it has learned")
        for callback in callbacks:
            callback.on_train_end()
    history = {name: [float(value) for value in values] for name, values in record.history.items()}
    return FitResult(history, len(record.epoch), interrupted)


def epoch_line(epoch: int, epochs: int, logs: Mapping[str, float], digits: int = 2) -> str:
    """Word the numbers of one epoch: the loss first, then the metrics, then the validation.

    >>> epoch_line(1, 5, {"accuracy": 0.9096, "loss": 0.3245, "val_loss": 0.1774})
    'epoch 1 of 5   loss 0.32   accuracy 0.91   |   validation: loss 0.18'
    """

    def words(names: list[str]) -> str:
        names = sorted(names, key=lambda name: not name.endswith("loss"))
        return "   ".join(f"{name.removeprefix('val_')} {logs[name]:.{digits}f}" for name in names)

    measured = [name for name in logs if name.startswith("val_")]
    line = f"epoch {epoch} of {epochs}   " + words([name for name in logs if name not in measured])
    return line + (f"   |   validation: {words(measured)}" if measured else "")
