"""The data of the course: three made-up sets, iris, and handwritten digits.

Everything but MNIST comes with the package. MNIST is 11 MB, is looked for on this machine, and is
downloaded once if it is not there. Whatever the way, its arrays are checked against one hash.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

import numpy as np

#: Where MNIST can be had, tried in this order: one ``.npz`` file, or a folder of four IDX files.
MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

#: SHA-256 of the bytes of x_train, y_train, x_test, y_test, one after the other, each ``uint8``
#: in C order. A hash of the arrays, not of a file: an ``.npz`` and four IDX files both pass.
MNIST_SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IDX_BYTES = 9_912_422 + 28_881 + 1_648_877 + 4_542  # the four .gz files, for the progress bar

ANSWER_SECONDS = 4.0  # a mirror that says nothing for so long at first is left out
SILENCE_SECONDS = 15.0  # and one that falls silent for so long in between is given up
SLOWEST_BYTES_PER_SECOND = 10_000  # below this, after GRACE_SECONDS, the next one gets a chance
GRACE_SECONDS = 20.0

HOW_TO_GET_MNIST = (
    "To get it: run 'coursekit data' with a network, or set COURSEKIT_DATA to a folder with "
    "mnist.npz or the four IDX files."
)


class DataError(RuntimeError):
    """A data set cannot be had. The message is one line and says what to do."""


class Samples(NamedTuple):
    """Inputs and targets: `x` has shape (n, 2), `y` has shape (n, 1)."""

    x: np.ndarray
    y: np.ndarray


class NoisyCurve(NamedTuple):
    """A curve over the time `t`, `clean` and `noisy`, each of shape (n,)."""

    t: np.ndarray
    clean: np.ndarray
    noisy: np.ndarray


class Split(NamedTuple):
    """Features `x_*` of shape (n, 4) and classes `y_*` of shape (n,), for training and test."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class Digits(NamedTuple):
    """Pictures `x_*` (n, 28, 28) and labels `y_*` (n,), all ``uint8``, and where they are from."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str


def yogurt_sales(n: int = 32, seed: int = 23455) -> Samples:
    """Make the daily sales of a yogurt that depend on two factors, with a little noise.

    The target is y = x₁ + x₂ + ε, with ε uniform in [−0.05, 0.05).

    Parameters
    ----------
    n : int
        Number of days.
    seed : int
        Seed of `numpy.random.RandomState`.

    Returns
    -------
    x : numpy.ndarray, shape (n, 2)
        The two factors, uniform in [0, 1).
    y : numpy.ndarray, shape (n, 1)
        The sales.

    Raises
    ------
    ValueError
        If `n` or `seed` cannot be used.

    References
    ----------
    Peking University, MOOC "人工智能实践：TensorFlow 笔记", lecture 4, program opt4_1.
    """
    _require_size(n)
    random = _random_state(seed)
    x = random.rand(n, 2)
    noise = random.rand(n, 1)  # the same numbers as one rand() for each row
    return Samples(x, x[:, :1] + x[:, 1:] + (noise / 10 - 0.05))


def two_class_ring(n: int = 300, seed: int = 2, noise: float = 0.0) -> Samples:
    """Make points around the origin: class 1 inside the circle x₀² + x₁² < 2, class 0 outside.

    The points do not depend on `noise`, and whoever is in the wrong class with a little noise
    stays there with more.

    Parameters
    ----------
    n : int
        Number of points.
    seed : int
        Seed of `numpy.random.RandomState`.
    noise : float
        Probability with which a point gets the wrong class, 0 to 1.

    Returns
    -------
    x : numpy.ndarray, shape (n, 2)
        The points, standard normal.
    y : numpy.ndarray, shape (n, 1)
        The classes, 0 or 1, as integers.

    Raises
    ------
    ValueError
        If `n`, `seed` or `noise` cannot be used.

    References
    ----------
    Peking University, MOOC "人工智能实践：TensorFlow 笔记", lecture 4, program opt4_7.
    """
    _require_size(n)
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is a probability, 0 to 1, not {noise!r}")
    random = _random_state(seed)
    x = random.randn(n, 2)
    inside = np.sum(x**2, axis=1, keepdims=True) < 2
    wrong = random.rand(n, 1) < noise
    return Samples(x, (inside ^ wrong).astype(np.int64))


def noisy_cosine(n: int = 500, sigma: float = 0.3, seed: int = 0) -> NoisyCurve:
    """Make one period of a cosine, with and without normal noise.

    Parameters
    ----------
    n : int
        Number of points.
    sigma : float
        Standard deviation of the noise, 0 or more.
    seed : int
        Seed of `numpy.random.RandomState`.

    Returns
    -------
    t, clean, noisy : numpy.ndarray, shape (n,)
        Time from 0 to 2π (both ends included), cos t, and cos t with noise.

    Raises
    ------
    ValueError
        If `n`, `sigma` or `seed` cannot be used.
    """
    _require_size(n)
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be a number that is 0 or more, not {sigma!r}")
    t = np.linspace(0, 2 * np.pi, n)
    clean = np.cos(t)
    return NoisyCurve(t, clean, clean + _random_state(seed).normal(0, sigma, n))


def iris(seed: int = 116) -> Split:
    """Read Fisher's iris flowers, shuffled: 120 to train with and 30 to test with.

    Parameters
    ----------
    seed : int
        Seed of the shuffle; 116 is the source course's.

    Returns
    -------
    x_train, x_test : numpy.ndarray, shapes (120, 4) and (30, 4)
        Length and width of sepal and petal, in cm.
    y_train, y_test : numpy.ndarray, shapes (120,) and (30,)
        The species: 0 setosa, 1 versicolor, 2 virginica.

    Raises
    ------
    ValueError
        If `seed` cannot be used.

    References
    ----------
    R. A. Fisher (1936), The use of multiple measurements in taxonomic problems, Annals of
    Eugenics 7, 179–188.
    """
    table = np.loadtxt(_bundled("iris.csv"), delimiter=",", skiprows=1)
    x, y = table[:, :4].copy(), table[:, 4].astype(np.int64)
    # The source course seeds twice, so that features and labels get the same order.
    _random_state(seed).shuffle(x)
    _random_state(seed).shuffle(y)
    return Split(x[:120], y[:120], x[120:], y[120:])


def digits(source: str = "auto") -> Digits:
    """Load handwritten digits as pictures of 28×28.

    MNIST is taken from the cache folder, from the folder `COURSEKIT_DATA`, or from the network.
    Where none of them has it, there are the UCI digits, which come with the package: 1500 to
    train with and 297 to test with, their 8×8 grey levels brought to MNIST's size.

    Parameters
    ----------
    source : {"auto", "mnist", "uci"}
        "auto" takes MNIST if it can be had, else the UCI digits, and then prints a line that
        says so.

    Returns
    -------
    x_train, x_test : numpy.ndarray of uint8, shape (n, 28, 28)
        Grey levels: 0 is paper, 255 is ink. MNIST has 60 000 and 10 000 of them.
    y_train, y_test : numpy.ndarray of uint8, shape (n,)
        The digits, 0 to 9.
    source : str
        "mnist" or "uci".

    Raises
    ------
    ValueError
        If `source` is none of the three.
    DataError
        If `source` is "mnist" and MNIST cannot be had.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to
    document recognition, Proceedings of the IEEE 86(11), 2278–2324.
    E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, doi:10.24432/C50P49.
    """
    if source not in ("auto", "mnist", "uci"):
        raise ValueError(f"source must be 'auto', 'mnist' or 'uci', not {source!r}")
    if source != "uci":
        try:
            return Digits(*_mnist(), "mnist")
        except DataError as error:
            if source == "mnist":
                raise
            print(f"In use: the UCI handwritten digits (1797 pictures), not MNIST. {error}")
    return Digits(*_uci_digits(), "uci")


def cache_folder() -> Path:
    """Name the folder that downloads go to: `COURSEKIT_CACHE`, else the system's cache folder."""
    chosen = os.environ.get("COURSEKIT_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("coursekit"))


def find_mnist() -> Path | None:
    """Look for MNIST on this machine, without the network.

    Returns
    -------
    pathlib.Path or None
        The ``.npz`` file, or the folder with the four IDX files, in the cache folder or in
        `COURSEKIT_DATA`. None if there is none whose arrays pass the check.
    """
    found = _local_mnist()
    return found[0] if found else None


def download_mnist(progress: Callable[[int, int | None], None] | None = None) -> Path:
    """Bring MNIST into the cache folder, if it is not there already.

    The mirrors are tried one after the other until one gives the right arrays. The file takes its
    place only when it is complete and checked; what is broken off leaves nothing behind.

    Parameters
    ----------
    progress : callable, optional
        Called as ``progress(done_bytes, total_bytes)`` while bytes arrive; the total is None
        where the server does not say it. Another mirror starts at 0 again.

    Returns
    -------
    pathlib.Path
        The file ``mnist.npz`` in the cache folder.

    Raises
    ------
    DataError
        If no mirror could be used, or if the cache folder cannot be written to.
    """
    target = cache_folder() / "mnist.npz"
    with _ONE_DOWNLOAD:
        if _read_if_good(target):
            return target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(target.parent)
            _download(target, progress)
        except OSError as error:
            raise DataError(
                f"Cannot write to {target.parent} ({error.strerror or error}). Make room there, "
                "or set COURSEKIT_CACHE to another folder."
            ) from error
    return target


def mirror_answers() -> bool:
    """Say whether any mirror of MNIST can be reached; costs ANSWER_SECONDS without a network."""
    return any(True for _ in _answering(MIRRORS))


# --- MNIST on this machine -----------------------------------------------------------------------

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # in the order of ARRAYS

_ONE_DOWNLOAD = threading.Lock()
_failure = ""  # why the download failed in this process: asking again would only cost time


def _mnist() -> Arrays:
    """Load MNIST from this machine, else download it, but try that once only."""
    global _failure
    found = _local_mnist()
    if found:
        return found[1]
    if not _failure:
        try:
            return _read(download_mnist())
        except DataError as error:
            _failure = str(error)
    folder = os.environ.get("COURSEKIT_DATA")
    note = f"COURSEKIT_DATA={folder} does not hold MNIST. " if folder else ""
    raise DataError(note + _failure)


def _local_mnist() -> tuple[Path, Arrays] | None:
    """Find and read the first copy of MNIST that passes the check."""
    folders = [cache_folder()]
    if os.environ.get("COURSEKIT_DATA"):
        folders.append(Path(os.environ["COURSEKIT_DATA"]).expanduser())
    for folder in folders:
        for path in (folder / "mnist.npz", folder):
            arrays = _read_if_good(path)
            if arrays:
                return path, arrays
    return None


def _read_if_good(path: Path) -> Arrays | None:
    try:
        return _read(path)
    except DataError:
        return None


def _read(path: Path) -> Arrays:
    """Read MNIST from an ``.npz`` file or from a folder of IDX files, and check it."""
    try:
        if path.is_dir():
            x_train, y_train, x_test, y_test = (_read_idx(path, name) for name in IDX_FILES)
        else:
            # Opened here, because NumPy leaves a damaged .npz file open.
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                x_train, y_train, x_test, y_test = (file[name] for name in ARRAYS)
    # A file can be damaged in more ways than NumPy, zipfile and gzip have exceptions in common.
    except Exception:
        raise DataError(f"{path} does not hold MNIST") from None
    arrays = (x_train, y_train, x_test, y_test)
    if _hash(arrays) != MNIST_SHA256:
        raise DataError(f"{path} does not hold the real MNIST")
    return arrays


def _read_idx(folder: Path, name: str) -> np.ndarray:
    """Read an IDX file: two zeros, type 8 (bytes), the number of axes, their lengths, the data."""
    path = folder / name
    data = path.read_bytes() if path.exists() else (folder / f"{name}.gz").read_bytes()
    # By content, not by name: some servers unpack a .gz file on its way.
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:3] != b"\0\0\x08":
        raise ValueError("not an IDX file of bytes")
    shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
    start = 4 + 4 * data[3]
    # A copy, because what is read from bytes cannot be changed.
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()


def _hash(arrays: Arrays) -> str:
    """Hash the arrays as MNIST_SHA256 says; another type or shape gives no hash at all."""
    x_train, y_train, x_test, y_test = arrays
    for x, y in ((x_train, y_train), (x_test, y_test)):
        if x.dtype != np.uint8 or y.dtype != np.uint8 or x.shape != (y.size, 28, 28) or y.ndim != 1:
            return ""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


# --- MNIST from the network ----------------------------------------------------------------------


def _download(target: Path, progress: Callable[[int, int | None], None] | None) -> None:
    """Download from the first mirror that gives the right arrays."""
    import requests  # what pooch downloads with

    problems = dict.fromkeys(MIRRORS, "no answer")
    for mirror in _answering(MIRRORS):
        # Beside the target, so that the last step is a rename on one disk.
        with tempfile.TemporaryDirectory(
            prefix=".mnist-", dir=target.parent, ignore_cleanup_errors=True
        ) as folder:
            try:
                finished = _fetch(mirror, Path(folder), progress)
            except requests.HTTPError as error:
                problems[mirror] = f"error {getattr(error.response, 'status_code', '')}"
            except requests.RequestException:
                problems[mirror] = "the connection broke off"
            except _TooSlowError:
                problems[mirror] = "too slow"
            except DataError:
                problems[mirror] = "sent something else"
            else:
                _put_in_place(finished, target)
                return
    reasons = ", ".join(f"{urlsplit(mirror).netloc}: {why}" for mirror, why in problems.items())
    if set(problems.values()) == {"no answer"}:
        reasons = "no server answers"
    raise DataError(f"MNIST could not be downloaded ({reasons}). {HOW_TO_GET_MNIST}")


def _answering(mirrors: tuple[str, ...]) -> Iterator[str]:
    """Ask all mirrors at once and yield, in their order, those that answer in time.

    Without a network this costs ANSWER_SECONDS altogether, however many mirrors there are, and
    also where looking up a name hangs, which no time limit of the HTTP library covers.
    """
    answers: dict[str, bool] = {}
    threads = [
        threading.Thread(target=_ask, args=(mirror, answers), daemon=True) for mirror in mirrors
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + ANSWER_SECONDS
    for mirror, thread in zip(mirrors, threads, strict=True):
        thread.join(max(0.0, end - time.monotonic()))
        if answers.get(mirror):
            yield mirror


def _ask(mirror: str, answers: dict[str, bool]) -> None:
    """Note that a mirror answers, whatever it answers: the download tells what is wrong."""
    import requests

    try:
        requests.head(_files_of(mirror)[0], timeout=ANSWER_SECONDS, allow_redirects=True)
        answers[mirror] = True
    except requests.RequestException:
        answers[mirror] = False


def _files_of(mirror: str) -> list[str]:
    if mirror.endswith(".npz"):
        return [mirror]
    return [f"{mirror}{name}.gz" for name in IDX_FILES]


def _fetch(mirror: str, folder: Path, progress: Callable[[int, int | None], None] | None) -> Path:
    """Download a mirror's files into a folder, check them, and give the one ``.npz`` file."""
    import pooch

    finished = folder / "mnist.npz"
    urls = _files_of(mirror)
    single = urls == [mirror]
    meter = _Meter(progress, None if single else IDX_BYTES)
    for url in urls:
        path = finished if single else folder / url.rpartition("/")[2]
        with path.open("wb") as file:
            meter.file = file
            download = pooch.HTTPDownloader(
                progressbar=meter,
                chunk_size=4096,  # small, so that the meter soon hears of a trickle
                timeout=(ANSWER_SECONDS, SILENCE_SECONDS),
            )
            download(url, meter, None)
    if single:
        _read(finished)
    else:
        x_train, y_train, x_test, y_test = _read(folder)
        np.savez_compressed(
            finished, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test
        )
    return finished


class _TooSlowError(Exception):
    """The bytes only trickle in."""


class _Meter:
    """The file and the progress bar that pooch's downloader writes to: it counts real bytes."""

    def __init__(
        self, progress: Callable[[int, int | None], None] | None, total_of_all: int | None
    ) -> None:
        self.file: BinaryIO
        self.progress = progress
        self.total_of_all = total_of_all
        self.total = 0  # set by pooch for each file; 0 where the server does not say
        self.done = 0
        self.start = time.monotonic()

    def write(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.done += len(chunk)
        if self.progress:
            self.progress(self.done, self.total_of_all or self.total or None)
        seconds = time.monotonic() - self.start
        if seconds > GRACE_SECONDS and self.done < seconds * SLOWEST_BYTES_PER_SECOND:
            raise _TooSlowError

    def flush(self) -> None:
        """Leave it to closing the file: nobody reads along."""

    def update(self, size: int) -> None:
        """Ignore pooch's count, which takes every chunk as full."""

    reset = close = flush


def _put_in_place(finished: Path, target: Path) -> None:
    try:
        finished.replace(target)
    except PermissionError:
        # Windows does not replace a file that another process, done a moment before, is reading.
        if not _read_if_good(target):
            raise


def _remove_abandoned(folder: Path) -> None:
    """Remove what a download left that was killed more than a day ago."""
    for old in folder.glob(".mnist-*"):
        if old.stat().st_mtime < time.time() - 86_400:
            shutil.rmtree(old, ignore_errors=True)


# --- Data that come with the package -------------------------------------------------------------


def _bundled(name: str) -> Path:
    return Path(__file__).parent / "data" / name


def _uci_digits() -> Arrays:
    """Read the UCI digits at MNIST's size: the first 1500 to train with, 297 to test with."""
    with np.load(_bundled("uci_digits.npz"), allow_pickle=False) as file:
        x, y = _like_mnist(file["pictures"]), file["labels"]
    return x[:1500], y[:1500], x[1500:], y[1500:]


def _like_mnist(pictures: np.ndarray) -> np.ndarray:
    """Bring pictures of 8×8 with levels 0…16 to MNIST's form.

    Linear interpolation to 20×20, then moved by whole pixels so that the centre of mass is at
    (14, 14), as in MNIST. All in integers, so that every machine gets the same pictures.

    Parameters
    ----------
    pictures : numpy.ndarray, shape (n, 8, 8)

    Returns
    -------
    numpy.ndarray of uint8, shape (n, 28, 28)
    """
    # Row i of the weights: how much the 8 old pixels count for the new pixel i, in tenths. The
    # middle of new pixel i lies at (i + 0.5)·8/20 − 0.5 = (4i − 3)/10 on the old grid.
    new, old = np.arange(20)[:, None], np.arange(8)
    weights = np.maximum(0, 10 - np.abs(4 * new - 3 - 10 * old))
    boxes = (weights @ pictures.astype(np.int64) @ weights.T * 255 + 800) // 1600
    canvas = np.pad(boxes, ((0, 0), (4, 4), (4, 4)))  # an edge of 4, so at most 4 to move

    place = np.arange(28)
    ink = canvas.sum(axis=(1, 2))
    down = np.clip(np.rint(14 - canvas.sum(axis=2) @ place / ink), -4, 4).astype(int)
    right = np.clip(np.rint(14 - canvas.sum(axis=1) @ place / ink), -4, 4).astype(int)
    rows, columns = (place - down[:, None]) % 28, (place - right[:, None]) % 28
    picture = np.arange(len(canvas))[:, None, None]
    return canvas[picture, rows[:, :, None], columns[:, None, :]].astype(np.uint8)


def _require_size(n: int) -> None:
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n must be a whole number that is 1 or more, not {n!r}")


def _random_state(seed: int) -> np.random.RandomState:
    """Make NumPy's old generator, whose numbers the source course published."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, not {seed!r}")
    return np.random.RandomState(seed)
