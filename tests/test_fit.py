"""`training.fit`: the same training as Keras, plain lines, and a stop that loses nothing."""

import numpy as np
import pytest

from coursekit import training

rng = np.random.default_rng(0)
X = rng.normal(size=(70, 3)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")


def small_model():
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def stop_in_epoch(number, calls):
    """Make a callback that does what the ■ button does, in the middle of an epoch."""
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.now = epoch + 1

        def on_train_batch_end(self, batch, logs=None):
            if self.now == number and batch == 1:
                raise KeyboardInterrupt

        def on_train_end(self, logs=None):
            calls.append("end")

    return Stop()


def test_fit_trains_exactly_like_keras(capsys):
    ours, theirs = small_model(), small_model()
    import keras

    keras.utils.set_random_seed(2)
    result = training.fit(ours, X, Y, epochs=3, batch_size=16, validation_split=0.2)
    keras.utils.set_random_seed(2)
    expected = theirs.fit(X, Y, epochs=3, batch_size=16, validation_split=0.2, verbose=0).history

    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(result.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    for name, values in expected.items():
        assert result.history[name] == pytest.approx(values, rel=1e-5)
    assert (result.epochs, result.interrupted) == (3, False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines):
        assert line == (
            f"epoch {epoch + 1} of 3   loss {expected['loss'][epoch]:.2f}   "
            f"accuracy {expected['accuracy'][epoch]:.2f}   |   "
            f"validation: loss {expected['val_loss'][epoch]:.2f}   "
            f"accuracy {expected['val_accuracy'][epoch]:.2f}"
        )


def test_fit_without_validation_prints_no_validation(capsys):
    training.fit(small_model(), X, Y)
    assert "validation" not in capsys.readouterr().out


def test_stopping_keeps_the_weights_and_the_finished_epochs(capsys):
    model, calls = small_model(), []
    before = model.get_weights()[0].copy()
    result = training.fit(model, X, Y, epochs=5, batch_size=16, callbacks=[stop_in_epoch(3, calls)])
    assert (result.epochs, result.interrupted) == (2, True)
    assert [len(values) for values in result.history.values()] == [2, 2]
    # two epochs of five steps, and two steps of the third
    assert int(model.optimizer.iterations) == 12
    assert np.abs(model.get_weights()[0] - before).max() > 0
    assert calls == ["end"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "stopped after 2 of 5 epochs: the model keeps what it has learned"


def test_stopping_in_the_first_epoch_returns_an_empty_history():
    result = training.fit(small_model(), X, Y, epochs=2, callbacks=[stop_in_epoch(1, [])])
    assert result == ({}, 0, True)


def test_training_goes_on_after_a_stop():
    model = small_model()
    training.fit(model, X, Y, epochs=3, batch_size=16, callbacks=[stop_in_epoch(2, [])])
    result = training.fit(model, X, Y, epochs=2, batch_size=16, validation_split=0.5)
    measured = model.evaluate(X[35:], Y[35:], verbose=0)[0]
    assert result.history["val_loss"][-1] == pytest.approx(measured, rel=1e-5)


def test_other_errors_are_not_hidden():
    with pytest.raises(ValueError, match="shape"):
        training.fit(small_model(), X[:, :2], Y)


@pytest.mark.parametrize("seeded", [True, False])
def test_a_fixed_seed_repeats_the_order_of_the_epochs(seeded):
    """Lecture 11 says so. If Keras changes this, change the lecture."""
    import keras

    y = np.arange(8.0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.set_weights([np.zeros((1, 1)), np.zeros(1)])  # always answers 0: the error is y
    model.compile(keras.optimizers.SGD(0.0), "mean_absolute_error")
    means = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: means.append(logs["loss"] * (batch + 1))
    )
    import tensorflow as tf
    from tensorflow.python.framework.config import disable_op_determinism

    disable_op_determinism()  # another test may have asked for it, which forbids unseeded runs
    tf.random.set_seed(3 if seeded else None)
    model.fit(y.reshape(-1, 1), y, batch_size=1, epochs=3, callbacks=[note], verbose=0)
    orders = {
        tuple(np.diff(sums, prepend=0).round().tolist()) for sums in np.split(np.array(means), 3)
    }
    assert all(sorted(order) == y.tolist() for order in orders)
    assert (len(orders) == 1) == seeded
