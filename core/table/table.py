"""The table itself: cells that tile a grid, with spans, text, boxes and confidence (the logical structure of PIX-TAB's output)."""

from dataclasses import dataclass, replace

from core.errors import InputError

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the input picture, origin top left, x1 and y1 exclusive."""


@dataclass(frozen=True)
class Cell:
    """One cell: its top left grid position, its spans (>= 1), its text ("\\n" between lines), where it lies and how sure the reader is (0 to 1)."""

    row: int
    col: int
    rowspan: int = 1
    colspan: int = 1
    text: str = ""
    box: Box | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Table:
    """Cells sorted by (row, col) that tile a rows x cols grid exactly: no hole, no overlap. Raises InputError otherwise."""

    rows: int
    cols: int
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(sorted(self.cells, key=lambda c: (c.row, c.col))))
        self.grid()

    def grid(self) -> list[list[int]]:
        """[rows][cols] -> index into `cells`. Raises InputError on a hole, an overlap or a cell outside the grid."""
        if self.rows < 1 or self.cols < 1:
            raise InputError(f"A table needs at least one row and one column, not {self.rows} x {self.cols}.")
        owner = [[-1] * self.cols for _ in range(self.rows)]
        for index, c in enumerate(self.cells):
            inside = 0 <= c.row < c.row + c.rowspan <= self.rows and 0 <= c.col < c.col + c.colspan <= self.cols
            if not inside or c.rowspan < 1 or c.colspan < 1:
                raise InputError(f"Cell ({c.row}, {c.col}) spans {c.rowspan} x {c.colspan} and leaves the {self.rows} x {self.cols} grid.")
            for r in range(c.row, c.row + c.rowspan):
                for k in range(c.col, c.col + c.colspan):
                    if owner[r][k] >= 0:
                        raise InputError(f"Two cells cover grid place ({r}, {k}).")
                    owner[r][k] = index
        for r, line in enumerate(owner):
            if -1 in line:
                raise InputError(f"No cell covers grid place ({r}, {line.index(-1)}).")
        return owner

    def with_texts(self, texts: dict[tuple[int, int], str]) -> "Table":
        """The same structure with other texts, given by (row, col) of the cell's top left place; the rest keep theirs."""
        return replace(self, cells=tuple(replace(c, text=texts.get((c.row, c.col), c.text)) for c in self.cells))

    def without_text(self) -> "Table":
        """Structure only: spans, no text, box or confidence."""
        return replace(self, cells=tuple(Cell(c.row, c.col, c.rowspan, c.colspan) for c in self.cells))
