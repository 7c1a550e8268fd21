"""Tree edit distance and rename costs: compiled kernel and twin against plain recursive definitions."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cython_ext
from cython_ext import reference

SIDES = [pytest.param(cython_ext, id="kernel"), pytest.param(reference, id="twin")]


def plain_levenshtein(a, b):
    @cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]))
    return distance(len(a), len(b))


def plain_tree_distance(tree_a, tree_b, rename):
    """By the forest recursion: remove the last root, add one, or match the last two trees. A tree is (name, (children...))."""
    def size(forest):
        return sum(1 + size(children) for _, children in forest)

    @cache
    def distance(f, g):
        if not f or not g:
            return float(size(f) + size(g))
        (name_f, below_f), (name_g, below_g) = f[-1], g[-1]
        return min(distance(f[:-1] + below_f, g) + 1, distance(f, g[:-1] + below_g) + 1,
                   distance(f[:-1], g[:-1]) + distance(below_f, below_g) + rename(name_f, name_g))
    return distance((tree_a,), (tree_b,))


def postorder(tree):
    """Names and leftmost leaves."""
    names, leftmost = [], []

    def visit(node):
        name, children = node
        first = len(names)
        below = [visit(child) for child in children]
        names.append(name)
        leftmost.append(below[0] if below else first)
        return leftmost[-1]

    visit(tree)
    return names, np.array(leftmost, dtype=np.int32)


def packed(lists):
    return (np.array([t for tokens in lists for t in tokens], dtype=np.int32), np.cumsum([0, *map(len, lists)]).astype(np.int32))


trees = st.recursive(st.tuples(st.integers(0, 3), st.just(())), lambda t: st.tuples(st.integers(0, 3), st.lists(t, max_size=3).map(tuple)), max_leaves=7)


@pytest.mark.parametrize("side", SIDES)
@given(a=trees, b=trees)
@settings(max_examples=100, deadline=None)
def test_distance_is_that_of_the_recursive_definition(side, a, b):
    def rename(one, other):
        return abs(one - other) / 4

    (names_a, leftmost_a), (names_b, leftmost_b) = postorder(a), postorder(b)
    costs = np.array([[rename(one, other) for other in names_b] for one in names_a])
    assert side.tree_distance(leftmost_a, leftmost_b, costs) == pytest.approx(plain_tree_distance(a, b, rename), abs=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_known_distance_of_zhang_and_shasha(side):
    a = ("f", (("d", (("a", ()), ("c", (("b", ()),)))), ("e", ())))
    b = ("f", (("c", (("d", (("a", ()), ("b", ()))),)), ("e", ())))
    (names_a, leftmost_a), (names_b, leftmost_b) = postorder(a), postorder(b)
    assert leftmost_a.tolist() == [0, 1, 1, 0, 4, 0]
    costs = np.array([[float(one != other) for other in names_b] for one in names_a])
    assert side.tree_distance(leftmost_a, leftmost_b, costs) == 2.0


@pytest.mark.parametrize("side", SIDES)
def test_rename_dearer_than_remove_and_add_is_not_taken(side):
    assert side.tree_distance(np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([[5.0]])) == 2.0


@pytest.mark.parametrize("side", SIDES)
def test_distance_to_no_tree_is_the_size(side):
    assert side.tree_distance(np.array([0, 1, 0], np.int32), np.empty(0, np.int32), np.empty((3, 0))) == 3.0


token_lists = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=4)


@pytest.mark.parametrize("side", SIDES)
@given(a=token_lists, b=token_lists, data=st.data())
@settings(max_examples=80, deadline=None)
def test_rename_costs_are_the_normalised_distance(side, a, b, data):
    kinds_a, kinds_b = (np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(x), max_size=len(x))), np.int32) for x in (a, b))
    costs = np.full((len(a), len(b)), np.nan)
    side.rename_costs(kinds_a, *packed(a), kinds_b, *packed(b), costs)
    wanted = [[1.0 if kind != other else plain_levenshtein(tuple(x), tuple(y)) / max(len(x), len(y), 1)
               for other, y in zip(kinds_b, b, strict=True)] for kind, x in zip(kinds_a, a, strict=True)]
    np.testing.assert_allclose(costs, wanted, atol=1e-12)


@pytest.mark.parametrize("lengths", [(63, 64), (64, 64), (64, 65), (65, 1), (128, 129), (200, 3), (190, 250)])
def test_long_contents_cross_the_word_border(lengths):
    rng = np.random.default_rng(sum(lengths))
    a = [rng.integers(0, 3, length).tolist() for length in (*lengths, 5)]
    b = [a[0][:20] + a[0][25:], rng.integers(0, 3, lengths[1]).tolist(), a[1][::-1]]
    kinds, costs, wanted = np.zeros(3, np.int32), np.empty((3, 3)), np.empty((3, 3))
    cython_ext.rename_costs(kinds, *packed(a), kinds, *packed(b), costs)
    reference.rename_costs(kinds, *packed(a), kinds, *packed(b), wanted)
    np.testing.assert_allclose(costs, wanted, atol=1e-12)


@pytest.mark.parametrize("side", SIDES)
def test_arrays_that_do_not_fit_are_refused(side):
    leaf, none = np.zeros(1, np.int32), np.zeros(0, np.int32)
    with pytest.raises(ValueError, match="trees have 1 and 1 nodes"):
        side.tree_distance(leaf, leaf, np.zeros((1, 2)))
    with pytest.raises(ValueError, match="behind the node"):
        side.tree_distance(np.ones(1, np.int32), leaf, np.zeros((1, 1)))
    with pytest.raises(ValueError, match="kinds ask for 1 x 1"):
        side.rename_costs(leaf, none, np.zeros(2, np.int32), leaf, none, np.zeros(2, np.int32), np.zeros((1, 2)))
    for tokens, offsets in ((np.array([-1], np.int32), [0, 1]), (none, [0, 1]), (np.ones(3, np.int32), [2, 1])):
        with pytest.raises(ValueError, match="leads out of the tokens"):
            side.rename_costs(leaf, tokens, np.array(offsets, np.int32), leaf, none, np.zeros(2, np.int32), np.zeros((1, 1)))
