"""Random valid tables with spans, for property tests."""

from dataclasses import replace

from hypothesis import strategies as st

from core.table.markup import printable
from core.table.table import Cell, Table

# Everything Unicode has, with the characters that formats trip over made common.
TRAPS = list("\n\r\t |&<>\"'=+-@_*\\`.,;0123456789\x00\x0b\x1f\x85\xa0\u2028\ufeff\ufffe\ud800")
any_text = st.text(st.one_of(st.sampled_from(TRAPS), st.characters()), max_size=12)
printable_text = any_text.map(printable)
coordinates = st.one_of(st.integers(0, 10**7), st.floats(0, 1e7, allow_nan=False))
boxes = st.one_of(st.none(), st.tuples(coordinates, coordinates, coordinates, coordinates))
confidences = st.one_of(st.none(), st.floats(0, 1, allow_nan=False))


@st.composite
def structures(draw, side: int = 7) -> Table:
    """A tiling of a grid by rectangles: places are taken in reading order, each by a random rectangle that still fits."""
    rows, cols = draw(st.integers(1, side)), draw(st.integers(1, side))
    taken: set[tuple[int, int]] = set()
    cells = []
    for r in range(rows):
        for k in range(cols):
            if (r, k) in taken:
                continue
            free = next((j for j in range(k, cols) if (r, j) in taken), cols) - k
            height, width = draw(st.integers(1, rows - r)), draw(st.integers(1, free))
            taken.update((i, j) for i in range(r, r + height) for j in range(k, k + width))
            cells.append(Cell(r, k, height, width))
    return Table(rows, cols, tuple(cells))


@st.composite
def tables(draw, texts: st.SearchStrategy[str] = printable_text, side: int = 5) -> Table:
    """A structure with texts, boxes and confidences."""
    bare = draw(structures(side))
    return replace(bare, cells=tuple(replace(c, text=draw(texts), box=draw(boxes), confidence=draw(confidences)) for c in bare.cells))
