"""TEDS, the tree edit distance similarity of tables (Zhong et al. 2020, PubTabNet), its structure-only form, and the shares of perfect tables of the PIX-TAB post.

TEDS(a, b) = 1 - distance(a, b) / max(nodes below <table> in a, in b). A node costs 1 to add or remove; renaming costs 1 where tag, colspan or rowspan differ,
else for a td the Levenshtein distance of the contents (characters and inline tags) over the longer one, else 0.
As in the official code, thead and tbody are nodes, a td is a leaf, inline tags inside it count as nodes, and a score can fall below 0 where two shapes
have little in common. Where we differ, on purpose and on both sides:
th is read as td (the official code ignores its text), a bare <table> without <html><body> is read (it scores 0 there), white space is collapsed and trimmed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

import cython_ext
from core.errors import InputError
from core.table.table import Table

MAX_DEPTH = 200
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
CLOSED_BY = {"td": ("table", "thead", "tbody", "tfoot", "tr"), "tr": ("table", "thead", "tbody", "tfoot"),
             "thead": ("table",), "tbody": ("table",), "tfoot": ("table",), "colgroup": ("table",)}
"""Start tag -> where it may stand: whatever else is open in the table ends there, as the HTML standard has it."""
WHITE_SPACE = " \t\r\n\f"


@dataclass
class Node:
    """An element: its tag, its spans (of a td), and its children, elements and texts in order."""

    tag: str
    colspan: int = 1
    rowspan: int = 1
    children: list = field(default_factory=list)


def teds_html(pred_html: str, true_html: str, structure_only: bool = False) -> float:
    """TEDS of the first table of two HTML texts, 1 when they are equal, seldom below 0; 0 where one of them has no table.

    structure_only  compare tags and spans alone (TEDS-struct)
    Raises InputError for elements nested more than 200 deep. Exact; O(n m) time for n and m cells.
    """
    return _similarity(_table_of(pred_html), _table_of(true_html), structure_only)


def teds(pred: Table, true: Table, structure_only: bool = False) -> float:
    """TEDS of two Table objects, 1 when they are equal, seldom below 0: rows of td directly below the table, no thead or tbody; a line break in a cell counts as a space."""
    return _similarity(_nodes_of(pred), _nodes_of(true), structure_only)


def summary(pairs: Iterable[tuple[Table | str | None, Table | str]]) -> dict[str, float]:
    """Means over (prediction, truth) pairs of Tables or of HTML texts; a prediction of None (no table was read) scores 0.

    returns  n, teds, teds_struct (means, of 1), teds_100, teds_struct100 (shares of the tables that score exactly 1, 0 to 1); nan where n is 0
    """
    scores = np.array([[_score(pred, true, structure_only) for structure_only in (False, True)] for pred, true in pairs]).reshape(-1, 2)
    if not len(scores):
        return dict(n=0) | dict.fromkeys(("teds", "teds_struct", "teds_100", "teds_struct100"), float("nan"))
    means, perfect = scores.mean(axis=0), (scores == 1).mean(axis=0)
    return dict(n=len(scores), teds=float(means[0]), teds_struct=float(means[1]), teds_100=float(perfect[0]), teds_struct100=float(perfect[1]))


def _score(pred: Table | str | None, true: Table | str, structure_only: bool) -> float:
    if pred is None:
        return 0.0
    one, other = (_table_of(side) if isinstance(side, str) else _nodes_of(side) for side in (pred, true))
    return _similarity(one, other, structure_only)


def _similarity(pred: Node | None, true: Node | None, structure_only: bool) -> float:
    if pred is None or true is None:
        return 0.0
    nodes = max(_descendants(pred), _descendants(true))
    return 1.0 - _distance(pred, true, structure_only) / nodes if nodes else 1.0


def _descendants(node: Node) -> int:
    below = [child for child in node.children if isinstance(child, Node)]
    return len(below) + sum(map(_descendants, below))


# Two trees as arrays for the kernels

def _distance(pred: Node, true: Node, structure_only: bool) -> float:
    """Tree edit distance with TEDS's costs."""
    kinds: dict = {}
    tokens: dict = {}
    arrays = [_arrays(tree, kinds, tokens, structure_only) for tree in (pred, true)]
    (leftmost_a, *coded_a), (leftmost_b, *coded_b) = arrays
    costs = np.empty((len(leftmost_a), len(leftmost_b)))
    cython_ext.rename_costs(*coded_a, *coded_b, costs)
    return cython_ext.tree_distance(leftmost_a, leftmost_b, costs)


def _arrays(tree: Node, kinds: dict, tokens: dict, structure_only: bool) -> list[np.ndarray]:
    """Postorder arrays of a tree: leftmost leaf, kind, content tokens one after another, offsets; new kinds and tokens get the next numbers."""
    leftmost: list[int] = []
    kind: list[int] = []
    content: list[int] = []
    offsets = [0]

    def visit(node: Node) -> int:
        first = len(kind)
        below = [] if node.tag == "td" else [visit(child) for child in node.children if isinstance(child, Node)]
        leftmost.append(below[0] if below else first)
        kind.append(kinds.setdefault((node.tag, node.colspan, node.rowspan), len(kinds)))
        if node.tag == "td" and not structure_only:
            content.extend(tokens.setdefault(token, len(tokens)) for token in _content(node))
        offsets.append(len(content))
        return leftmost[-1]

    visit(tree)
    return [np.array(values, dtype=np.int32) for values in (leftmost, kind, content, offsets)]


def _content(cell: Node) -> list[str]:
    """Characters and inline tags of a td; white space collapsed to one blank, none at either end."""
    kept: list[str] = []
    for token in _tokens(cell):
        token = " " if token in WHITE_SPACE else token
        if token != " " or (kept and kept[-1] != " "):
            kept.append(token)
    return kept[:-1] if kept and kept[-1] == " " else kept


def _tokens(node: Node) -> Iterable[str]:
    after_cell = False
    for child in node.children:
        if isinstance(child, str):
            yield from "" if after_cell else child       # as the official code: text behind a nested td is not read
            continue
        yield f"<{child.tag}>"
        yield from _tokens(child)
        if child.tag != "unk":
            yield f"</{child.tag}>"
        after_cell = child.tag == "td"


# From HTML, from a Table

class _Parser(HTMLParser):
    """The first table of an HTML text as a Node; end tags may be left out as in HTML, comments are skipped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.table: Node | None = None
        self.open: list[Node] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if not self.open and (tag != "table" or self.table is not None):
            return
        tag = "td" if tag == "th" else tag
        self._end_implied(tag)
        spans = dict(attrs)
        node = Node(tag, _span(spans.get("colspan")), _span(spans.get("rowspan"))) if tag == "td" else Node(tag)
        if self.open:
            self._add(node)
        else:
            self.table = node
        if tag not in VOID:
            self.open.append(node)
        if len(self.open) > MAX_DEPTH:
            raise InputError(f"The elements of this HTML table are nested more than {MAX_DEPTH} deep.")

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and tag in ("td", "th"):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        tag = "td" if tag == "th" else tag
        for depth in range(len(self.open) - 1, -1, -1):
            if self.open[depth].tag == tag:
                del self.open[depth:]
                return
            if self.open[depth].tag == "table" or (self.open[depth].tag == "td" and tag not in CLOSED_BY and tag != "table"):
                return

    def handle_data(self, data: str) -> None:
        if self.open:
            self._add(data)

    def _add(self, child: Node | str) -> None:
        self.open[-1].children.append(child)

    def _end_implied(self, tag: str) -> None:
        """End what may not contain `tag`, up to the nearest element of the same table that may."""
        while tag in CLOSED_BY and self.open and self.open[-1].tag not in CLOSED_BY[tag]:
            if self.open[-1].tag == "table":
                return
            self.open.pop()


def _span(value: str | None) -> int:
    try:
        return int(value) if value is not None else 1
    except ValueError:
        return 1


def _table_of(html: str) -> Node | None:
    parser = _Parser()
    parser.feed(html or "")
    parser.close()
    return parser.table


def _nodes_of(table: Table) -> Node:
    rows = [Node("tr") for _ in range(table.rows)]
    for cell in table.cells:
        rows[cell.row].children.append(Node("td", cell.colspan, cell.rowspan, [cell.text]))
    return Node("table", children=rows)
