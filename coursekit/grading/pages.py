"""What the pages for students and instructors share: the templates and safe pictures.

A page is one HTML file: no script, nothing from elsewhere. Jinja escapes every value; its content
security policy forbids the browser whatever an oversight might let through.
"""

from __future__ import annotations

import base64
import binascii
import functools
import struct
import zlib
from pathlib import Path
from typing import Any

from coursekit.course import write_atomically
from coursekit.grading import words

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # what the picture is made of
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → values per pixel
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
MOST_BYTES = 2_000_000  # of one picture's file
MOST_PIXELS = 8_000_000  # of one picture


@functools.cache
def _environment() -> Any:
    """Make the Jinja environment, once."""
    import jinja2  # JupyterLab brings it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["policy"] = POLICY
    filters = (words.visible, words.line, words.number, words.signed, words.seconds, words.size)
    environment.filters.update({each.__name__: each for each in filters})
    return environment


def write(path: Path, template: str, **values: Any) -> None:
    """Write a page in one step: readers see the old file or the new one, nothing between.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    template : str
        Name of a file in ``templates``.
    **values
        What the template shows.
    """
    write_atomically(path, _environment().get_template(template).render(values).encode())


def picture(data: object) -> tuple[str, int, int] | None:
    """Check a picture out of a submission, and make an address that a page can show.

    Only what makes up the picture is kept: no text, no animation, nothing behind its end. Every
    checksum must be right, and the pixels must be as many as the picture says.

    Parameters
    ----------
    data : object
        The value of ``image/png`` in an output: a PNG in base64.

    Returns
    -------
    tuple of (str, int, int) or None
        A ``data:`` address, and width and height in pixels. None if it is no PNG, or too large.
    """
    if not isinstance(data, str) or len(data) > 1.5 * MOST_BYTES:
        return None
    try:
        raw = base64.b64decode("".join(data.split()), validate=True)
        chunks = _chunks(raw)
        width, height = _check(chunks)
    except (ValueError, binascii.Error, struct.error, zlib.error, IndexError, KeyError):
        return None
    clean = SIGNATURE + b"".join(map(_packed, chunks))
    return f"data:image/png;base64,{base64.b64encode(clean).decode()}", width, height


def _chunks(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Split a PNG into the chunks that make up the picture; see the PNG specification, 5.3."""
    if not raw.startswith(SIGNATURE) or len(raw) > MOST_BYTES:
        raise ValueError("not a PNG, or too large")
    chunks, place, name = [], len(SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", raw, place)
        content = raw[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", raw, place + 8 + length)
        if checksum != zlib.crc32(name + content):
            raise ValueError("a chunk is broken")
        place += 12 + length
        if name in KEPT_CHUNKS:
            chunks.append((name, content))
    return chunks


def _check(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Check that the pixels are what the header promises; give width and height."""
    names = [name for name, _ in chunks]
    if names[0] != b"IHDR" or names.count(b"IHDR") != 1:
        raise ValueError("the header is not where it belongs")
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", chunks[0][1])
    if not 0 < width * height <= MOST_PIXELS or depth not in DEPTHS[colour] or any(methods):
        raise ValueError("too many pixels, or a kind that matplotlib does not make")
    if colour == 3 and b"PLTE" not in names:
        raise ValueError("the palette is missing")
    row = 1 + (width * CHANNELS[colour] * depth + 7) // 8  # a row begins with its filter's number
    unpacker = zlib.decompressobj()
    packed = b"".join(content for name, content in chunks if name == b"IDAT")
    pixels = unpacker.decompress(packed, row * height + 1)
    if len(pixels) != row * height or max(pixels[::row]) > 4:
        raise ValueError("the pixels are not as many as the header says")
    return width, height


def _packed(chunk: tuple[bytes, bytes]) -> bytes:
    name, content = chunk
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
