"""Compare what the browser painted with what matplotlib paints."""

from __future__ import annotations

import base64
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
    url = place.locator(".ck-picture canvas").first.evaluate("canvas => canvas.toDataURL()")
    png = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


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
