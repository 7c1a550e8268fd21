"""Table <-> PAPP tokens, the position-aware pixel-precise form of OTSL of the PIX-TAB post, and the grammar that lets only legal tables be decoded.

`<rYYY>` opens each row at the line above it, `<cXXX>` stands before each cell token of the first row, C L U X say the cells as in OTSL,
`</table>` ends.
The three digits are a place on the normalised picture (a bin of its height or width). There is no NL: the next `<rYYY>` or the end says it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import InputError
from core.table.table import Cell, Table

C, L, U, X, END = range(5)
ROW, COL = 5, 1005
"""Ids of `<r000>` and `<c000>`."""
PLACES = 1000
START = -1
"""What stands before the first token; it is never written."""
MAX_CELLS = 5000
NOWHERE = -1

FIRST_ROW, FIRST_COL, CELL, NEXT_COL, NEXT_ROW, DONE = range(6)
"""The slots of the grammar: only a row may come; only a column; only a cell token; a column, a row or the end; a row or the end; nothing."""

_SPELT = re.compile(r"<([rc])(\d{3})>|([CLUX])|(</table>)")


def row_token(y: int) -> int:
    """Id of `<rYYY>`."""
    return ROW + y


def col_token(x: int) -> int:
    """Id of `<cXXX>`."""
    return COL + x


def kind(token: int) -> int:
    """0 to 4 for C L U X END, 5 for a row, 6 for a column, 7 for START: what a model embeds beside the place."""
    return token if 0 <= token < ROW else 7 if token == START else 5 if token < COL else 6


def spell(tokens: Sequence[int]) -> str:
    """Ids as text: `<r004><c002>C<c040>L<r016>CC</table>`."""
    def one(token: int) -> str:
        return f"<c{token - COL:03d}>" if token >= COL else f"<r{token - ROW:03d}>" if token >= ROW else ("C", "L", "U", "X", "</table>")[token]
    return "".join(map(one, tokens))


def parse(text: str) -> list[int]:
    """Text as ids; blanks between tokens are free. Raises InputError at the first thing that is no token."""
    squeezed = re.sub(r"\s+", "", text)
    tokens, at = [], 0
    while at < len(squeezed):
        match = _SPELT.match(squeezed, at)
        if not match:
            raise InputError(f"{squeezed[at:at + 20]!r} is no PAPP token. The tokens are <rYYY>, <cXXX>, C, L, U, X and </table>.")
        axis, place, cell, _ = match.groups()
        tokens.append("CLUX".index(cell) if cell else END if not axis else int(place) + (ROW if axis == "r" else COL))
        at = match.end()
    return tokens


def cell_choices(left: int | None, above: int | None) -> tuple[int, ...]:
    """Which of C L U X may stand beside these neighbours (None at the border) so that every span closes into a rectangle.

    Where the left one is U or X and the upper one L or X, X is forced; else C, L after C or L, U below C or U.
    """
    if left in (U, X) and above in (L, X):
        return (X,)
    return (C, *((L,) if left in (C, L) else ()), *((U,) if above in (C, U) else ()))


@dataclass(frozen=True)
class Context:
    """What is known before the next token, all of it from the tokens so far: the input of a decoder step beside the last token itself.

    slot   FIRST_ROW .. NEXT_ROW
    above  the token above the cell that comes next (0 to 3), 4 where there is none
    y      place of the row being written; x0, x1  place of the column that comes next and of the one after it; NOWHERE where unknown
    """

    slot: int
    above: int = 4
    y: int = NOWHERE
    x0: int = NOWHERE
    x1: int = NOWHERE


class Grammar:
    """The state of a token sequence being written: what may come next, so that each prefix can end as a legal table.

    Cells follow `cell_choices`, which closes every span into a rectangle (OTSL's own rules 1 to 3 do not). Places grow along both axes.
    height, width  number of places per axis, 1 to 1000
    max_cells      no row or column opens beyond this many cells
    """

    def __init__(self, height: int, width: int, max_cells: int = MAX_CELLS) -> None:
        if not (1 <= height <= PLACES and 1 <= width <= PLACES and max_cells >= 1):
            raise InputError(f"PAPP places are spelt with three digits: {height} x {width} is not within 1 to {PLACES}.")
        self.height, self.width, self.max_cells = height, width, max_cells
        self.ys: list[int] = []
        self.xs: list[int] = []
        self.rows: list[list[int]] = []
        self.slot = FIRST_ROW

    def copy(self) -> "Grammar":
        """An independent state, for a draft that may be taken back."""
        twin = Grammar(self.height, self.width, self.max_cells)
        twin.ys, twin.xs, twin.rows, twin.slot = self.ys[:], self.xs[:], [*self.rows[:-1], *(row[:] for row in self.rows[-1:])], self.slot
        return twin

    def cells(self) -> tuple[int, ...]:
        """The tokens among C L U X END that may come next."""
        if self.slot == CELL:
            return self._cell_tokens()
        return (END,) if self.slot in (NEXT_COL, NEXT_ROW) else ()

    def row_from(self) -> int | None:
        """The least place a row may open at next; None where none may."""
        if self.slot == FIRST_ROW:
            return 0
        room = self.slot in (NEXT_COL, NEXT_ROW) and (len(self.rows) + 1) * len(self.xs) <= self.max_cells
        return self.ys[-1] + 1 if room and self.ys[-1] + 1 < self.height else None

    def col_from(self) -> int | None:
        """The least place a column may open at next; None where none may."""
        if self.slot == FIRST_COL:
            return 0
        room = self.slot == NEXT_COL and len(self.xs) < self.max_cells
        return self.xs[-1] + 1 if room and self.xs[-1] + 1 < self.width else None

    def _cell_tokens(self) -> tuple[int, ...]:
        row, k = self.rows[-1], len(self.rows[-1])
        return cell_choices(row[-1] if row else None, self.rows[-2][k] if len(self.rows) > 1 else None)

    def mask(self) -> np.ndarray:
        """bool [5 + height + width]: which of C L U X END, the row places and the column places may come next."""
        allowed = np.zeros(5 + self.height + self.width, bool)
        allowed[list(self.cells())] = True
        for first, begin, end in ((self.row_from(), 5, 5 + self.height), (self.col_from(), 5 + self.height, len(allowed))):
            if first is not None:
                allowed[begin + first:end] = True
        return allowed

    def token_at(self, index: int) -> int:
        """The id of an index into `mask`."""
        return index if index < 5 else row_token(index - 5) if index < 5 + self.height else col_token(index - 5 - self.height)

    def index_of(self, token: int) -> int:
        """The index into `mask` of an id; -1 for a place outside the picture."""
        if token < ROW:
            return token
        place, size, base = (token - COL, self.width, 5 + self.height) if token >= COL else (token - ROW, self.height, 5)
        return base + place if place < size else -1

    def allows(self, token: int) -> bool:
        """Whether this token may come next."""
        if 0 <= token < ROW:
            return token in self.cells()
        first, place, size = (self.col_from(), token - COL, self.width) if token >= COL else (self.row_from(), token - ROW, self.height)
        return first is not None and first <= place < size

    def context(self) -> Context:
        """What a decoder knows before the next token."""
        if self.slot in (FIRST_ROW, DONE):
            return Context(self.slot)
        if self.slot != CELL:
            return Context(self.slot, 4, self.ys[-1], self.xs[-1] if self.slot == NEXT_COL else NOWHERE)
        k = len(self.rows[-1])
        above = self.rows[-2][k] if len(self.rows) > 1 else 4
        return Context(CELL, above, self.ys[-1], self.xs[k], self.xs[k + 1] if k + 1 < len(self.xs) else NOWHERE)

    def push(self, token: int) -> None:
        """Append a token. Raises InputError where the grammar forbids it."""
        if not self.allows(token):
            done = spell([token]) if token >= 0 else str(token)
            raise InputError(f"The token {done} cannot stand in row {len(self.rows)} after {len(self.rows[-1]) if self.rows else 0} cells.")
        if token >= COL:
            self.xs.append(token - COL)
            self.slot = CELL
        elif token >= ROW:
            self.ys.append(token - ROW)
            self.rows.append([])
            self.slot = CELL if self.xs else FIRST_COL
        elif token == END:
            self.slot = DONE
        else:
            self._push_cell(token)

    def _push_cell(self, token: int) -> None:
        self.rows[-1].append(token)
        if len(self.rows) == 1:
            self.slot = NEXT_COL
        elif len(self.rows[-1]) == len(self.xs):
            self.slot = NEXT_ROW


@dataclass(frozen=True)
class Layout:
    """What a finished token sequence says: the structure, and where its rows and columns begin (places, increasing)."""

    table: Table
    ys: tuple[int, ...]
    xs: tuple[int, ...]

    def boxed(self, height: int, width: int, to_input: tuple[float, float] = (1.0, 1.0)) -> Table:
        """The table with cell boxes in pixels of the input; the last row and column run to the picture's edge, which no token says.

        height, width  number of places per axis; to_input  pixels of the input per place (down, across)
        """
        ys = [y * to_input[0] for y in (*self.ys, height)]
        xs = [x * to_input[1] for x in (*self.xs, width)]
        boxed = (replace(c, box=(xs[c.col], ys[c.row], xs[c.col + c.colspan], ys[c.row + c.rowspan])) for c in self.table.cells)
        return Table(self.table.rows, self.table.cols, tuple(boxed))


def to_tokens(table: Table, ys: Sequence[int], xs: Sequence[int]) -> list[int]:
    """The structure with the places where its rows (ys, [rows]) and columns (xs, [cols]) begin, as ids.

    Raises InputError where places do not grow, leave 0 to 999 or are not one per row and column.
    """
    for places, count, axis in ((ys, table.rows, "row"), (xs, table.cols, "column")):
        if len(places) != count or any(b <= a for a, b in zip(places, places[1:])) or not 0 <= places[0] <= places[-1] < PLACES:
            raise InputError(f"The {axis} places {list(places)[:8]} of a table with {count} {axis}s are not one growing place each "
                             f"within 0 to {PLACES - 1}.")
    tokens = []
    for r, owners in enumerate(table.grid()):
        tokens.append(row_token(int(ys[r])))
        for k, owner in enumerate(owners):
            cell = table.cells[owner]
            tokens += [col_token(int(xs[k]))] if r == 0 else []
            tokens.append((k > cell.col) + 2 * (r > cell.row))
    return [*tokens, END]


def from_tokens(tokens: Sequence[int]) -> Layout:
    """The table that ids say. Raises InputError where the grammar forbids a token or the end is missing."""
    state = Grammar(PLACES, PLACES, max_cells=PLACES * PLACES)
    for token in tokens:
        state.push(token)
    if state.slot != DONE:
        raise InputError("The PAPP tokens are not ended by </table>.")
    return Layout(table_of(state.rows), tuple(state.ys), tuple(state.xs))


def table_of(rows: Sequence[Sequence[int]]) -> Table:
    """The structure of a full grid of C L U X. Raises InputError where spans do not close (the grammar never lets that come about)."""
    cells = []
    for r, row in enumerate(rows):
        for k, token in enumerate(row):
            if token == C:
                below = next((i for i in range(r + 1, len(rows)) if rows[i][k] != U), len(rows)) - r
                beside = next((j for j in range(k + 1, len(row)) if row[j] != L), len(row)) - k
                cells.append(Cell(r, k, below, beside))
    return Table(len(rows), len(rows[0]) if rows else 0, tuple(cells))


def contexts(tokens: Sequence[int], height: int, width: int) -> list[Context]:
    """The context before each token of a legal sequence: what teacher forcing feeds. Raises InputError on an illegal one."""
    state, known = Grammar(height, width, max_cells=height * width), []
    for token in tokens:
        known.append(state.context())
        state.push(token)
    return known
