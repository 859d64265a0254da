"""Measure how soon a slider's event reaches the picture, in real JupyterLab.

All our labs (each a sweep), one of them live, and `ipywidgets.interact` with a new matplotlib
figure are measured in one run, turn by turn, first on the machine as it is and then beside
processes that keep every core busy::

    uv run python -m benchmarks.labs.latency

writes ``results.json`` and ``README.md`` beside this file. *Drawn* is the time from the key press
until the new picture is drawn (canvas strokes finished, or the new image decoded); *painted*
until the browser has put the next frame on the screen. *pad*: from the end of a stroke on the
drawing pad until the ten probabilities are shown.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page

from tests.browser import jupyter
from tests.browser.test_all_labs import LABS

HERE = Path(__file__).parent
ROUNDS, KEYS = 4, 6

INTERACT = """
import matplotlib.pyplot as plt
import numpy as np
from coursekit import landscapes, optimizers
from coursekit.labs.learning_rate import RATES
from ipywidgets import SelectionSlider, interact

def show(rate):
    trace = optimizers.minimize(landscapes.parabola(), optimizers.SGD(rate), 5, 40)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
    w = np.linspace(-9, 7, 200)
    left.plot(w, (w + 1) ** 2)
    left.plot(trace.points[:, 0], trace.losses, "o-")
    left.set(xlim=(-9, 7), ylim=(-3, 66))
    right.semilogy(trace.losses + 1e-30)
    right.set(ylim=(1e-8, 1e8))
    plt.show()

interact(show, rate=SelectionSlider(options=RATES, value=0.2, description="learning rate η"))
"""
NOTEBOOKS = {
    **{name: f"from coursekit.labs import {name.split('.')[0]}\n{name}()" for name in LABS},
    "learning_rate.explore, live": "from coursekit.labs import learning_rate\n"
    "learning_rate.explore(sweep=False)",
    "interact": INTERACT,
}

PAD = """
import keras
from coursekit import datasets
from coursekit.labs import sequential_mnist
model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(),
    keras.layers.Dense(128, activation="relu"), keras.layers.Dense(10, activation="softmax")])
sequential_mnist.drawing_pad(model, datasets.digits("uci").x_test[0])
"""

WATCH_PAD = """
() => {
  const pad = document.querySelector(".ck-pad");
  window.pad = { up: 0, answered: 0 };
  document.addEventListener("pointerup", () => { window.pad.up = performance.now(); }, true);
  new MutationObserver(() => { window.pad.answered = performance.now(); })
    .observe(pad, { attributeFilter: ["data-answers"] });
}
"""

WATCH = """
(() => {
  const seen = window.seen = {};
  const mark = () => {
    if (!seen.key || seen.drawn) return;
    queueMicrotask(() => {
      if (seen.drawn) return;
      seen.drawn = performance.now() - seen.key;
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => { seen.painted = performance.now() - seen.key; };
        channel.port2.postMessage(0);
      });
    });
  };
  addEventListener("keydown", () => Object.assign(seen,
    { key: performance.now(), drawn: 0, painted: 0 }), true);
  const stroke = CanvasRenderingContext2D.prototype.stroke;
  CanvasRenderingContext2D.prototype.stroke = function (...etc) {
    stroke.apply(this, etc);
    if (this.canvas.isConnected) mark();
  };
  document.addEventListener("load", (event) => {
    if (event.target.tagName === "IMG" && event.target.naturalWidth > 300) mark();
  }, true);
})();
"""


def press_and_time(page: Page, key: str) -> tuple[float, float]:
    """Press a key on the first slider; give the milliseconds until drawn and until painted."""
    jupyter.slider(page, "").first.focus()
    page.evaluate("Object.assign(window.seen, {key: 0, drawn: 0, painted: 0})")
    page.keyboard.press(key)
    page.wait_for_function("window.seen.painted > 0", timeout=20_000)
    page.wait_for_timeout(150)  # let the kernel finish: each event starts from rest
    return tuple(page.evaluate("[window.seen.drawn, window.seen.painted]"))


def measure_pad(page: Page) -> dict[str, float]:
    """Draw strokes; time from the end of each until its answer is shown."""
    page.bring_to_front()
    times = []
    for turn in range(20):
        box = page.locator(".ck-paper").bounding_box()
        x, y = box["x"] + 40 + 10 * turn, box["y"]
        page.mouse.move(x, y + 40)
        page.mouse.down()
        page.mouse.move(x, y + 200, steps=10)
        page.mouse.up()
        page.wait_for_timeout(700)  # longer than any answer: the last one is the stroke's
        times.append(page.evaluate("window.pad.answered - window.pad.up"))
    return {
        "events": len(times),
        "answered_median_ms": round(statistics.median(times), 1),
        "answered_p90_ms": round(statistics.quantiles(times, n=10)[-1], 1),
    }


@contextlib.contextmanager
def busy_cores(busy: bool) -> Iterator[None]:
    """Keep every core busy with other work."""
    workers = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(os.cpu_count())]
    for worker in workers if busy else []:
        worker.start()
    try:
        yield
    finally:
        for worker in workers if busy else []:
            worker.terminate()


def _spin() -> None:
    while True:
        pass


def measure(pages: dict[str, Page]) -> dict[str, dict[str, float]]:
    """Time all notebooks in turn."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pages}
    for page in pages.values():  # away from the slider's right end
        jupyter.slider(page, "").first.press("ArrowLeft")
    for _ in range(ROUNDS):
        for name, page in pages.items():
            page.bring_to_front()
            keys = ("ArrowRight", "ArrowLeft") * (KEYS // 2)
            times[name] += [press_and_time(page, key) for key in keys]
    return {name: _summary(each) for name, each in times.items()}


def _summary(times: list[tuple[float, float]]) -> dict[str, float]:
    drawn, painted = zip(*times, strict=True)
    return {
        "events": len(times),
        "drawn_median_ms": round(statistics.median(drawn), 1),
        "drawn_p90_ms": round(statistics.quantiles(drawn, n=10)[-1], 1),
        "painted_median_ms": round(statistics.median(painted), 1),
    }


def run() -> dict[str, object]:
    """Open all notebooks in one JupyterLab and measure quiet, then busy."""
    results: dict[str, object] = {
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        course, private = Path(folder, "course"), Path(folder, "private")
        course.mkdir()
        address = stack.enter_context(jupyter.jupyterlab(course, private))
        browser = stack.enter_context(jupyter.chromium())
        pages = {}
        for name, cell in NOTEBOOKS.items():
            file = f"{len(pages)}.ipynb"
            jupyter.write_notebook(course / file, cell)
            page = browser.new_context(viewport={"width": 1100, "height": 900}).new_page()
            page.add_init_script(WATCH)
            jupyter.open_notebook(page, address, file)
            jupyter.command(page, "notebook:run-all-cells")
            jupyter.slider(page, "").first.wait_for(timeout=90_000)
            page.wait_for_timeout(2000)
            pages[name] = page
        jupyter.write_notebook(course / "pad.ipynb", PAD)
        pad = browser.new_context(viewport={"width": 1100, "height": 900}).new_page()
        jupyter.open_notebook(pad, address, "pad.ipynb")
        jupyter.command(pad, "notebook:run-all-cells")
        pad.locator(".ck-paper").wait_for(timeout=90_000)
        pad.evaluate(WATCH_PAD)
        for condition, busy in (("quiet", False), ("busy", True)):
            with busy_cores(busy):
                results[condition] = measure(pages) | {"pad": measure_pad(pad)}
    return results


def report(results: dict[str, object]) -> str:
    """Write the results as a Markdown page."""
    lines = [
        "# Slider event to pixels",
        "",
        "Milliseconds in JupyterLab in headless Chromium, from the key press; made by",
        "`uv run python -m benchmarks.labs.latency` (what is measured: its first lines).",
        f"{results['cores']} cores, Python {results['python']}, "
        f"load before the run {results['load_before']}.",
        "*quiet*: nothing else started by the benchmark; *busy*: one spinning process per core.",
        "",
        "| | | drawn, median | drawn, 90 % | painted, median | `interact` ÷ this, drawn |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for condition in ("quiet", "busy"):
        slow = results[condition]["interact"]["drawn_median_ms"]
        for name in NOTEBOOKS:
            row = results[condition][name]
            lines.append(
                f"| {condition} | {name} | {row['drawn_median_ms']} | {row['drawn_p90_ms']} "
                f"| {row['painted_median_ms']} | {slow / row['drawn_median_ms']:.0f} × |"
            )
    lines += [
        "",
        "| drawing pad | answered after a stroke, median | 90 % |",
        "| --- | --- | --- |",
    ]
    for condition in ("quiet", "busy"):
        pad = results[condition]["pad"]
        lines.append(f"| {condition} | {pad['answered_median_ms']} | {pad['answered_p90_ms']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    found = run()
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "README.md").write_text(report(found), encoding="utf-8")
    print(report(found))
