"""The data sets: published numbers, sources of the digits, and real downloads from a local server.

The expected numbers are those that the source course and NumPy's frozen generator give.
"""

import csv
import gzip
import io
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from coursekit import datasets
from coursekit.datasets import DataError

# --- made-up sets and iris -----------------------------------------------------------------------


def test_yogurt_sales_are_those_of_the_source_course():
    x, y = datasets.yogurt_sales()
    assert x.shape == (32, 2)
    assert y.shape == (32, 1)
    np.testing.assert_allclose(x[0], [0.83494319, 0.11482951], atol=1e-8)
    np.testing.assert_allclose(x[1], [0.66899751, 0.46594987], atol=1e-8)
    np.testing.assert_allclose(y[:3, 0], [0.96979786, 1.16346049, 1.19427144], atol=1e-8)
    assert x.sum() == pytest.approx(31.500323241934453, abs=1e-12)
    assert y.sum() == pytest.approx(31.52411008131019, abs=1e-12)


def test_yogurt_sales_regression_has_the_published_answer():
    x, y = datasets.yogurt_sales()
    weights, *_ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(weights[:, 0], [1.00430862, 0.99482883], atol=1e-8)
    assert np.mean((x @ weights - y) ** 2) == pytest.approx(0.0006512695902, abs=1e-12)
    assert np.mean((x.sum(axis=1, keepdims=True) - y) ** 2) == pytest.approx(0.000656243984)


def test_two_class_ring_is_that_of_the_source_course():
    x, y = datasets.two_class_ring()
    assert x.shape == (300, 2)
    assert y.shape == (300, 1)
    assert np.bincount(y[:, 0]).tolist() == [112, 188]
    first = [[-0.41675785, -0.05626683], [-2.1361961, 1.64027081], [-1.79343559, -0.84174737]]
    np.testing.assert_allclose(x[:3], first, atol=1e-8)
    assert y[:6, 0].tolist() == [1, 0, 0, 1, 1, 0]
    np.testing.assert_array_equal(y[:, 0] == 1, np.hypot(*x.T) < np.sqrt(2))
    assert y.var() == pytest.approx(0.2339556, abs=1e-7)  # squared error of the best constant


def test_two_class_ring_has_the_expected_share_inside():
    _, y = datasets.two_class_ring(n=200_000, seed=1)
    assert y.mean() == pytest.approx(1 - np.exp(-1), abs=0.005)


def test_two_class_ring_with_wrong_classes():
    clean, little, much = (datasets.two_class_ring(20_000, 3, noise) for noise in (0, 0.1, 0.3))
    for samples, noise in ((little, 0.1), (much, 0.3)):
        np.testing.assert_array_equal(samples.x, clean.x)
        assert np.mean(samples.y != clean.y) == pytest.approx(noise, abs=0.01)
    assert np.all((much.y != clean.y)[little.y != clean.y])
    np.testing.assert_array_equal(
        datasets.two_class_ring(9, noise=1).y, 1 - datasets.two_class_ring(9).y
    )


@pytest.mark.parametrize("noise", [-0.1, 1.5, np.nan])
def test_two_class_ring_refuses_an_impossible_noise(noise):
    with pytest.raises(ValueError, match="noise is a probability"):
        datasets.two_class_ring(noise=noise)


def test_noisy_cosine():
    t, clean, noisy = datasets.noisy_cosine()
    assert t.shape == clean.shape == noisy.shape == (500,)
    assert (t[0], t[-1]) == (0, 2 * np.pi)
    np.testing.assert_array_equal(clean, np.cos(t))
    assert np.sqrt(np.mean((noisy - clean) ** 2)) == pytest.approx(0.2995, abs=5e-5)


def test_arguments_are_used():
    assert datasets.yogurt_sales(n=5).x.shape == (5, 2)
    assert not np.array_equal(datasets.yogurt_sales(seed=1).x, datasets.yogurt_sales(seed=2).x)
    assert datasets.two_class_ring(n=7).y.shape == (7, 1)
    quiet = datasets.noisy_cosine(n=9, sigma=0)
    np.testing.assert_array_equal(quiet.noisy, quiet.clean)


def test_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    datasets.yogurt_sales()
    datasets.iris()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_iris_has_the_split_of_the_source_course():
    flowers = datasets.iris()
    assert flowers.x_train.shape == (120, 4)
    assert flowers.y_train.shape == (120,)
    assert flowers.x_test.shape == (30, 4)
    assert np.bincount(flowers.y_test).tolist() == [11, 14, 5]
    assert np.bincount(flowers.y_train).tolist() == [39, 36, 45]


def test_iris_keeps_each_flower_with_its_species():
    path = Path(datasets.__file__).parent / "data" / "iris.csv"
    rows = list(csv.reader(path.read_text().splitlines()))[1:]
    flowers = datasets.iris(seed=5)
    x = np.concatenate([flowers.x_train, flowers.x_test])
    y = np.concatenate([flowers.y_train, flowers.y_test])
    shuffled = sorted([*map(float, row), int(label)] for row, label in zip(x, y, strict=True))
    assert shuffled == sorted([*map(float, row[:4]), int(row[4])] for row in rows)
    # Fisher's published means of setosa, in cm.
    np.testing.assert_allclose(x[y == 0].mean(axis=0), [5.006, 3.428, 1.462, 0.246], atol=1e-9)


# --- a small stand-in for MNIST, and a server ----------------------------------------------------

NAMES = ("x_train", "y_train", "x_test", "y_test")


def stand_in(seed=0):
    """Random pictures: about 300 kB that cannot be compressed."""
    random = np.random.default_rng(seed)
    sizes = ((300, 28, 28), (300,), (100, 28, 28), (100,))
    return tuple(random.integers(0, 256, size, dtype=np.uint8) for size in sizes)


def npz(arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(zip(NAMES, arrays, strict=True)))
    return buffer.getvalue()


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, arrays, compressed):
    for name, array in zip(datasets.IDX_FILES, arrays, strict=True):
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array), 1))
        else:
            (folder / name).write_bytes(idx(array))


class Handler(BaseHTTPRequestHandler):
    """Answers what the test put into `server.answers`: bytes, or a function of this handler."""

    def do_HEAD(self):
        self.send_response(200 if self.path in self.server.answers else 404)
        self.end_headers()

    def do_GET(self):
        self.server.requests.append(self.path)
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
        elif callable(answer):
            answer(self)
        else:
            self.start(len(answer))
            self.wfile.write(answer)

    def start(self, length=None, **headers):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_):
        """Keep the output of the tests clean."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Leave out what a client that hangs up makes the handler raise."""


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as local:
        local.answers = {}
        local.requests = []
        local.url = f"http://127.0.0.1:{local.server_port}"
        local.stop = threading.Event()
        thread = threading.Thread(target=local.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield local
        local.stop.set()
        local.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def real_mnist():
    """The real MNIST of this machine, found before `isolated` hides it."""
    path = datasets.find_mnist()
    if path is None:
        pytest.skip("the real MNIST is neither cached nor in COURSEKIT_DATA")
    return path


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def isolated(monkeypatch, cache):
    """Let no test see the machine's own data, or the network."""
    monkeypatch.setenv("COURSEKIT_CACHE", str(cache))
    monkeypatch.delenv("COURSEKIT_DATA", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(datasets, "MIRRORS", ())
    monkeypatch.setattr(datasets, "_failure", "")


@pytest.fixture
def small(monkeypatch):
    """Take the stand-in for the real MNIST."""
    arrays = stand_in()
    monkeypatch.setattr(datasets, "MNIST_SHA256", datasets._hash(arrays))
    return arrays


@pytest.fixture
def mirrors(monkeypatch, server):
    """Set the mirrors to paths of the local server."""

    def use(*paths):
        monkeypatch.setattr(datasets, "MIRRORS", tuple(server.url + path for path in paths))

    return use


def assert_loaded(loaded, arrays):
    assert loaded.source == "mnist"
    for name, array in zip(NAMES, arrays, strict=True):
        np.testing.assert_array_equal(getattr(loaded, name), array)
        assert getattr(loaded, name).flags.writeable


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


# --- which digits --------------------------------------------------------------------------------


def test_uci_digits_look_like_mnist(capsys):
    loaded = datasets.digits("uci")
    assert loaded.source == "uci"
    assert loaded.x_train.shape == (1500, 28, 28)
    assert loaded.y_train.shape == (1500,)
    assert loaded.x_test.shape == (297, 28, 28)
    assert loaded.y_test.shape == (297,)
    assert {array.dtype for array in loaded[:4]} == {np.dtype(np.uint8)}
    assert capsys.readouterr().out == ""
    x = np.concatenate([loaded.x_train, loaded.x_test]).astype(float)
    y = np.concatenate([loaded.y_train, loaded.y_test])
    # The class counts that UCI publishes for its test set.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    ink = x.sum(axis=(1, 2))
    for axis in (1, 2):
        centre = x.sum(axis=axis) @ np.arange(28) / ink
        assert np.abs(centre - 14).max() < 0.51  # moved by whole pixels
    assert x.max() == 255
    edge = np.ones((28, 28), dtype=bool)
    edge[1:-1, 1:-1] = False
    assert x[:, edge].max() < 255 / 2  # no digit is cut


def test_uci_digits_agree_with_scipys_interpolation():
    """Before it is moved, a picture is SciPy's linear zoom of the 8×8 one with paper around it."""
    from scipy.ndimage import map_coordinates

    with np.load(Path(datasets.__file__).parent / "data" / "uci_digits.npz") as file:
        pictures = file["pictures"][:20]
    place = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    for small, large in zip(pictures, datasets.digits("uci").x_train, strict=False):
        grid = np.meshgrid(place, place, indexing="ij")
        zoomed = map_coordinates(small * (255.0 / 16), grid, order=1, mode="grid-constant")
        rows, columns = large.any(axis=1), large.any(axis=0)
        box = large[np.ix_(rows, columns)]
        rounded = np.floor(zoomed + 0.5)
        expected = rounded[np.ix_(rounded.any(axis=1), rounded.any(axis=0))]
        assert box.shape == expected.shape
        assert np.abs(box - expected).max() <= 1  # SciPy rounds in floating point


def test_uci_digits_can_be_learned():
    """The nearest training picture has the right label for most of the other writers' digits."""
    loaded = datasets.digits("uci")
    train = loaded.x_train.reshape(1500, -1).astype(float)
    test = loaded.x_test.reshape(297, -1).astype(float)
    distances = (train**2).sum(axis=1) - 2 * test @ train.T
    nearest = loaded.y_train[distances.argmin(axis=1)]
    assert np.mean(nearest == loaded.y_test) > 0.94


def test_unknown_source_is_an_error():
    with pytest.raises(ValueError, match=r"^source must be 'auto', 'mnist' or 'uci', not 'MNIST'$"):
        datasets.digits("MNIST")


@pytest.mark.parametrize("source", ["auto", "mnist"])
def test_mnist_comes_from_the_cache_in_silence(small, cache, capsys, source):
    cache.mkdir()
    (cache / "mnist.npz").write_bytes(npz(small))
    assert_loaded(datasets.digits(source), small)
    assert datasets.find_mnist() == cache / "mnist.npz"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["npz", "idx", "idx.gz"])
def test_mnist_comes_from_the_data_folder(small, tmp_path, monkeypatch, kind):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("COURSEKIT_DATA", str(folder))
    if kind == "npz":
        (folder / "mnist.npz").write_bytes(npz(small))
    else:
        write_idx(folder, small, compressed=kind.endswith("gz"))
    assert_loaded(datasets.digits(), small)
    assert datasets.find_mnist() == (folder / "mnist.npz" if kind == "npz" else folder)


def test_damaged_cache_gives_way_to_the_data_folder(small, cache, tmp_path, monkeypatch):
    cache.mkdir()
    (cache / "mnist.npz").write_bytes(npz(small)[:-1000])
    (tmp_path / "mnist.npz").write_bytes(npz(small))
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path))
    assert datasets.find_mnist() == tmp_path / "mnist.npz"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"<html>Log in to this network</html>",
        npz(stand_in())[:5000],
        npz(stand_in(seed=1)),
        npz(tuple(array.astype(np.int8) for array in stand_in())),
        npz((stand_in()[0].reshape(-1, 784), *stand_in()[1:])),
    ],
    ids=["empty", "short", "page", "cut", "other data", "other type", "other shape"],
)
def test_other_content_is_not_mnist(small, tmp_path, monkeypatch, content):
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(content)
    assert datasets.find_mnist() is None
    (tmp_path / "mnist.npz").unlink()
    write_idx(tmp_path, small, compressed=False)
    assert datasets.find_mnist() == tmp_path
    (tmp_path / datasets.IDX_FILES[2]).write_bytes(content)
    assert datasets.find_mnist() is None


def test_auto_without_mnist_says_in_one_line_what_is_in_use(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path))
    assert datasets.digits().source == "uci"
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.count("\n") == 1
    assert said.out.startswith("In use: the UCI handwritten digits (1797 pictures), not MNIST.")
    assert f"COURSEKIT_DATA={tmp_path} does not hold MNIST." in said.out
    assert "coursekit data" in said.out


def test_mnist_without_mnist_is_an_error_with_the_fix():
    with pytest.raises(DataError, match="coursekit data") as caught:
        datasets.digits("mnist")
    assert "\n" not in str(caught.value)


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_CACHE", str(tmp_path / "mine"))
    assert datasets.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("COURSEKIT_CACHE")
    assert "coursekit" in str(datasets.cache_folder())


def test_import_is_lazy():
    code = (
        "import sys, coursekit.datasets as d; d.iris(); d.digits('uci')\n"
        "print([m for m in ('pooch', 'requests', 'matplotlib', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- downloads -----------------------------------------------------------------------------------


def test_download_of_one_npz_file(small, server, mirrors, cache, capsys):
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = npz(small)
    assert_loaded(datasets.digits(), small)
    assert files_in(cache) == ["mnist.npz"]
    assert datasets.download_mnist() == cache / "mnist.npz"
    assert_loaded(datasets.digits("mnist"), small)
    assert server.requests == ["/mnist.npz"]  # once, then from the cache
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.parametrize("unpacked_on_the_way", [False, True])
def test_download_of_four_idx_files(small, server, mirrors, cache, unpacked_on_the_way):
    def send_encoded(content):
        def send(handler):
            handler.start(len(content), Content_Encoding="gzip")
            handler.wfile.write(content)

        return send

    mirrors("/idx/")
    for name, array in zip(datasets.IDX_FILES, small, strict=True):
        content = gzip.compress(idx(array))
        server.answers[f"/idx/{name}.gz"] = (
            send_encoded(content) if unpacked_on_the_way else content
        )
    assert datasets.download_mnist() == cache / "mnist.npz"
    assert files_in(cache) == ["mnist.npz"]
    assert_loaded(datasets.digits("mnist"), small)


def test_progress_counts_real_bytes(small, server, mirrors):
    content = npz(small)
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = content
    seen = []
    datasets.download_mnist(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(content), len(content))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) > 3


def test_progress_of_four_files_and_of_unknown_length(small, server, mirrors, cache):
    sizes = []
    for name, array in zip(datasets.IDX_FILES, small, strict=True):
        server.answers[f"/idx/{name}.gz"] = gzip.compress(idx(array))
        sizes.append(len(server.answers[f"/idx/{name}.gz"]))
    mirrors("/idx/")
    seen = []
    datasets.download_mnist(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (sum(sizes), datasets.IDX_BYTES)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    def without_length(handler):
        handler.start()
        handler.wfile.write(npz(small))

    (cache / "mnist.npz").unlink()
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = without_length
    seen.clear()
    datasets.download_mnist(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(npz(small)), None)


def cut_off(content):
    """Promise all, send half, hang up."""

    def send(handler):
        handler.start(len(content))
        handler.wfile.write(content[: len(content) // 2])

    return send


def cut_off_unnoticed(content):
    """Send half without having said how much it would be."""

    def send(handler):
        handler.start()
        handler.wfile.write(content[: len(content) // 2])

    return send


def fall_silent(content):
    """Send half and then nothing more, with the line left open."""

    def send(handler):
        handler.start(len(content))
        handler.wfile.write(content[: len(content) // 2])
        handler.server.stop.wait(20)

    return send


def trickle(content):
    """Send a little at a time, for longer than anybody waits."""

    def send(handler):
        handler.start(len(content))
        for start in range(0, len(content), 4_000):
            handler.wfile.write(content[start : start + 4_000])
            if handler.server.stop.wait(0.2):
                return

    return send


def wrong_bytes(content):
    def send(handler):
        other = bytearray(content)
        other[len(other) // 2] ^= 1
        handler.start(len(other))
        handler.wfile.write(other)

    return send


def other_digits(_):
    content = npz(stand_in(seed=1))

    def send(handler):
        handler.start(len(content))
        handler.wfile.write(content)

    return send


def log_in_page(_):
    def send(handler):
        handler.start(Content_Type="text/html")
        handler.wfile.write(b"<html>Please log in to this network</html>")

    return send


def error_503(_):
    return lambda handler: handler.send_error(503)


FAULTS = {
    cut_off: "the connection broke off",
    cut_off_unnoticed: "sent something else",
    fall_silent: "the connection broke off",
    trickle: "too slow",
    wrong_bytes: "sent something else",
    other_digits: "sent something else",
    log_in_page: "sent something else",
    error_503: "error 503",
    None: "error 404",
}


@pytest.fixture
def impatient(monkeypatch):
    """Give up sooner, but not so soon that a loaded machine makes a good mirror fail."""
    monkeypatch.setattr(datasets, "SILENCE_SECONDS", 1.5)
    monkeypatch.setattr(datasets, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(datasets, "SLOWEST_BYTES_PER_SECOND", 60_000)  # `trickle` has 20 000


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: getattr(fault, "__name__", "404"))
def test_a_bad_mirror_is_followed_by_the_next(small, server, mirrors, cache, impatient, fault):
    mirrors("/bad/mnist.npz", "/good/mnist.npz")
    if fault:
        server.answers["/bad/mnist.npz"] = fault(npz(small))
    server.answers["/good/mnist.npz"] = npz(small)
    assert_loaded(datasets.digits("mnist"), small)
    assert server.requests == ["/bad/mnist.npz", "/good/mnist.npz"]
    assert files_in(cache) == ["mnist.npz"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: getattr(fault, "__name__", "404"))
def test_a_bad_download_leaves_nothing_and_says_why(
    small, server, mirrors, cache, impatient, fault, capsys
):
    mirrors("/bad/mnist.npz")
    if fault:
        server.answers["/bad/mnist.npz"] = fault(npz(small))
    with pytest.raises(DataError) as caught:
        datasets.download_mnist()
    host = server.url.removeprefix("http://")
    assert str(caught.value).startswith(
        f"MNIST could not be downloaded ({host}: {FAULTS[fault]}). To get it: "
    )
    assert "\n" not in str(caught.value)
    assert files_in(cache) == []
    assert datasets.digits().source == "uci"
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_one_bad_file_of_four_spoils_a_mirror(small, server, mirrors, cache):
    mirrors("/idx/", "/good/mnist.npz")
    for name, array in zip(datasets.IDX_FILES[:3], small[:3], strict=True):
        server.answers[f"/idx/{name}.gz"] = gzip.compress(idx(array))
    server.answers["/good/mnist.npz"] = npz(small)
    assert_loaded(datasets.digits("mnist"), small)
    assert files_in(cache) == ["mnist.npz"]


def test_a_slow_but_steady_mirror_is_waited_for(small, server, mirrors):
    def steady(handler):
        content = npz(small)
        handler.start(len(content))
        for start in range(0, len(content), 30_000):
            handler.wfile.write(content[start : start + 30_000])
            time.sleep(0.05)

    mirrors("/mnist.npz", "/never/mnist.npz")
    server.answers["/mnist.npz"] = steady
    assert_loaded(datasets.digits("mnist"), small)
    assert server.requests == ["/mnist.npz"]


def test_a_broken_download_starts_again_from_nothing(small, server, mirrors, cache):
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = cut_off(npz(small))
    with pytest.raises(DataError):
        datasets.download_mnist()
    server.answers["/mnist.npz"] = npz(small)
    assert datasets.download_mnist() == cache / "mnist.npz"
    assert_loaded(datasets.digits("mnist"), small)


def test_a_damaged_cached_file_is_replaced(small, server, mirrors, cache):
    cache.mkdir()
    (cache / "mnist.npz").write_bytes(npz(small)[:-1000])
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = npz(small)
    assert_loaded(datasets.digits("mnist"), small)
    assert files_in(cache) == ["mnist.npz"]


def test_a_failed_download_is_not_repeated_in_this_process(small, server, mirrors, cache):
    mirrors("/mnist.npz")
    assert datasets.digits().source == "uci"
    assert datasets.digits().source == "uci"
    with pytest.raises(DataError, match="error 404"):
        datasets.digits("mnist")
    assert server.requests == ["/mnist.npz"]
    # Asked for expressly, or put there by hand, it is found all the same.
    server.answers["/mnist.npz"] = npz(small)
    datasets.download_mnist()
    assert_loaded(datasets.digits(), small)


def test_without_a_network_it_falls_back(monkeypatch, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(
        datasets,
        "MIRRORS",
        (f"http://127.0.0.1:{port}/mnist.npz", "http://no-such-host.invalid/mnist/"),
    )
    assert datasets.digits().source == "uci"
    assert "(no server answers)" in capsys.readouterr().out


def test_mirrors_that_hang_cost_one_wait_together(small, server, monkeypatch):
    """A server that takes the connection and says nothing, five times, then one that works."""
    monkeypatch.setattr(datasets, "ANSWER_SECONDS", 2.0)
    server.answers["/mnist.npz"] = npz(small)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}/mnist.npz"
        joins = []
        join = threading.Thread.join
        monkeypatch.setattr(
            threading.Thread,
            "join",
            lambda self, timeout=None: (joins.append(timeout), join(self, timeout)),
        )
        monkeypatch.setattr(datasets, "MIRRORS", (url,) * 5 + (server.url + "/mnist.npz",))
        assert_loaded(datasets.digits("mnist"), small)
    waits = [seconds for seconds in joins if seconds is not None]
    assert len(waits) == 6
    assert waits[0] <= 2
    assert max(waits[1:]) < 0.5  # the first wait is the last: the others have asked meanwhile


def test_interrupting_leaves_nothing(small, server, mirrors, cache):
    def interrupt(done, _):
        if done > 100_000:
            raise KeyboardInterrupt

    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = npz(small)
    with pytest.raises(KeyboardInterrupt):
        datasets.download_mnist(interrupt)
    assert files_in(cache) == []
    assert datasets.download_mnist() == cache / "mnist.npz"  # the lock is free again


def test_what_a_killed_download_left_is_removed_after_a_day(small, server, mirrors, cache):
    for name in (".mnist-old", ".mnist-new"):
        (cache / name).mkdir(parents=True)
        (cache / name / "mnist.npz").write_bytes(b"half")
    yesterday = time.time() - 90_000
    os.utime(cache / ".mnist-old", (yesterday, yesterday))
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = npz(small)
    datasets.download_mnist()
    assert files_in(cache) == [".mnist-new", "mnist.npz"]  # the new one may be at work


def test_a_cache_that_cannot_be_written_is_said(small, server, mirrors, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("COURSEKIT_CACHE", str(tmp_path / "file" / "cache"))
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = npz(small)
    with pytest.raises(DataError, match=r"^Cannot write to .* set COURSEKIT_CACHE to another"):
        datasets.download_mnist()
    assert datasets.digits().source == "uci"


def test_threads_download_once(small, server, mirrors):
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = npz(small)
    loaded = []
    threads = [
        threading.Thread(target=lambda: loaded.append(datasets.digits("mnist"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    for each in loaded:
        assert_loaded(each, small)
    assert server.requests == ["/mnist.npz"]


def test_two_processes_at_once(small, server, cache):
    """Both wait for each other's request, so that both download; both end with a whole file."""
    both = threading.Barrier(2)

    def together(handler):
        content = npz(small)
        handler.start(len(content))
        handler.wfile.write(content[:1000])
        both.wait(60)
        handler.wfile.write(content[1000:])

    server.answers["/mnist.npz"] = together
    code = (
        "import sys\n"
        "from coursekit import datasets\n"
        f"datasets.MIRRORS = ({server.url + '/mnist.npz'!r},)\n"
        f"datasets.MNIST_SHA256 = {datasets.MNIST_SHA256!r}\n"
        "datasets.SILENCE_SECONDS = 60\n"
        "datasets.GRACE_SECONDS = 120\n"
        "sys.exit(datasets.digits('mnist').source != 'mnist')\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(90) for process in processes] == [0, 0]
    assert server.requests == ["/mnist.npz", "/mnist.npz"]
    assert files_in(cache) == ["mnist.npz"]
    assert_loaded(datasets.digits("mnist"), small)


def test_a_killed_process_leaves_no_half_file(small, server, mirrors, cache):
    server.answers["/mnist.npz"] = fall_silent(npz(small))
    code = (
        "from coursekit import datasets\n"
        f"datasets.MIRRORS = ({server.url + '/mnist.npz'!r},)\n"
        "datasets.download_mnist(lambda done, total: print(done, flush=True))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    assert not (cache / "mnist.npz").exists()
    mirrors("/good.npz")
    server.answers["/good.npz"] = npz(small)
    assert_loaded(datasets.digits("mnist"), small)


# --- the real MNIST ------------------------------------------------------------------------------


@pytest.mark.mnist
def test_real_mnist(real_mnist, monkeypatch, capsys):
    folder = real_mnist if real_mnist.is_dir() else real_mnist.parent
    monkeypatch.setenv("COURSEKIT_DATA", str(folder))
    loaded = datasets.digits()
    assert loaded.source == "mnist"
    assert loaded.x_train.shape == (60_000, 28, 28)
    assert loaded.x_test.shape == (10_000, 28, 28)
    assert {array.dtype for array in loaded[:4]} == {np.dtype(np.uint8)}
    assert loaded.y_test[:4].tolist() == [7, 2, 1, 0]
    assert np.bincount(loaded.y_train)[:3].tolist() == [5923, 6742, 5958]
    assert capsys.readouterr().out == ""


@pytest.mark.mnist
def test_real_mnist_as_idx_files_has_the_same_hash(real_mnist, monkeypatch, tmp_path):
    arrays = datasets._read(real_mnist)
    write_idx(tmp_path, arrays, compressed=False)
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path))
    assert datasets.find_mnist() == tmp_path


@pytest.mark.mnist
def test_real_mnist_arrives_from_a_server(real_mnist, server, mirrors, cache):
    if real_mnist.is_dir():
        pytest.skip("here the real MNIST is in IDX files, not in one .npz file")
    mirrors("/mnist.npz")
    server.answers["/mnist.npz"] = real_mnist.read_bytes()
    assert datasets.download_mnist() == cache / "mnist.npz"
    assert (cache / "mnist.npz").read_bytes() == real_mnist.read_bytes()
