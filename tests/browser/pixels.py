"""Compare what the browser painted with what matplotlib paints."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter
from playwright.sync_api import Locator, Page


def picture(place: Page | Locator) -> np.ndarray:
    """Take a picture of the first lab's figure in `place`: (height, width, 3), 0 to 255."""
    shot = place.locator(".ck-picture").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def overlay(place: Page | Locator) -> np.ndarray:
    """Read the moving artists of the first figure alone, from its canvas: (height, width, 4)."""
    size, data = place.locator(".ck-picture canvas").first.evaluate(
        "c => [[c.height, c.width],"
        " Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    )
    return np.array(data, dtype=np.uint8).reshape(*size, 4)


def difference(shot: np.ndarray, png: bytes) -> float:
    """Give the share of pixels that clearly differ, after a blur that forgives anti-aliasing."""
    height, width = shot.shape[:2]
    expected = Image.open(io.BytesIO(png)).convert("RGB")
    expected = expected.resize((width, height), Image.Resampling.LANCZOS)
    blurred = [
        np.asarray(image.filter(ImageFilter.GaussianBlur(2 * width / 800))).astype(int)
        for image in (Image.fromarray(shot.astype(np.uint8)), expected)
    ]
    return float((np.abs(blurred[0] - blurred[1]).max(axis=2) > 60).mean())
