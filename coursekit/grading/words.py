"""How verdicts, numbers and foreign text are put into words, on pages and in the terminal.

Whatever comes out of a submission may hold characters that hide, reverse or overwrite the text
around them. `visible` makes them harmless; escaping for HTML is the templates' work.
"""

from __future__ import annotations

import re
import unicodedata

# Verdict of a test → symbol and words, so that colour is never the only sign.
VERDICTS = {
    "passed": ("✓", "Passed"),
    "wrong": ("✗", "Not right yet"),
    "error": ("!", "Stopped with an error"),
    "timeout": ("…", "Took too long"),
    "out_of_memory": ("▲", "Used too much memory"),
    "died": ("■", "The program died"),
    "invalid": ("?", "Could not be tested"),
    "manual": ("✎", "Read by a person"),
}
PARTLY = ("◐", "Partly right")
WAITS = ("✎", "A person will grade this")

# Status of submissions → what a number of them did.
STATUSES = {
    "graded": "graded",
    "needs_manual": "need marks by hand",
    "timeout": "took too long",
    "out_of_memory": "used too much memory",
    "died": "ended their program",
    "invalid": "could not be read",
}
# Status of a submission → what the student should look for.
TROUBLE = {
    "timeout": "Your notebook did not come to its end in time. Look for a loop that never stops.",
    "out_of_memory": "Your notebook used too much memory. Look for very large arrays or lists.",
    "died": "Your notebook ended the Python program that ran it.",
    "invalid": "Your file could not be read as a notebook, so nothing in it was graded.",
}

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
JOINERS = "\u200c\u200d"  # Persian, Hindi and many emoji need them
MOST_MARKS = 4  # combining marks on one letter; real languages need fewer


def verdict(name: str, points: float | None, max_points: float) -> tuple[str, str]:
    """Give the symbol and the words for a verdict.

    Parameters
    ----------
    name : str
        One of `VERDICTS`; any other is shown as it is.
    points : float or None
        None while the task waits for a human.
    max_points : float
        Worth of the task.

    Returns
    -------
    symbol, words : str
    """
    if name == "manual" and points is None:
        return WAITS
    if name == "wrong" and points and points < max_points:
        return PARTLY
    return VERDICTS.get(name, ("?", visible(name)))


def number(value: float | None) -> str:
    """Write points without needless zeros: ``2``, ``1.5``, ``0.33``; a dash for None."""
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def signed(value: float | None) -> str:
    """Write a correlation: ``+0.41``, ``−0.07``; a dash for None."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def seconds(value: float) -> str:
    """Write a time: ``0.02 s``, ``3.4 s``, ``2 min 5 s``."""
    if value >= 60:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.2g} s" if value < 1 else f"{value:.1f} s"


def size(value: float) -> str:
    """Write bytes: ``812 kB``, ``34 MB``, ``1.2 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f} bytes"


def cut(text: str, most: int) -> str:
    r"""Keep the begin and the end of a text that is longer than `most` characters.

    >>> cut("abcdefghijklmnopqrstuvwxyz", 8)
    'abcdef\n[18 characters are left out]\nyz'
    """
    if len(text) <= most:
        return text
    head = most * 3 // 4
    left_out = len(text) - most
    return f"{text[:head]}\n[{left_out} characters are left out]\n{text[len(text) - most + head :]}"


def visible(text: object, most: int = 4000) -> str:
    """Make a text that comes from anyone safe to look at; it is not yet escaped for HTML.

    Colour codes are dropped. Control, bidirectional and other invisible characters become their
    code, as in ``⟨U+202E⟩``, because they could hide or reorder what is around them. Piles of
    combining marks are cut down, and so is the length.

    Parameters
    ----------
    text : object
        Usually a string; anything else is turned into one.
    most : int
        Characters that are kept.

    Returns
    -------
    str
        Can always be encoded as UTF-8.
    """
    # Cut first: what comes after is slow for a text of many megabytes.
    plain = ANSI.sub("", cut(str(text), 2 * most)).replace("\r\n", "\n")
    shown: list[str] = []
    marks = 0
    for character in plain:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MOST_MARKS:
            continue
        harmless = character in "\n\t" or character in JOINERS or category[0] != "C"
        if harmless and category not in ("Zl", "Zp"):
            shown.append(character)
        else:
            shown.append(f"⟨U+{ord(character):04X}⟩")
    return cut("".join(shown), most)


def line(text: object, most: int = 200) -> str:
    """Make a text safe to look at and put it into one line of at most `most` characters."""
    whole = " ".join(visible(text, 4 * most).split())
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"
