"""What every lab must hold, checked without a browser."""

from __future__ import annotations

import base64
import itertools
import zlib
from typing import Any

import numpy as np

from coursekit.labs.lab import Lab


def positions(lab: Lab, most: int = 400) -> list[dict[str, Any]]:
    """Presets, both ends and the middle of every control in every combination.

    `most` bounds the number of combinations for panels of many controls.
    """
    ends = [
        dict.fromkeys((c.values[0], c.values[len(c.values) // 2], c.values[-1], c.default))
        for c in lab.controls.values()
    ]
    corners = itertools.islice(itertools.product(*ends), most)
    presets = [lab.values | dict(values) for values in lab.presets.values()]
    return presets + [dict(zip(lab.controls, each, strict=True)) for each in corners]


def captions(lab: Lab) -> list[str]:
    """The sentences that the browser holds."""
    return zlib.decompress(lab.figure.captions).decode().split("\n")


def frame(lab: Lab) -> int:
    """The number of the frame that the browser shows for the present values."""
    number = 0
    for i, (name, control) in enumerate(lab.controls.items()):
        if lab.figure.shape and i != lab.figure.time_control:
            number = number * len(control.values) + control.index(lab.values[name])
    return number


def check(lab: Lab) -> None:
    """Move a lab to all its presets, ends and corners; see that picture and sentence follow."""
    assert lab.figure.alt
    sentences = set()
    for position in positions(lab):
        lab.set(**position)
        result = lab.compute(**position)
        sentence = lab.sentence
        sentences.add(sentence)
        assert sentence.strip(), position
        assert "nan" not in sentence, position
        assert sentence == lab.sentence, "the same position must give the same sentence"
        check_browser_frame(lab, result, sentence)
    assert len(sentences) > 1, "the sentence never changes"
    check_bundle(lab)


def check_browser_frame(lab: Lab, result: Any, sentence: str) -> None:
    """What lies in the browser is what compute, draw and describe give."""
    figure, stage = lab.figure, lab.figure.stages["light"]
    lines = captions(lab)
    time = int(lab.values[lab.time.control]) if lab.time else 0
    assert lines[frame(lab) * figure.times + time] == sentence
    lab.draw(result, stage.artists)
    sent = np.frombuffer(figure.values, "<f4").reshape(-1, figure.frame_length)[frame(lab)]
    for entry, data in zip(figure.artists, stage.coordinates(), strict=True):
        if "follows" in entry:
            continue
        width = data.shape[1]
        artist = stage.artists[entry["name"]]
        expected = stage.to_canvas(artist, data.copy())
        stored = sent[entry["offset"] :][: width * entry["count"]].reshape(-1, width)
        np.testing.assert_allclose(stored[: len(data)], expected, rtol=1e-4, atol=0.01)


def check_bundle(lab: Lab) -> None:
    """The saved output shows a picture and the sentence where no widget can run."""
    data, metadata = lab._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == lab.sentence == metadata["image/png"]["alt"]
    assert "application/vnd.jupyter.widget-view+json" in data
