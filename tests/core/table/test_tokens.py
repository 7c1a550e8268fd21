"""PAPP tokens: the way there and back, the grammar's mask, and that whatever it lets through is a legal table."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.table.otsl import from_otsl, to_otsl
from core.table.table import Cell, Table
from core.table.tokens import COL, END, ROW, START, Grammar, contexts, from_tokens, kind, parse, spell, table_of, to_tokens
from tests.core.table.strategies import structures


def places(count: int, seed: int, limit: int = 1000) -> list[int]:
    return sorted(random.Random(seed).sample(range(limit), count))


@given(structures(), st.integers(0, 10**6))
def test_there_and_back_is_exact(table: Table, seed: int) -> None:
    ys, xs = places(table.rows, seed), places(table.cols, seed + 1)
    tokens = to_tokens(table, ys, xs)
    layout = from_tokens(tokens)
    assert (layout.table, list(layout.ys), list(layout.xs)) == (table, ys, xs)
    assert parse(spell(tokens)) == tokens
    assert len(tokens) == table.rows * table.cols + table.rows + table.cols + 1


@given(structures(), st.integers(0, 10**6))
def test_every_step_of_a_legal_table_is_allowed(table: Table, seed: int) -> None:
    state = Grammar(100, 100)
    for token in to_tokens(table, places(table.rows, seed, 100), places(table.cols, seed + 1, 100)):
        mask = state.mask()
        assert mask[state.index_of(token)] and state.token_at(state.index_of(token)) == token
        state.push(token)
    assert not state.mask().any()


@given(st.integers(0, 10**9), st.integers(1, 12), st.integers(1, 12), st.integers(1, 60))
def test_whatever_the_mask_allows_is_a_legal_table(seed: int, height: int, width: int, max_cells: int) -> None:
    """A random walk along the mask always ends, and always in a table that OTSL's own validation accepts."""
    rng, state, tokens = random.Random(seed), Grammar(height, width, max_cells), []
    while state.mask().any():
        mask = state.mask()
        assert [state.allows(state.token_at(i)) for i in range(len(mask))] == mask.tolist()
        tokens.append(state.token_at(rng.choice(mask.nonzero()[0].tolist())))
        state.push(tokens[-1])
    layout = from_tokens(tokens)
    assert tokens[-1] == END and table_of(state.rows) == layout.table
    assert from_otsl(to_otsl(layout.table)) == layout.table
    assert layout.table.rows * layout.table.cols <= max(max_cells, layout.table.cols)


@settings(deadline=None, max_examples=40)
@given(structures(side=3), st.integers(0, 10**6))
def test_what_the_mask_forbids_is_no_table(table: Table, seed: int) -> None:
    """Change one cell token to a forbidden one: OTSL's validation refuses every completion that keeps the rest."""
    rng, state = random.Random(seed), Grammar(1000, 1000)
    tokens = to_tokens(table, places(table.rows, seed), places(table.cols, seed + 1))
    spots = [i for i, token in enumerate(tokens) if token < 4]
    spot = rng.choice(spots)
    for token in tokens[:spot]:
        state.push(token)
    for wrong in set(range(4)) - set(state.cells()):
        grid = [list(row) for row in state.rows]
        grid[-1].append(wrong)
        with pytest.raises(InputError):
            state.push(wrong)
        assert not _completes(grid, table.cols), (grid, wrong)


def _completes(grid: list[list[int]], cols: int) -> bool:
    """Whether the rest of the row and one more row can be filled so that OTSL's validation accepts all of it (exhaustive)."""
    missing = cols - len(grid[-1])
    for code in range(4 ** (missing + cols)):
        extra = [code // 4 ** i % 4 for i in range(missing + cols)]
        for rows in ([*grid[:-1], grid[-1] + extra[:missing]], [*grid[:-1], grid[-1] + extra[:missing], extra[missing:]]):
            try:
                from_otsl("".join(" ".join("CLUX"[t] for t in row) + " NL\n" for row in rows))
                return True
            except InputError:
                pass
    return False


def test_spelling_is_the_posts() -> None:
    table = Table(2, 2, (Cell(0, 0, 1, 2), Cell(1, 0), Cell(1, 1)))
    assert spell(to_tokens(table, [4, 16], [2, 40])) == "<r004><c002>C<c040>L<r016>CC</table>"


@pytest.mark.parametrize("text, said", [("<r0>", "is no PAPP token"), ("<r001><c001>CNL", "'NL' is no PAPP token")])
def test_parse_names_what_is_no_token(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(text)


@pytest.mark.parametrize("text", ["", "<r001><c001>C", "C", "<r001>C", "<r001><c001>L</table>", "<r001><c001>U</table>",
                                  "<r005><c001>C<c001>C</table>",
                                  "<r005><c001>C<r005>C</table>", "<r001><c001>C<c002>C<r003>C</table>", "<r001><c001>C</table>C"])
def test_illegal_sequences_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        from_tokens(parse(text))


@pytest.mark.parametrize("ys, xs", [([1], [1, 2]), ([2, 2], [1, 2]), ([1, 2], [1, 1000]), ([-1, 2], [1, 2])])
def test_places_must_grow_within_three_digits(ys: list[int], xs: list[int]) -> None:
    with pytest.raises(InputError, match="places"):
        to_tokens(Table(2, 2, (Cell(0, 0, 2, 2),)), ys, xs)


def test_boxes_follow_the_places() -> None:
    layout = from_tokens(parse("<r004><c002>C<c040>L<r016>CC</table>"))
    assert [c.box for c in layout.boxed(50, 100, (2.0, 0.5)).cells] == [(1.0, 8.0, 50.0, 32.0), (1.0, 32.0, 20.0, 100.0), (20.0, 32.0, 50.0, 100.0)]


def test_contexts_know_only_the_past() -> None:
    """The context before token t is the same whatever comes from t on."""
    one, other = (parse(text) for text in ("<r004><c002>C<c040>L<r016>CC</table>", "<r004><c002>C<c040>L<r020>CL<r030>CC</table>"))
    assert contexts(one, 50, 50)[:5] == contexts(other, 50, 50)[:5]
    assert [c.x1 for c in contexts(one, 50, 50)] == [-1, -1, -1, -1, -1, -1, 40, -1, -1]


def test_a_copy_is_independent() -> None:
    state = Grammar(10, 10)
    for token in (ROW + 1, COL + 1, 0, ROW + 2):
        state.push(token)
    twin = state.copy()
    twin.push(0)
    assert state.rows == [[0], []] and twin.rows == [[0], [0]]


def test_kinds() -> None:
    assert [kind(t) for t in (0, 3, END, ROW, ROW + 999, COL, COL + 999, START)] == [0, 3, 4, 5, 5, 6, 6, 7]


def test_a_grid_beyond_three_digits_is_refused() -> None:
    with pytest.raises(InputError, match="three digits"):
        Grammar(1001, 10)
