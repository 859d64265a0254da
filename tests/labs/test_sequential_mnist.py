"""The widgets of lecture 11 without a browser and without TensorFlow."""

import base64
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from coursekit import datasets, pictures
from coursekit.labs.digit_pad import INK_SIDE, DigitPad
from coursekit.labs.sequential_mnist import LiveCurves


def read_seven(batch):
    assert batch.shape == (1, 28, 28)
    assert batch.dtype == np.float32
    return np.eye(10)[[7]]


@pytest.fixture
def pad():
    return DigitPad(read_seven, datasets.digits("uci").x_test[0])


def ink():
    paper = np.zeros((INK_SIDE, INK_SIDE), np.uint8)
    paper[5:50, 10:14] = 255
    return paper


def test_ink_is_answered_with_probabilities_and_what_is_seen(pad):
    pad.set_state({"ink": memoryview(ink().tobytes())})  # as a message from the browser arrives
    assert pad.answer["probabilities"][7] == 1
    assert pad.answer["sentence"] == "The network reads 7 (100 % sure)."
    seen = np.frombuffer(pad.seen, np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(seen, np.round(pictures.mnist_like(ink()) * 255))


def test_an_empty_pad_asks_for_a_digit(pad):
    pad.set_state({"ink": ink().tobytes()})
    pad.set_state({"ink": bytes(INK_SIDE**2)})
    assert pad.answer == {"sentence": "Draw a digit from 0 to 9."}


def test_bytes_that_are_no_drawing_change_nothing(pad):
    before = pad.answer
    pad.set_state({"ink": b"abc"})
    assert pad.answer == before


def test_strokes_from_two_threads_are_answered_one_by_one(pad):
    drawings = [ink().tobytes(), np.ascontiguousarray(ink().T).tobytes()] * 10
    threads = [threading.Thread(target=pad.set_state, args=({"ink": d},)) for d in drawings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pad.answer["sentence"].startswith("The network reads 7")


def test_the_saved_notebook_shows_an_example(pad):
    data, metadata = pad._repr_mimebundle_()
    assert data["text/plain"] == "Drawing pad. Its example: The network reads 7."
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"]


def test_live_curves_grow_and_tell_how_long_it_takes():
    curves = LiveCurves(epochs=2, steps=4)
    assert "Training starts" in _sentence(curves)
    for step in range(4):
        curves.add_batch(0, step, 2.0 - step / 4, 0.2 * step)
    curves.add_epoch(0, 0.9, 0.8)
    assert curves.progress.done == 1
    assert curves.describe(10.0) == "Epoch 2 of 2, loss 1.250, accuracy 0.600; about 10 s left."
    curves.finish()
    assert _sentence(curves).startswith("Stopped; the model keeps what it has learned: 1.0 of 2")
    line = curves.figure.stages["light"].artists["loss"]
    np.testing.assert_allclose(line.get_ydata(), [2.0, 1.75, 1.5, 1.25])


def test_live_curves_have_the_same_text_before_and_after():
    curves = LiveCurves(epochs=2, steps=4)
    before = curves.text
    curves.add_batch(1, 3, 0.1, 0.9)
    curves.add_epoch(1, 0.2, 0.9)
    curves.finish()
    assert curves._repr_mimebundle_()[0]["text/plain"] == before
    assert _sentence(curves) == "Done: 2.0 of 2 epochs, loss 0.100, accuracy 0.900."


def test_live_curves_wait_until_the_mean_of_a_new_epoch_says_something():
    curves = LiveCurves(epochs=2, steps=100)
    for epoch in range(2):
        for step in range(100):
            curves.add_batch(epoch, step, 0.5 if step > 3 else 9.0, 0.5)
    loss = curves.progress.batches[:, 1]
    assert loss[:100].max() == 9.0
    assert np.isnan(loss[100]), "the line breaks between epochs"
    assert loss[101:].max() == 0.5


def test_live_curves_draw_a_run_that_explodes():
    curves = LiveCurves(epochs=1, steps=2)
    curves.add_batch(0, 0, float("inf"), 0.1)
    curves.add_batch(0, 1, float("nan"), 0.1)
    curves.finish()
    assert "loss nan" in _sentence(curves)


def _sentence(curves):
    return zlib.decompress(curves.figure.captions).decode()


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("shape", [(20, 20), (11, 20), (56, 90), (8, 8)])
def test_resize_agrees_with_pillow(shape):
    picture = np.random.default_rng(0).random((40, 30)).astype("f4")
    expected = Image.fromarray(picture).resize(shape[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(pictures.resize(picture, shape), np.asarray(expected), atol=1e-5)


def test_mnist_like_fills_the_box_and_centres_the_mass():
    seen = pictures.mnist_like(ink())
    rows, _ = np.nonzero(seen > 0.5)
    assert rows.max() - rows.min() + 1 == 20
    mass = np.array([np.average(np.arange(28), weights=seen.sum(axis)) for axis in (1, 0)])
    np.testing.assert_allclose(mass, 14, atol=0.51)


@pytest.mark.mnist
def test_mnist_like_leaves_real_mnist_as_it_is():
    """MNIST's own pictures are in this form already: the best oracle there is."""
    digits = datasets.digits("auto")
    if digits.source != "mnist":
        pytest.skip("needs MNIST: set COURSEKIT_DATA or run `coursekit data`")
    for picture in digits.x_test[:500]:
        np.testing.assert_allclose(pictures.mnist_like(picture), picture / 255, atol=1e-6)


def test_mnist_like_refuses_what_is_no_grey_picture():
    with pytest.raises(ValueError, match="one grey picture"):
        pictures.mnist_like(np.zeros((3, 28, 28)))
