"""Table <-> OTSL tokens: C, L, U, X, NL with the rules of "Optimized Table Tokenization for Table Structure Recognition" (Lysak 2023), section 4."""

from collections.abc import Sequence

from core.errors import InputError
from core.table.table import Cell, Table

TOKENS = ("C", "L", "U", "X")
"""C: a new cell. L: joined with its left neighbour. U: joined with its upper neighbour. X: joined with both."""


def to_otsl(table: Table) -> str:
    """The structure as OTSL: tokens parted by blanks, every row ended by NL on a line of its own."""
    grid = table.grid()
    lines = (" ".join((*(_token(table.cells[index], r, k) for k, index in enumerate(row)), "NL")) for r, row in enumerate(grid))
    return "\n".join(lines) + "\n"


def _token(cell: Cell, row: int, col: int) -> str:
    return "CLUX"[(col > cell.col) + 2 * (row > cell.row)]


def from_otsl(text: str) -> Table:
    """The structure (cells without text) that OTSL tokens say. Raises InputError where `validate` does."""
    rows = parse(text)
    validate(rows)
    cells = [Cell(r, k, *_span(rows, r, k)) for r, row in enumerate(rows) for k, token in enumerate(row) if token == "C"]
    return Table(len(rows), len(rows[0]), tuple(cells))


def parse(text: str) -> list[list[str]]:
    """Tokens by row, NL taken off. Raises InputError on another token or a last row without NL."""
    rows: list[list[str]] = [[]]
    for token in text.split():
        if token == "NL":
            rows.append([])
        elif token in TOKENS:
            rows[-1].append(token)
        else:
            raise InputError(f"{token[:20]!r} is no OTSL token. The tokens are C, L, U, X and NL.")
    if rows.pop():
        raise InputError("The last OTSL row is not ended by NL.")
    return rows


def validate(rows: Sequence[Sequence[str]]) -> None:
    """Rules 1 to 6, and that every span closes into a rectangle (which rules 1 to 3 alone do not ensure). Raises InputError with the place."""
    if not rows or not rows[0]:
        raise InputError("An OTSL table needs at least one row and one column; this one has none.")
    for r, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InputError(f"OTSL row {r} has {len(row)} tokens, row 0 has {len(rows[0])}: every row needs equally many.")
        for k, token in enumerate(row):
            _check_place(rows, r, k, token)
    _check_rectangles(rows)


def _check_place(rows: Sequence[Sequence[str]], r: int, k: int, token: str) -> None:
    left, above = rows[r][k - 1] if k else None, rows[r - 1][k] if r else None
    if token == "L" and left not in ("L", "C"):
        raise _broken(r, k, f"L needs L or C on its left, not {left or 'the border'}")
    if token == "U" and above not in ("U", "C"):
        raise _broken(r, k, f"U needs U or C above it, not {above or 'the border'}")
    if token == "X" and (left not in ("X", "U") or above not in ("X", "L")):
        raise _broken(r, k, f"X needs X or U on its left and X or L above it, not {left or 'the border'} and {above or 'the border'}")


def _broken(r: int, k: int, why: str) -> InputError:
    return InputError(f"OTSL token at row {r}, column {k} is not allowed: {why}.")


def _check_rectangles(rows: Sequence[Sequence[str]]) -> None:
    covered = [[False] * len(row) for row in rows]
    for r, row in enumerate(rows):
        for k, token in enumerate(row):
            if token == "C":
                _close(rows, covered, r, k)
    for r, row in enumerate(covered):
        if False in row:
            raise _broken(r, row.index(False), "it belongs to no cell's rectangle")


def _close(rows: Sequence[Sequence[str]], covered: list[list[bool]], r: int, k: int) -> None:
    """Mark the rectangle of the cell at (r, k) and check what fills it: L on top, U on the left, X inside."""
    height, width = _span(rows, r, k)
    for i in range(height):
        for j in range(width):
            wanted = "CLUX"[(j > 0) + 2 * (i > 0)]
            if rows[r + i][k + j] != wanted:
                why = f"the cell at row {r}, column {k} spans {height} x {width} and needs {wanted} here, not {rows[r + i][k + j]}"
                raise _broken(r + i, k + j, why)
            covered[r + i][k + j] = True


def _span(rows: Sequence[Sequence[str]], r: int, k: int) -> tuple[int, int]:
    """(rowspan, colspan) of the C at (r, k): how far U runs below it and L to its right."""
    below = next((i for i in range(r + 1, len(rows)) if rows[i][k] != "U"), len(rows))
    beside = next((j for j in range(k + 1, len(rows[r])) if rows[r][j] != "L"), len(rows[r]))
    return below - r, beside - k
