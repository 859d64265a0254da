"""A matplotlib figure whose moving artists are drawn in the browser.

matplotlib paints the static part once, as SVG (crisp on every screen) in a light and a dark
version. The artists that move are sent as plain pixel coordinates and stroked on a canvas above
the picture, in the same style: 4–8 ms from event to drawing, where a redrawn PNG needs 100 ms and
more. All mathematics stays in Python.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import matplotlib as mpl
import numpy as np
import traitlets
from matplotlib.artist import Artist
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.text import Text

from coursekit import plots

STATIC = Path(__file__).parent / "static"


def stylesheet(name: str) -> str:
    """Read one widget's styles, after those that all share."""
    files = (STATIC / "common.css", STATIC / name)
    return "".join(file.read_text(encoding="utf-8") for file in files)


FAR = 1e6  # pixels; canvases lose lines that end much farther away

THEMES: dict[str, Any] = {
    "light": {"figure.facecolor": "white", "axes.facecolor": "white"},
    "dark": {
        "figure.facecolor": "#111111",
        "axes.facecolor": "#111111",
        "legend.facecolor": "#222222",
        **dict.fromkeys(
            ["text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"],
            "#DDDDDD",
        ),
        "grid.color": "#777777",
    },
}

Artists = Mapping[str, Any]  # name → Line2D, BarContainer or Text
Paint = Callable[[Figure], Artists]


class Stage:
    """One painted figure: the static picture and the artists that move on it.

    Parameters
    ----------
    paint : callable
        ``paint(figure) -> artists``: draws axes, labels and everything static, and returns the
        moving artists (`Line2D`, `BarContainer`, `Text`) by name.
    theme : {"light", "dark"}
    size : tuple of float
        Width and height in inches (100 pixels each).
    like : Stage, optional
        Put the axes where this stage has them, instead of finding their places once more.
    """

    def __init__(
        self,
        paint: Paint,
        theme: str = "light",
        size: tuple[float, float] = (8, 3.6),
        like: Stage | None = None,
    ):
        with mpl.rc_context(THEMES[theme]):
            self.figure = Figure(figsize=size, dpi=100)
            self.artists = dict(paint(self.figure))
        if like is None:
            # Fix the layout now: whatever moves later must not move the axes.
            ConstrainedLayoutEngine().execute(self.figure)
        else:
            for mine, other in zip(self.figure.axes, like.figure.axes, strict=True):
                mine.set_position(other.get_position())
        self.height = size[1] * 100

    def background(self) -> bytes:
        """Render everything but the moving artists, as SVG."""
        parts = [part for artist in self.artists.values() for part in _parts(artist)]
        for part in parts:
            part.set_visible(False)
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        for part in parts:
            part.set_visible(True)
        return buffer.getvalue()

    def coordinates(self) -> list[np.ndarray]:
        """Read where each artist is now, in data units: ``(n, 2)``, bars ``(n, 4)``."""
        return [_data(artist) for artist in self.artists.values()]

    def pixels(self, frames: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """Turn data coordinates of many frames into canvas pixels.

        Parameters
        ----------
        frames : sequence of lists of arrays
            What `coordinates` gave, once for each frame.

        Returns
        -------
        ndarray, shape (frames, values), float32
            Origin at the top left. Shorter artists are filled up with NaN, so that every frame
            has the same length.
        """
        columns = []
        for artist, data in zip(self.artists.values(), zip(*frames, strict=True), strict=True):
            longest = max(len(each) for each in data)
            padded = np.full((len(data), longest, data[0].shape[1]), np.nan)
            for row, each in zip(padded, data, strict=True):
                row[: len(each)] = each
            columns.append(self.to_canvas(artist, padded).reshape(len(data), -1))
        return np.concatenate(columns, axis=1).astype("<f4")

    def to_canvas(self, artist: Any, data: np.ndarray) -> np.ndarray:
        """Turn one artist's data coordinates into canvas pixels, same shape; bars become boxes."""
        transform = _parts(artist)[0].get_transform() if isinstance(artist, Line2D | Text) else None
        if transform is None:  # a bar's own transform maps the unit square: take the axes'
            transform = artist.patches[0].axes.transData
        with np.errstate(all="ignore"):  # far-off points may overflow: they are clipped below
            points = transform.transform(data.reshape(-1, 2)).reshape(data.shape)
        points[..., 1::2] = self.height - points[..., 1::2]
        points = np.clip(points, -FAR, FAR)
        if isinstance(artist, BarContainer):  # two corners → corner, width, height
            points[..., 2:] -= points[..., :2]
        return points

    def styles(self) -> list[dict[str, Any]]:
        """Describe how each artist looks, for the canvas."""
        return [_style(artist, self.height) for artist in self.artists.values()]

    def axes_box(self, index: int) -> list[float]:
        """Give left, top, width, height of axes number `index` in canvas pixels."""
        return _box(self.figure.axes[index], self.height)


def _parts(artist: Any) -> list[Artist]:
    return list(artist.patches) if isinstance(artist, BarContainer) else [artist]


def _data(artist: Any) -> np.ndarray:
    if isinstance(artist, Line2D):
        # orig=True: what set_data was given, without matplotlib's conversion of the whole line.
        return np.column_stack(artist.get_data(orig=True)).astype(float)
    if isinstance(artist, BarContainer):
        corners = [(*bar.get_xy(), bar.get_width(), bar.get_height()) for bar in artist.patches]
        boxes = np.array(corners, dtype=float)
        boxes[:, 2:] += boxes[:, :2]
        return boxes
    return np.array([artist.get_position()], dtype=float)


def _box(axes: Any, height: float) -> list[float]:
    box = axes.bbox
    return [float(box.x0), float(height - box.y1), float(box.width), float(box.height)]


def _style(artist: Any, height: float) -> dict[str, Any]:
    pixel = 100 / 72  # matplotlib measures lines and markers in points
    first: Any = _parts(artist)[0]
    style: dict[str, Any] = {"alpha": first.get_alpha() or 1.0}
    if first.get_clip_on() and first.axes is not None and not isinstance(artist, Text):
        style["clip"] = _box(first.axes, height)
    if isinstance(artist, BarContainer):
        return style | {"color": to_hex(artist.patches[0].get_facecolor())}
    if isinstance(artist, Text):
        return style | {
            "color": to_hex(artist.get_color()),
            "font": f"{float(artist.get_fontsize()) * pixel:.1f}px 'DejaVu Sans', sans-serif",
            "align": artist.get_horizontalalignment(),
            "baseline": {"center": "middle", "baseline": "alphabetic"}.get(
                artist.get_verticalalignment(), artist.get_verticalalignment()
            ),
        }
    drawn = artist.get_linestyle() not in ("None", "none", "", " ")
    marked = artist.get_marker() not in ("None", "none", None, "", " ")
    face = artist.get_markerfacecolor()
    return style | {
        "color": to_hex(artist.get_color()),
        "width": artist.get_linewidth() * pixel if drawn else 0,
        "dash": _dash(artist) if drawn else [],
        "halo": _halo(artist, pixel),
        "marker": artist.get_marker(),
        "size": artist.get_markersize() * pixel if marked else 0,
        "face": "none" if str(face) == "none" else to_hex(face),
        "edge": to_hex(artist.get_markeredgecolor()),
        "edgeWidth": artist.get_markeredgewidth() * pixel if marked else 0,
    }


def _dash(line: Line2D) -> list[float]:
    # Only the public name of the line style survives: scale its pattern as matplotlib does.
    names = {"--": "dashed", "-.": "dashdot", ":": "dotted"}
    name = names.get(str(line.get_linestyle()))
    if name is None:
        return []
    settings: Any = mpl.rcParams
    scale = float(line.get_linewidth()) * 100 / 72
    return [length * scale for length in settings[f"lines.{name}_pattern"]]


def _halo(line: Any, pixel: float) -> dict[str, Any] | None:
    if not line.get_path_effects():
        return None
    return {
        "color": to_hex(line.axes.get_facecolor()),
        "width": (float(line.get_linewidth()) + plots.HALO) * pixel,
    }


def pack_lines(lines: Sequence[str]) -> bytes:
    """Compress many short texts for the browser, which undoes it (zlib, one line each)."""
    return zlib.compress("\n".join(lines).encode(), level=1)


def saved_output(
    bundle: Any, png: bytes, text: str, size: tuple[float, float]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Add to a widget's output what shows where no widget can run.

    Parameters
    ----------
    bundle : tuple, dict or None
        What the widget's own ``_repr_mimebundle_`` gave.
    png : bytes
        The picture.
    text : str
        What it shows, in words.
    size : tuple of float
        The picture's width and height in inches (100 CSS pixels each).

    Returns
    -------
    data, metadata : dict
    """
    data = dict(bundle[0] if isinstance(bundle, tuple) else bundle or {})
    data |= {"image/png": base64.b64encode(png).decode(), "text/plain": text}
    width, height = (round(side * 100) for side in size)
    return data, {"image/png": {"alt": text, "width": width, "height": height}}


class OverlayFigure(anywidget.AnyWidget):
    """The widget: a picture, a canvas above it, buttons, and one sentence that says the result.

    It shows one of many frames. Which one follows from the `index` of the `controls` (ipywidgets
    sliders), read in the browser, without a round trip to Python.

    Parameters
    ----------
    stages : dict of str to Stage
        The same figure painted for the ``"light"`` and the ``"dark"`` theme.
    **traits
        The synchronised traits below.
    """

    _esm = STATIC / "figure.js"
    _css = stylesheet("figure.css")

    title = traitlets.Unicode("Lab").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    size: Any = traitlets.List().tag(sync=True)  # CSS pixels
    background_light = traitlets.Bytes().tag(sync=True)
    background_dark = traitlets.Bytes().tag(sync=True)
    artists: Any = traitlets.List().tag(sync=True)  # kind, offset, count, style; see `_entries`
    values = traitlets.Bytes().tag(sync=True)  # float32 pixels, frame after frame
    frame_length = traitlets.Int(0).tag(sync=True)  # floats in a frame
    controls: Any = traitlets.List().tag(sync=True, **ipywidgets.widget_serialization)
    shape: Any = traitlets.List().tag(sync=True)  # positions per control; [] = one live frame
    time_control = traitlets.Int(-1).tag(sync=True)
    times = traitlets.Int(1).tag(sync=True)  # captions for each frame
    captions = traitlets.Bytes().tag(sync=True)
    texts = traitlets.Bytes().tag(sync=True)
    text_count = traitlets.Int(0).tag(sync=True)
    presets: Any = traitlets.List().tag(sync=True)
    defaults: Any = traitlets.Dict().tag(sync=True)
    prediction: Any = traitlets.Dict().tag(sync=True)

    def __init__(self, stages: dict[str, Stage], **traits: Any):
        self.stages = stages
        width, height = stages["light"].figure.get_size_inches() * 100
        super().__init__(
            size=[float(width), float(height)],
            background_light=stages["light"].background(),
            background_dark=stages["dark"].background(),
            **traits,
        )

    def show_frames(
        self,
        frames: Sequence[Sequence[np.ndarray]],
        captions: Sequence[str],
        texts: Sequence[str] = (),
        *,
        grows: Sequence[str] = (),
        follows: Mapping[str, str] | None = None,
        pinned: Sequence[str] = (),
    ) -> None:
        """Send frames to the browser.

        Parameters
        ----------
        frames : sequence of lists of arrays
            Data coordinates of every artist in every frame, from `Stage.coordinates`.
        captions : sequence of str
            One sentence for each frame, or for each time in each frame.
        texts : sequence of str
            The strings of the `Text` artists, frame after frame.
        grows : sequence of str
            Artists that show only as many points as the time control says.
        follows : mapping of str to str
            Artists that stand on the last visible point of another one.
        pinned : sequence of str
            Artists that stay visible, grey, when the student pins a run.
        """
        layout = self._entries(frames, grows, follows or {}, pinned)
        values = self.stages["light"].pixels(frames)
        with self.hold_sync():  # one message: the browser never sees half a change
            if layout != self.artists:
                self.artists = layout
            self.frame_length = values.shape[1]
            self.values = values.tobytes()
            self.text_count = sum(entry["kind"] == "text" for entry in layout)
            self.texts = pack_lines(texts) if texts else b""
            self.captions = pack_lines(captions)

    def _entries(
        self,
        frames: Sequence[Sequence[np.ndarray]],
        grows: Sequence[str],
        follows: Mapping[str, str],
        pinned: Sequence[str],
    ) -> list[dict[str, Any]]:
        """Describe where in a frame each artist's numbers lie and how it is painted."""
        light, dark = self.stages["light"], self.stages["dark"]
        names = list(light.artists)
        entries, offset, texts = [], 0, 0
        for i, (name, artist) in enumerate(light.artists.items()):
            width = 4 if isinstance(artist, BarContainer) else 2
            count = max(len(frame[i]) for frame in frames)
            kind = {BarContainer: "bars", Text: "text"}.get(type(artist), "line")
            entry = {"kind": kind, "offset": offset, "count": count, "grows": name in grows}
            entry |= {"pinned": name in pinned, "name": name}
            entry |= {"light": light.styles()[i], "dark": dark.styles()[i]}
            if name in follows:
                entry["follows"] = names.index(follows[name])
            if kind == "text":
                entry["text"] = texts
                texts += 1
            entries.append(entry)
            offset += width * count
        return entries
