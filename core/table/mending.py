"""What a line recogniser cannot see is mended from the ink: the length of dashes, dropped blanks, the signs of arc minutes and seconds."""

import re
from collections.abc import Sequence

import numpy as np

from core.table.ink import runs
from core.table.ocr import Reading

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212_\u4e00\u30fc\uff0d\u2500"
SHORTEST_DASH, THICKEST_DASH = 0.17, 0.25  # in text heights
HYPHEN, EN_DASH, EM_DASH = 0.4, 0.5, 0.9  # in text heights: what a hyphen stays under, least widths of the others; between, the reader decides
LONE_EM_DASH = 0.77  # no letter touches a lone one: en dashes reach 0.73, em dashes begin at 0.77
WORD_GAP = 0.36  # text heights; of gaps between letters 1 in 50 lines has a wider one, of blanks nearly all are
ALIKE = 0.6  # and of a line's blanks the narrowest is no less than this share of the widest
CLEAR_GAP = 2.0  # a blank is this many times wider than the gaps between letters of its line


def measure_dashes(text: str, confidence: float, ink: np.ndarray, height: float) -> Reading:
    """Hyphen, en dash and em dash look alike to a recogniser that sees every line at one height; here their lengths are measured.

    ink     bool[h, w] of the line
    height  of a typical text line, in pixels
    Nothing is measured unless the text has as many dashes as the ink. A dash before a number is left alone: it is its sign, whatever
    its length. Dashes between digits are alike within a line. A text that is one dash is as sure as its shape.
    """
    places = [i for i, c in enumerate(text) if c in DASHES]
    if not places:
        return text, confidence
    widths = next((w for find in (dash_pieces, dash_stretches) if len(w := find(ink, height)) == len(places)), None)
    if widths is None:
        return _alike(text), confidence
    letters, em = list(text), LONE_EM_DASH if len(text) == 1 else EM_DASH
    for place, width in zip(places, widths):
        if place or not text[1:2].isdigit():
            letters[place] = _dash(letters[place], width / height, em)
    return _alike("".join(letters)), (max(confidence, 0.9) if len(places) == len(text) else confidence)


def _alike(text: str) -> str:
    """Hyphens and en dashes between digits ("6-4, 3-6"; a date): all as most of the line are, en dashes where it is even."""
    between = [i for i in range(1, len(text) - 1) if text[i] in "-\u2013" and text[i - 1].isdigit() and text[i + 1].isdigit()]
    hyphens = sum(text[i] == "-" for i in between)
    letters = list(text)
    for i in between:
        letters[i] = "-" if 2 * hyphens > len(between) else "\u2013"
    return "".join(letters)


def _dash(read: str, width: float, em: float) -> str:
    """The dash of a width in text heights; in the band where fonts overlap the reading stands, if it is a dash of that size at all."""
    if HYPHEN < width < EN_DASH and read in "-\u2013":
        return read
    return "\u2014" if width >= em else "\u2013" if width >= (HYPHEN + EN_DASH) / 2 else "-"


def dash_pieces(ink: np.ndarray, height: float) -> list[int]:
    """Widths in pixels, from left to right, of the connected pieces of ink that are flat, straight and at mid height."""
    import cv2

    _, _, pieces, centres = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    found = []
    for (x, y, width, tall, area), (_, cy) in zip(pieces[1:], centres[1:]):
        flat = width >= max(2, 1.5 * tall, SHORTEST_DASH * height) and tall <= THICKEST_DASH * height + 1 and area >= 0.7 * width * tall
        if flat and _at_mid_height(cy, ink.shape[0], height):
            found.append((int(x), int(width)))
    return [width for _, width in sorted(found)]


def dash_stretches(ink: np.ndarray, height: float) -> list[int]:
    """The same for dashes that touch their neighbours: stretches of columns whose ink is flat and at mid height."""
    tops, bottoms = ink.argmax(axis=0), ink.shape[0] - ink[::-1].argmax(axis=0)
    flat = ink.any(axis=0) & (bottoms - tops <= THICKEST_DASH * height + 1)
    flat &= _at_mid_height((tops + bottoms) / 2, ink.shape[0], height)
    longest = int(EM_DASH * height) - 1  # what touches adds to the width: never enough to tell an em dash
    return [min(end - begin, longest) for begin, end in runs(flat) if end - begin >= max(2, SHORTEST_DASH * height) and np.ptp(tops[begin:end]) <= 1]


def _at_mid_height(y, tall: int, height: float):
    """Between 0.3 and 0.8 of the line; everything is where the line is nothing but a dash."""
    return (0.3 * tall < y) & (y < 0.8 * tall) | (tall < 0.4 * height)


def word_gaps(ink: np.ndarray, height: float) -> list[int]:
    """Columns in the middle of the gaps between words: ink-free, at least WORD_GAP text heights wide, clearly wider than those between letters."""
    parts = runs(ink.any(axis=0))
    gaps = [(b[0] - a[1], (a[1] + b[0]) // 2) for a, b in zip(parts, parts[1:])]
    close = [width for width, _ in gaps if width < WORD_GAP * height]
    letters = float(np.percentile(close, 75)) if close else 0.0
    least = max(WORD_GAP * height, ALIKE * max((width for width, _ in gaps), default=0), CLEAR_GAP * letters)
    return [middle for width, middle in gaps if width >= least]


def spaced(text: str, words: Sequence[str]) -> str:
    """The text with a blank between words that were read apart, where they spell the same.

    Not between digits or at punctuation, which may stand wide.
    """
    words = [word.strip() for word in words]
    if "".join(words).replace(" ", "") != text.replace(" ", "") or not all(words):
        return text
    joined = words[0]
    for word in words[1:]:
        already = sum(map(len, joined.split()))  # characters so far: was there a blank here in the text?
        ends = joined[-1] + word[0]
        blank = ends.isalnum() and not ends.isdigit() or _blank_after(text, already)
        joined += " " + word if blank else word
    return joined


def _blank_after(text: str, characters: int) -> bool:
    seen = 0
    for c in text:
        if seen == characters:
            return c == " "
        seen += c != " "
    return False


_ARC = re.compile(r"(\d{1,3})\u00b0 ?(\d{1,2})['\u2019\u2032\u00b4`] ?"
                  r"(?:(\d{1,2}(?:\.\d+)?)(?:[\"\u201d\u2033'\u2032\u00b0\u2122]|'') ?)?([NSEWO])(?![a-z])")


def arc_marks(text: str) -> str:
    """Degrees, minutes and seconds before a compass letter with their own signs (ISO 6709): a reader takes the primes for quotes of many kinds."""
    return _ARC.sub(_arc, text)


def _arc(match: re.Match) -> str:
    degrees, minutes, seconds, compass = match.groups()
    return f"{degrees}\u00b0{minutes}\u2032{seconds + chr(0x2033) if seconds else ''}{compass}"
