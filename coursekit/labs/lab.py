"""Labs: a panel of controls and one picture that answers at once.

A lab is three plain functions and a list of controls:

- ``compute(**values) -> result``: pure NumPy, deterministic;
- ``paint(figure) -> artists``: the static picture, and the artists that will move;
- ``draw(result, artists)``: puts the artists where the result says;

and ``describe(result) -> str``, the sentence under the picture.

With `sweep=True` (the default) every position of the controls is computed beforehand and the
browser only picks a frame: it answers within one screen refresh, also without a kernel. With
``sweep=False`` Python computes when a control moves.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.text import Text

from coursekit import plots
from coursekit.labs.figure import OverlayFigure, Paint, Stage, saved_output


@dataclass(frozen=True)
class Control:
    """One quantity that the student can change.

    Parameters
    ----------
    name : str
        The argument of ``compute``.
    label : str
        What the student reads, with symbol and unit.
    values : sequence
        Every position, in order. A logarithmic control simply has logarithmic values.
    default : object
        One of `values`.
    show : callable
        Turns a value into the text beside the slider.
    kind : {"slider", "choice"}
        ``"choice"`` gives a drop-down list.
    """

    name: str
    label: str
    values: Sequence[Any]
    default: Any
    show: Callable[[Any], str] = "{:g}".format
    kind: str = "slider"

    def index(self, value: Any) -> int:
        """Find the position of `value`; numbers need only be equal up to rounding."""
        for i, candidate in enumerate(self.values):
            same_kind = isinstance(candidate, float | int) and isinstance(value, float | int)
            if candidate == value or (same_kind and math.isclose(candidate, value)):
                return i
        raise ValueError(f"{self.name} = {value!r} is not on the control. Take one of its values.")

    def widget(self, value: Any) -> ipywidgets.Widget:
        """Build the ipywidget, set to `value`."""
        options = [(self.show(each), each) for each in self.values]
        build = ipywidgets.SelectionSlider if self.kind == "slider" else ipywidgets.Dropdown
        return build(
            options=options,
            index=self.index(value),
            description=self.label,
            style={"description_width": "9em"},
            layout=ipywidgets.Layout(width="min(100%, 34em)"),
        )


@dataclass(frozen=True)
class Prediction:
    """A question that locks the picture until the student has committed to an answer.

    Predicting before seeing is what makes a demonstration teach [1]_ [2]_.

    Parameters
    ----------
    question : str
    choices : sequence of str, optional
        Answers to choose from. Without them the student places a mark in the picture.
    outcome : callable, optional
        ``outcome(result) -> str``, one of `choices`.
    axes : int
        The axes in which the mark is placed.

    References
    ----------
    .. [1] C. Crouch et al., "Classroom demonstrations: Learning tools or entertainment?",
       American Journal of Physics 72, 2004.
    .. [2] K. Miller et al., "Role of physics lecture demonstrations in conceptual learning",
       Physical Review Special Topics - Physics Education Research 9, 2013.
    """

    question: str
    choices: Sequence[str] = ()
    outcome: Callable[[Any], str] | None = None
    axes: int = 0


@dataclass(frozen=True)
class Time:
    """The control that only says how much of a run is shown; it needs no computing.

    Parameters
    ----------
    control : str
        Name of the control. Its values must be 0, 1, 2, …
    grows : sequence of str
        Artists that show their first ``time + 1`` points.
    follows : mapping of str to str
        Artists that stand on the last visible point of another artist.
    """

    control: str
    grows: Sequence[str]
    follows: Mapping[str, str]


class Lab(ipywidgets.VBox):
    """Controls and picture of one lecture's explorer.

    In a notebook its output holds the live panel, a PNG of the picture and the sentence as text,
    so that the saved notebook shows something everywhere.

    Parameters
    ----------
    title : str
        Name of the panel for screen readers.
    alt : str
        What the picture shows, without its moving part.
    controls : sequence of Control
    compute, paint, draw, describe : callable
        See the module's text. With `time`, ``describe(result, time)`` gets the time as well.
    presets : mapping of str to dict
        Buttons: name → values of some of the controls.
    time : Time, optional
    pinned : sequence of str
        Artists that stay visible in grey when the student pins a run.
    prediction : Prediction, optional
    sweep : bool
        Compute every position beforehand, or only the present one when a control moves.
    size : tuple of float
        Width and height of the picture in inches.

    Raises
    ------
    ValueError
        If a preset or default is not a position of its control.
    """

    def __init__(
        self,
        *,
        title: str,
        alt: str,
        controls: Sequence[Control],
        compute: Callable[..., Any],
        paint: Paint,
        draw: Callable[[Any, dict[str, Any]], None],
        describe: Callable[..., str],
        presets: Mapping[str, Mapping[str, Any]] | None = None,
        time: Time | None = None,
        pinned: Sequence[str] = (),
        prediction: Prediction | None = None,
        sweep: bool = True,
        size: tuple[float, float] = (8, 3.6),
    ):
        self.controls = {control.name: control for control in controls}
        self.compute, self.draw, self.describe = compute, draw, describe
        self.presets = dict(presets or {})
        self.time, self.pinned, self.prediction, self.size = time, pinned, prediction, size
        self._lock = threading.RLock()
        light = Stage(paint, "light", size)
        self._stages = {"light": light, "dark": Stage(paint, "dark", size, like=light)}
        self._widgets = {control.name: control.widget(control.default) for control in controls}
        names = list(self.controls)
        self.figure = OverlayFigure(
            self._stages,
            title=title,
            alt=alt,
            controls=list(self._widgets.values()),
            shape=[len(control.values) for control in controls] if sweep else [],
            time_control=names.index(time.control) if time else -1,
            times=len(self.controls[time.control].values) if time else 1,
            presets=[{"name": n, "indices": self._indices(v)} for n, v in self.presets.items()],
            defaults=self._indices({c.name: c.default for c in controls}),
        )
        self._follow: dict[str, Any] = {"pinned": pinned}
        if time:
            self._follow |= {"grows": time.grows, "follows": time.follows}
        if sweep:
            self._show(self._positions())
        else:
            self._recompute()
            for name, widget in self._widgets.items():
                if not time or name != time.control:
                    widget.observe(lambda _: self._recompute(), "index")
        super().__init__([*self._widgets.values(), self.figure])
        self.add_class("ck-lab")

    # ---------------------------------------------------------------- what is shown

    @property
    def values(self) -> dict[str, Any]:
        """Present value of every control."""
        return {
            name: control.values[self._widgets[name].index]
            for name, control in self.controls.items()
        }

    @property
    def result(self) -> Any:
        """What ``compute`` gives for the present values."""
        return self.compute(**self.values)

    @property
    def sentence(self) -> str:
        """The line under the picture."""
        return self._describe(self.result, self.values)

    def set(self, **values: Any) -> Lab:
        """Move controls, for example ``lab.set(learning_rate=0.2)``.

        Raises
        ------
        ValueError
            If a name or a value is not on the panel.
        """
        for name, index in self._indices(values).items():
            list(self._widgets.values())[int(name)].index = index
        return self

    def preset(self, name: str) -> Lab:
        """Press the button `name`."""
        if name not in self.presets:
            raise ValueError(f"No preset {name!r}. There are: {', '.join(self.presets)}.")
        return self.set(**self.presets[name])

    def png(self) -> bytes:
        """Paint the present picture with matplotlib alone, as the saved notebook shows it."""
        with self._lock:
            stage = self._stages["light"]
            self.draw(self.result, stage.artists)
            return plots.png(stage.figure)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**options)
        return saved_output(bundle, self.png(), self.sentence, self.size)

    # ---------------------------------------------------------------- frames

    def _indices(self, values: Mapping[str, Any]) -> dict[str, int]:
        names = list(self.controls)
        for name in values:
            if name not in names:
                raise ValueError(f"No control {name!r}. There are: {', '.join(names)}.")
        return {str(names.index(n)): self.controls[n].index(v) for n, v in values.items()}

    def _whole_run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Put time to its end: the browser shows a part of the whole run."""
        if not self.time:
            return dict(values)
        return {**values, self.time.control: self.controls[self.time.control].values[-1]}

    def _positions(self) -> list[dict[str, Any]]:
        """Every combination of the controls' values, but for time."""
        axes = [
            [control.values[-1]] if self.time and name == self.time.control else control.values
            for name, control in self.controls.items()
        ]
        combinations = itertools.product(*axes)
        return [dict(zip(self.controls, each, strict=True)) for each in combinations]

    def _describe(self, result: Any, values: Mapping[str, Any]) -> str:
        if self.time:
            return self.describe(result, values[self.time.control])
        return self.describe(result)

    def _show(self, positions: Sequence[Mapping[str, Any]]) -> None:
        stage = self._stages["light"]
        frames, captions, texts, outcomes = [], [], [], []
        for position in positions:
            result = self.compute(**position)
            self.draw(result, stage.artists)
            frames.append(stage.coordinates())
            texts += [a.get_text() for a in stage.artists.values() if isinstance(a, Text)]
            if self.time:
                times = self.controls[self.time.control].values
                captions += [self.describe(result, time) for time in times]
            else:
                captions.append(self.describe(result))
            if self.prediction and self.prediction.outcome:
                outcome = self.prediction.outcome(result)
                outcomes.append(list(self.prediction.choices).index(outcome))
        self.figure.show_frames(frames, captions, texts, **self._follow)
        if self.prediction:
            self.figure.prediction = self._question(self.prediction, outcomes)

    def _question(self, prediction: Prediction, outcomes: list[int]) -> dict[str, Any]:
        question: dict[str, Any] = {"question": prediction.question}
        if prediction.choices:
            return question | {"choices": list(prediction.choices), "outcomes": outcomes}
        stage, index = self._stages["light"], prediction.axes
        limits = stage.figure.axes[index].get_xlim()
        box = stage.axes_box(index)
        return question | {"axes": {"box": box, "limits": [float(each) for each in limits]}}

    def _recompute(self) -> None:
        # JupyterLab may deliver a slider's message on another thread while a cell is running.
        with self._lock:
            self._show([self._whole_run(self.values)])


def logarithmic(low: float, high: float, per_decade: int = 10) -> tuple[float, ...]:
    """Give round values spaced evenly on a logarithmic scale.

    Parameters
    ----------
    low, high : float
        Powers of ten between which the values lie, both included.
    per_decade : {3, 10}
        ``3`` gives 1, 2, 5, 10, …; ``10`` the preferred numbers 1, 1.25, 1.6, 2, … (ISO 3, R10).

    Returns
    -------
    tuple of float
    """
    steps = {3: (1, 2, 5), 10: (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8)}[per_decade]
    decades = range(round(np.log10(low)), round(np.log10(high)))
    values = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return (*values, float(high))
