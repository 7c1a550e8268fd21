"""Bytes <-> ink: JSON and InkML (W3C, 2011) both ways exactly, SVG both ways, UNIPEN in, PNG out."""

from core.handwriting.strokes import Ink

MOST_BYTES = 4_000_000


def to_json(ink: Ink) -> bytes:
    raise NotImplementedError


def from_json(data: bytes) -> Ink:
    raise NotImplementedError


def to_inkml(ink: Ink) -> bytes:
    raise NotImplementedError


def from_inkml(data: bytes) -> Ink:
    raise NotImplementedError


def to_svg(ink: Ink, *, width: float = 0.09, colour: str = "#1b2a6b", margin: float = 0.6) -> bytes:
    """One path per stroke; pen width and margin in the unit of the ink."""
    raise NotImplementedError


def from_svg(data: bytes) -> Ink:
    raise NotImplementedError


def from_unipen(data: bytes) -> Ink:
    raise NotImplementedError


def to_png(ink: Ink, *, height_px: int | None = None, scale: float = 60.0, width: float = 0.09, margin: float = 0.6) -> bytes:
    """A greyscale picture, dark ink on white; `scale` pixels per unit of the ink."""
    raise NotImplementedError


def read(name: str, data: bytes) -> Ink:
    """Ink from a file a visitor brought: the format is told by its content, never by its name alone."""
    raise NotImplementedError
