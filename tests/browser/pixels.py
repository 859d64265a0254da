"""Compare what the browser painted with what matplotlib paints."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter
from playwright.sync_api import Page


def picture(page: Page, selector: str = ".ck-picture") -> np.ndarray:
    """Take a picture of an element: (height, width, 3), 0 to 255."""
    shot = page.locator(selector).first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def overlay(page: Page) -> np.ndarray:
    """Read the moving artists alone, from the canvas: (height, width, 4)."""
    size, data = page.evaluate(
        "() => { const c = document.querySelector('.ck-picture canvas');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return [[c.height, c.width], Array.from(d)]; }"
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
