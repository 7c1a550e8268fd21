"""Ordered tree edit distance (Zhang and Shasha 1989) with given rename costs, and the rename costs of TEDS by bit-parallel Levenshtein (Hyyrö 2003)."""

import numpy as np
from libc.stdint cimport int32_t, uint64_t


def rename_costs(const int32_t[::1] kinds_a, const int32_t[::1] tokens_a, const int32_t[::1] offsets_a,
                 const int32_t[::1] kinds_b, const int32_t[::1] tokens_b, const int32_t[::1] offsets_b, double[:, ::1] costs):
    """Fill costs float64[n, m]: 1 where kinds differ, else Levenshtein(tokens of i, tokens of j) / the longer length, 0 when both are empty.

    kinds int32[n]; tokens int32[any], each in 0..alphabet-1; offsets int32[n + 1] into tokens. O(n m l) time up to l = 64 tokens, O(n m l^2 / 64) beyond.
    Raises ValueError where the shapes do not fit, a token is negative or an offset leads out of the tokens.
    """
    check_costs(kinds_a, tokens_a, offsets_a, kinds_b, tokens_b, offsets_b, costs)
    cdef Py_ssize_t i, j, n = kinds_a.shape[0], m = kinds_b.shape[0]
    cdef int32_t alphabet = 1 + max(np.max(tokens_a, initial=0), np.max(tokens_b, initial=0))
    cdef int32_t longest = max(np.max(np.diff(offsets_a), initial=0), np.max(np.diff(offsets_b), initial=0))
    cdef Py_ssize_t words = (longest + 63) // 64
    cdef uint64_t[::1] places = np.zeros(max(alphabet * words, 1), dtype=np.uint64)
    cdef uint64_t[::1] columns = np.empty(max(2 * words, 1), dtype=np.uint64)
    cdef int32_t length_a, length_b, distance
    with nogil:
        for i in range(n):
            length_a = offsets_a[i + 1] - offsets_a[i]
            set_places(tokens_a, offsets_a[i], length_a, words, &places[0], True)
            for j in range(m):
                length_b = offsets_b[j + 1] - offsets_b[j]
                if kinds_a[i] != kinds_b[j]:
                    costs[i, j] = 1
                elif length_a == 0 or length_b == 0:
                    costs[i, j] = length_a != length_b
                else:
                    distance = levenshtein(&places[0], words, length_a, &tokens_b[offsets_b[j]], length_b, &columns[0])
                    costs[i, j] = <double> distance / max(length_a, length_b)
            set_places(tokens_a, offsets_a[i], length_a, words, &places[0], False)


cdef check_costs(const int32_t[::1] kinds_a, const int32_t[::1] tokens_a, const int32_t[::1] offsets_a,
                 const int32_t[::1] kinds_b, const int32_t[::1] tokens_b, const int32_t[::1] offsets_b, double[:, ::1] costs):
    n, m = kinds_a.shape[0], kinds_b.shape[0]
    if costs.shape[0] != n or costs.shape[1] != m or offsets_a.shape[0] != n + 1 or offsets_b.shape[0] != m + 1:
        raise ValueError(f"costs is {costs.shape[0]} x {costs.shape[1]} and offsets {offsets_a.shape[0]} and {offsets_b.shape[0]} long; "
                         f"kinds ask for {n} x {m}.")
    for tokens, offsets in ((np.asarray(tokens_a), np.asarray(offsets_a)), (np.asarray(tokens_b), np.asarray(offsets_b))):
        if np.min(tokens, initial=0) < 0 or offsets[0] < 0 or offsets[len(offsets) - 1] > len(tokens) or np.any(np.diff(offsets) < 0):
            raise ValueError("A token is negative, or an offset leads out of the tokens.")


cdef void set_places(const int32_t[::1] tokens, int32_t begin, int32_t length, Py_ssize_t words, uint64_t *places, bint on) noexcept nogil:
    """Bit k of places[token] is whether the pattern's k-th token is that one; or clear them again."""
    cdef int32_t k
    for k in range(length):
        if on:
            places[tokens[begin + k] * words + (k >> 6)] |= (<uint64_t> 1) << (k & 63)
        else:
            places[tokens[begin + k] * words + (k >> 6)] = 0


cdef int32_t levenshtein(const uint64_t *places, Py_ssize_t words, int32_t length, const int32_t *text, int32_t text_length, uint64_t *columns) noexcept nogil:
    """Distance of the pattern in `places` from text: 64 cells of a column at a time, kept as their vertical differences +1 and -1."""
    cdef Py_ssize_t used = (length + 63) >> 6, w
    cdef uint64_t *up = columns
    cdef uint64_t *down = columns + used
    cdef uint64_t match, diagonal, plus, minus, carry_plus, carry_minus, out_plus, out_minus
    cdef uint64_t last = (<uint64_t> 1) << ((length - 1) & 63)
    cdef int32_t k, distance = length
    for w in range(used):
        up[w] = ~(<uint64_t> 0)
        down[w] = 0
    for k in range(text_length):
        carry_plus = 1                  # the first row of the table grows by one with every column
        carry_minus = 0
        for w in range(used):
            match = places[text[k] * words + w] | carry_minus       # a step down from the word above works like a match
            diagonal = (((match & up[w]) + up[w]) ^ up[w]) | match | down[w]
            plus = down[w] | ~(diagonal | up[w])
            minus = up[w] & diagonal
            if w == used - 1:
                distance += (plus & last) != 0
                distance -= (minus & last) != 0
            out_plus = plus >> 63
            out_minus = minus >> 63
            plus = (plus << 1) | carry_plus
            minus = (minus << 1) | carry_minus
            up[w] = minus | ~(diagonal | plus)
            down[w] = plus & diagonal
            carry_plus = out_plus
            carry_minus = out_minus
    return distance


def tree_distance(const int32_t[::1] leftmost_a, const int32_t[::1] leftmost_b, const double[:, ::1] costs):
    """Least cost of turning tree a into tree b: 1 for a node removed or added, costs[i, j] for node i of a renamed to node j of b.

    leftmost int32[n]: nodes in postorder, each with the postorder number of its leftmost leaf (itself for a leaf).
    costs float64[n, m]. Returns a float, n or m when the other tree is empty. O(n m depth^2) time, O(n m) memory. Zhang and Shasha 1989.
    Raises ValueError where the shapes do not fit or a leaf lies behind its node.
    """
    cdef Py_ssize_t n = leftmost_a.shape[0], m = leftmost_b.shape[0], x, y
    check_trees(leftmost_a, leftmost_b, costs)
    if n == 0 or m == 0:
        return float(max(n, m))
    cdef int32_t[::1] keys_a = key_roots(leftmost_a)
    cdef int32_t[::1] keys_b = key_roots(leftmost_b)
    cdef double[:, ::1] trees = np.empty((n, m))
    cdef double[:, ::1] forests = np.empty((n + 1, m + 1))
    with nogil:
        for x in range(keys_a.shape[0]):
            for y in range(keys_b.shape[0]):
                subtree_distances(leftmost_a, leftmost_b, costs, keys_a[x], keys_b[y], trees, forests)
    return trees[n - 1, m - 1]


cdef check_trees(const int32_t[::1] leftmost_a, const int32_t[::1] leftmost_b, const double[:, ::1] costs):
    if costs.shape[0] != leftmost_a.shape[0] or costs.shape[1] != leftmost_b.shape[0]:
        raise ValueError(f"costs is {costs.shape[0]} x {costs.shape[1]}, the trees have {leftmost_a.shape[0]} and {leftmost_b.shape[0]} nodes.")
    for leftmost in (np.asarray(leftmost_a), np.asarray(leftmost_b)):
        if np.any(leftmost < 0) or np.any(leftmost > np.arange(len(leftmost))):
            raise ValueError("A node's leftmost leaf lies behind the node.")


cdef key_roots(const int32_t[::1] leftmost):
    """Postorder numbers of the nodes that are the last with their leftmost leaf (the root, and all with a left sibling), ascending."""
    values = np.asarray(leftmost)[::-1]
    return np.sort(len(values) - 1 - np.unique(values, return_index=True)[1]).astype(np.int32)


cdef void subtree_distances(const int32_t[::1] leftmost_a, const int32_t[::1] leftmost_b, const double[:, ::1] costs, int32_t i, int32_t j,
                            double[:, ::1] trees, double[:, ::1] forests) noexcept nogil:
    """Distances of all prefixes of the subtrees at i and j; those that are whole trees are kept in `trees`."""
    cdef int32_t first_a = leftmost_a[i], first_b = leftmost_b[j], a, b
    cdef double least
    forests[0, 0] = 0
    for a in range(first_a, i + 1):
        forests[a - first_a + 1, 0] = a - first_a + 1
    for b in range(first_b, j + 1):
        forests[0, b - first_b + 1] = b - first_b + 1
    for a in range(first_a, i + 1):
        for b in range(first_b, j + 1):
            least = min(forests[a - first_a, b - first_b + 1], forests[a - first_a + 1, b - first_b]) + 1
            if leftmost_a[a] == first_a and leftmost_b[b] == first_b:
                least = min(least, forests[a - first_a, b - first_b] + costs[a, b])
                trees[a, b] = least
            else:
                least = min(least, forests[leftmost_a[a] - first_a, leftmost_b[b] - first_b] + trees[a, b])
            forests[a - first_a + 1, b - first_b + 1] = least
