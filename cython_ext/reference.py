"""The NumPy twin of every kernel, same names and signatures: the meaning the compiled code is tested against, and what runs without a compiler."""

import numpy as np

KERNELS = {
    "labelling": ("label_regions", "label_regions_bfs"), "rule_runs": ("edge_runs", "long_runs"), "tree_distance": ("rename_costs", "tree_distance"),
    "combining": ("combine_iq", "combine_planes"),
    "radio": ("demap_planes", "demap_planes_int8", "add_llrs", "bfp_pack", "bfp_unpack", "bfp_planes"),
    "tridiagonal": ("solve_tridiagonal",)}
"""Compiled module -> the kernels it holds."""


def label_regions(mask, connectivity=8, labels=None):
    """Boxes and areas int32[n, 5] (x, y, width, height, area) of the components of mask uint8[H, W], in raster order of their first pixel.

    Fills labels int32[H, W] when given: 0 is background, row k of the result has label k + 1.
    Raises ValueError for another connectivity than 4 or 8, or labels of another shape.
    """
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8, not {connectivity}.")
    if labels is not None and labels.shape != mask.shape:
        raise ValueError(f"labels is {labels.shape[0]} x {labels.shape[1]}, the mask {mask.shape[0]} x {mask.shape[1]}.")
    rows, starts, ends = _runs(mask)
    root = _components(len(rows), *_touching(rows, starts, ends, mask.shape[1], connectivity == 8))
    roots, component = np.unique(root, return_inverse=True)
    if labels is not None:
        labels[...] = 0
        labels[np.asarray(mask, dtype=bool)] = np.repeat(component + 1, ends - starts)
    return _boxes(len(roots), component, rows, starts, ends)


def label_regions_bfs(mask, connectivity=8, labels=None):
    """The same result; a flood fill pixel by pixel has no place in NumPy."""
    return label_regions(mask, connectivity, labels)


def _runs(mask):
    """Row, start and end (exclusive) of every run of foreground, each int64[runs], in raster order."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.int8)
    padded[:, 1:-1] = np.asarray(mask, dtype=bool)
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    return rows, starts, np.nonzero(change == -1)[1]


def _touching(rows, starts, ends, width, diagonal):
    """Pairs (upper run, lower run) that touch, two int64[pairs]."""
    reach = int(diagonal)
    stride = width + 2                                                       # keys of different rows stay apart, also one pixel further
    first = np.searchsorted(rows * stride + ends, (rows - 1) * stride + starts - reach, side="right")
    last = np.searchsorted(rows * stride + starts, (rows - 1) * stride + ends + reach, side="left")
    first = np.maximum(first, np.searchsorted(rows, rows - 1, side="left"))   # no run of the row before
    last = np.minimum(last, np.searchsorted(rows, rows - 1, side="right"))
    count = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(rows)), count)
    upper = np.arange(len(lower)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return upper, lower


def _components(count, one, other):
    """The least member of every node's component, int64[count]: hook greater roots onto lesser ones, shorten all paths, repeat."""
    parent = np.arange(count)
    while True:
        low, high = np.minimum(parent[one], parent[other]), np.maximum(parent[one], parent[other])
        apart = low != high
        if not apart.any():
            return parent
        one, other = one[apart], other[apart]
        np.minimum.at(parent, high[apart], low[apart])
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]


def _boxes(components, component, rows, starts, ends):
    """int32[components, 5] from the component of every run."""
    left, top = np.full(components, np.iinfo(np.int64).max), np.full(components, np.iinfo(np.int64).max)
    right, bottom = np.zeros(components, dtype=np.int64), np.zeros(components, dtype=np.int64)
    np.minimum.at(left, component, starts)
    np.minimum.at(top, component, rows)
    np.maximum.at(right, component, ends)
    np.maximum.at(bottom, component, rows + 1)
    area = np.zeros(components, dtype=np.int64)
    np.add.at(area, component, ends - starts)
    return np.stack([left, top, right - left, bottom - top, area], axis=1).astype(np.int32)


def rename_costs(kinds_a, tokens_a, offsets_a, kinds_b, tokens_b, offsets_b, costs):
    """Fill costs float64[n, m]: 1 where kinds differ, else Levenshtein(tokens of i, tokens of j) / the longer length, 0 when both are empty.

    kinds int32[n]; tokens int32[any], not negative; offsets int32[n + 1] into tokens.
    Raises ValueError where the shapes do not fit, a token is negative or an offset leads out of the tokens.
    """
    _check_costs(kinds_a, tokens_a, offsets_a, kinds_b, tokens_b, offsets_b, costs)
    lengths = np.diff(offsets_b)
    texts = np.full((len(kinds_b), lengths.max(initial=0)), -1, dtype=np.int64)
    texts[np.arange(texts.shape[1]) < lengths[:, None]] = tokens_b[offsets_b[0]:offsets_b[-1]]
    for i, kind in enumerate(kinds_a):
        pattern = tokens_a[offsets_a[i]:offsets_a[i + 1]]
        distance = _levenshtein(pattern, texts)[np.arange(len(texts)), lengths]
        costs[i] = np.where(kinds_b == kind, distance / np.maximum(np.maximum(lengths, len(pattern)), 1), 1.0)


def _check_costs(kinds_a, tokens_a, offsets_a, kinds_b, tokens_b, offsets_b, costs):
    n, m = len(kinds_a), len(kinds_b)
    if costs.shape != (n, m) or len(offsets_a) != n + 1 or len(offsets_b) != m + 1:
        raise ValueError(f"costs is {costs.shape[0]} x {costs.shape[1]} and offsets {len(offsets_a)} and {len(offsets_b)} long; kinds ask for {n} x {m}.")
    for tokens, offsets in ((tokens_a, offsets_a), (tokens_b, offsets_b)):
        if np.min(tokens, initial=0) < 0 or offsets[0] < 0 or offsets[-1] > len(tokens) or np.any(np.diff(offsets) < 0):
            raise ValueError("A token is negative, or an offset leads out of the tokens.")


def _levenshtein(pattern, texts):
    """Distance of the pattern from every prefix of every text int64[m, longest], as int64[m, longest + 1]."""
    place = np.arange(texts.shape[1] + 1)
    row = np.tile(place, (len(texts), 1))
    for k, token in enumerate(pattern, start=1):
        best = np.empty_like(row)
        best[:, 0] = k
        best[:, 1:] = np.minimum(row[:, 1:] + 1, row[:, :-1] + (texts != token))
        row = np.minimum.accumulate(best - place, axis=1) + place         # insertions: each place further costs one
    return row


def tree_distance(leftmost_a, leftmost_b, costs):
    """Least cost of turning tree a into tree b: 1 for a node removed or added, costs[i, j] for node i of a renamed to node j of b.

    leftmost int32[n]: nodes in postorder, each with the postorder number of its leftmost leaf (itself for a leaf).
    costs float64[n, m]. Returns a float, n or m when the other tree is empty. Zhang and Shasha 1989.
    Raises ValueError where the shapes do not fit or a leaf lies behind its node.
    """
    n, m = len(leftmost_a), len(leftmost_b)
    if costs.shape != (n, m):
        raise ValueError(f"costs is {costs.shape[0]} x {costs.shape[1]}, the trees have {n} and {m} nodes.")
    if any(np.any(leftmost < 0) or np.any(leftmost > np.arange(len(leftmost))) for leftmost in (leftmost_a, leftmost_b)):
        raise ValueError("A node's leftmost leaf lies behind the node.")
    if n == 0 or m == 0:
        return float(max(n, m))
    trees = np.empty((n, m))
    _leaf_distances(leftmost_b, costs, np.flatnonzero(leftmost_a == np.arange(n)), trees)
    _leaf_distances(leftmost_a, costs.T, np.flatnonzero(leftmost_b == np.arange(m)), trees.T)
    larger_b = [j for j in _key_roots(leftmost_b) if leftmost_b[j] < j]
    for i in _key_roots(leftmost_a):
        for j in larger_b if leftmost_a[i] < i else ():
            _subtree_distances(leftmost_a, leftmost_b, costs, i, j, trees)
    return float(trees[-1, -1])


def _leaf_distances(leftmost, costs, leaves, trees):
    """Distances of single leaves from every subtree of the other tree: one node of it is the leaf renamed, or none is; the rest is added."""
    for j, first in enumerate(leftmost):
        size = j + 1 - first
        trees[leaves, j] = np.minimum(costs[leaves, first:j + 1].min(axis=1) + size - 1, size + 1)


def _key_roots(leftmost):
    """Postorder numbers of the nodes that are the last with their leftmost leaf (the root, and all with a left sibling), ascending."""
    return np.sort(len(leftmost) - 1 - np.unique(leftmost[::-1], return_index=True)[1])


def _subtree_distances(leftmost_a, leftmost_b, costs, i, j, trees):
    """Distances of all prefixes of the subtrees at i and j, a row at a time; those that are whole trees are kept in `trees`."""
    first_a, first_b = leftmost_a[i], leftmost_b[j]
    begins = leftmost_b[first_b:j + 1] - first_b
    whole_b = begins == 0
    place = np.arange(j - first_b + 2)
    forests = np.empty((i - first_a + 2, len(place)))
    forests[0] = place
    for a in range(first_a, i + 1):
        row = a - first_a
        kept = forests[leftmost_a[a] - first_a][begins] + trees[a, first_b:j + 1]
        if leftmost_a[a] == first_a:
            kept = np.where(whole_b, forests[row][:-1] + costs[a, first_b:j + 1], kept)
        best = np.concatenate([[row + 1], np.minimum(forests[row][1:] + 1, kept)])
        forests[row + 1] = np.minimum.accumulate(best - place) + place
        if leftmost_a[a] == first_a:
            trees[a, first_b:j + 1][whole_b] = forests[row + 1][1:][whole_b]


def edge_runs(grey, reach, contrast, share, beside, shortest, grow, bridge, flags):
    """Straight runs of contrast along the rows of grey uint8[H, W], as bits in flags uint8[H, W].

    The strength of an edge is how much brighter, or darker, the picture is `reach` rows below than `reach` rows above (the picture's own rows go on
    beyond it); both signs are treated apart and their bits joined:
    4  strong: above `contrast` and above share / 256 of the strongest within `beside` columns
    2  unbroken: runs of strong of at least 2 shortest + 1 pixels (at a side of the picture shortest + 1), and what is above `contrast` within `grow` of their ends
    1  bridged: unbroken with gaps of at most 2 bridge pixels filled (at a side of the picture: bridge)
    Raises ValueError for flags of another shape, or a contrast or share outside 0..255 and 0..256.
    """
    _check_shape(grey, flags)
    if not (0 <= contrast <= 255 and 0 <= share <= 256):
        raise ValueError(f"contrast is 0 to 255 and share 0 to 256, not {contrast} and {share}.")
    rows = np.arange(len(grey))
    change = grey[np.minimum(rows + reach, len(grey) - 1)].astype(np.int16) - grey[np.maximum(rows - reach, 0)]
    flags[...] = 0
    for strength in (change.clip(min=0).astype(np.uint8), (-change).clip(min=0).astype(np.uint8)):
        faint = strength > contrast
        strong = faint & (strength > ((_spread(strength, beside).astype(np.int32) * share + 128) >> 8))
        unbroken = _long(strong, shortest)
        unbroken |= (_spread(unbroken, grow) > 0) & faint
        flags |= _bridged(unbroken, bridge) | unbroken << 1 | strong.astype(np.uint8) << 2


def _bridged(mask, bridge):
    """uint8[H, W]: the 0/1 mask with short gaps filled."""
    row, start, end = _runs(mask == 0)
    width = mask.shape[1]
    at_side, empty = (start == 0) | (end == width), (start == 0) & (end == width)
    short = np.where(at_side, end - start <= bridge, end - start <= 2 * bridge) & ~empty
    filled = mask.copy()
    _paint(filled, row[short], start[short], end[short])
    return filled


def long_runs(mask, shortest, grow, out):
    """Runs of not-zero pixels along the rows of mask uint8[H, W] of at least 2 shortest + 1 pixels, lengthened by `grow` at both ends, as 0/1 into out.

    At a side of the picture shortest + 1 pixels are enough: a run may go on beyond it. Raises ValueError for an out of another shape.
    """
    _check_shape(mask, out)
    out[...] = _spread(_long(mask, shortest), grow)


def _check_shape(given, out):
    if out.shape != given.shape:
        raise ValueError(f"the output is {out.shape[0]} x {out.shape[1]}, the input {given.shape[0]} x {given.shape[1]}.")


def _spread(picture, reach):
    """uint8[H, W]: the largest value within `reach` columns, by doubling."""
    height, width = picture.shape
    wide = np.zeros((height, width + 2 * reach), dtype=np.uint8)
    wide[:, reach:reach + width] = picture
    length, window = 1, 2 * reach + 1
    while length < window:
        step = min(length, window - length)
        wide = np.maximum(wide[:, :-step], wide[:, step:])
        length += step
    return wide[:, :width]


def _long(mask, shortest):
    """uint8[H, W]: the runs that are long enough, as 0/1."""
    row, start, end = _runs(mask)
    width = mask.shape[1]
    at_side = (start == 0) | (end == width)
    keep = (end - start >= np.where(at_side, shortest + 1, 2 * shortest + 1)) | ((start == 0) & (end == width))
    kept = np.zeros(mask.shape, dtype=np.uint8)
    _paint(kept, row[keep], start[keep], end[keep])
    return kept


def _paint(picture, row, start, end):
    """Set the stretches [start, end) of the rows to 1."""
    count = end - start
    columns = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    picture[np.repeat(row, count), columns] = 1


DOUBTFUL = 48
"""A group whose trace(G) times the greatest diagonal entry of inv(G) exceeds this counts as ill-conditioned (between cond / layers and cond * layers)."""


def combine_iq(y, h, noise_var, out_symbols, out_sinr):
    """Unbiased LMMSE symbols and their SINR; returns how many ill-conditioned groups were computed again in float64 (here all are computed in it).

    y complex64[symbols, sc, ant]; h complex64[groups, ant, layers], each group for sc / groups neighbouring subcarriers; noise_var float32[ant] above 0;
    out_symbols complex64[symbols, sc, layers] and out_sinr float32[groups, layers] are filled. Symbols of a layer have unit power.
    A = (I + H^H R^-1 H)^-1, symbol_k = (A H^H R^-1 y)_k / (1 - A_kk), SINR_k = 1 / A_kk - 1; a layer that nobody hears gives 0 and 0.
    Raises ValueError where the shapes do not fit.
    """
    (symbols, subcarriers, antennas), (groups, _, layers) = y.shape, h.shape
    if (h.shape[1] != antennas or noise_var.shape != (antennas,) or not groups or subcarriers % groups
            or out_symbols.shape != (symbols, subcarriers, layers) or out_sinr.shape != (groups, layers)):
        shapes = [" x ".join(map(str, array.shape)) for array in (y, h, noise_var, out_symbols, out_sinr)]
        raise ValueError(f"y is {shapes[0]}, h {shapes[1]}, noise_var {shapes[2]} long, the outputs {shapes[3]} and {shapes[4]}: they do not fit.")
    weights, out_sinr[...], recomputed = _lmmse(h.astype(np.complex128), noise_var.astype(np.float64))
    columns = y.reshape(symbols, groups, subcarriers // groups, antennas).swapaxes(0, 1).reshape(groups, -1, antennas)
    found = columns @ weights.swapaxes(1, 2)
    out_symbols[...] = found.reshape(groups, symbols, -1, layers).swapaxes(0, 1).reshape(out_symbols.shape)
    return recomputed


def _lmmse(h, noise_var):
    """Unbiased weights complex128[groups, layers, ant], SINR float64[groups, layers], and how many groups are ill-conditioned."""
    matched = h.conj().swapaxes(1, 2) / noise_var
    gram = matched @ h
    inverse = np.linalg.inv(np.eye(h.shape[2]) + gram)
    left = np.einsum("gkk->gk", inverse).real
    bias = np.einsum("gkj,gjk->gk", inverse, gram).real                      # 1 - left, with more digits where little is heard
    heard = ~(bias < 1e-30)                                                  # NaN stays NaN
    sinr = np.divide(bias, left, out=np.zeros_like(bias), where=heard)
    scale = np.divide(1, bias, out=np.zeros_like(bias), where=heard)
    doubt = (1 + np.einsum("gkk->gk", gram).real).sum(axis=1) * left.max(axis=1)
    return scale[..., None] * (inverse @ matched), sinr, int(np.sum(~(doubt <= DOUBTFUL)))


def combine_planes(y, h, noise_var, groups, out_symbols, out_sinr):
    """The same on blocked planes, for callers inside a chain: no value is moved. 16 neighbouring groups are a block, the last one is padded.

    y float32[symbols, blocks, span, ant, 2, 16], h float32[blocks, ant, layers, 2, 16] (real plane, imaginary plane, each for 16 groups),
    out_symbols float32[symbols, blocks, span, layers, 2, 16], out_sinr float32[blocks, layers, 16]; `span` subcarriers share a group's weights.
    Lanes from `groups` on are padding: any finite values in, undefined out. Raises ValueError where the shapes do not fit.
    """
    (symbols, blocks, span, antennas, _, _), layers = y.shape, h.shape[2]
    if (h.shape != (blocks, antennas, layers, 2, 16) or y.shape[4:] != (2, 16) or noise_var.shape != (antennas,) or groups < 1
            or blocks != (groups + 15) // 16 or out_symbols.shape != (symbols, blocks, span, layers, 2, 16) or out_sinr.shape != (blocks, layers, 16)):
        raise ValueError(f"y holds {blocks} blocks of {antennas} antennas, h {h.shape[0]} of {h.shape[1]} x {layers}, noise_var {len(noise_var)}, "
                         f"for {groups} groups: they, or the outputs, do not fit.")
    rows = _complex_lanes(y).transpose(0, 1, 4, 2, 3).reshape(symbols, blocks * 16, span, antennas)[:, :groups].reshape(symbols, groups * span, antennas)
    channel = _complex_lanes(h).transpose(0, 3, 1, 2).reshape(blocks * 16, antennas, layers)[:groups]
    found, sinr = np.zeros((symbols, blocks * 16, span, layers), np.complex128), np.zeros((blocks * 16, layers))
    flat = np.empty((symbols, groups * span, layers), np.complex128)
    recomputed = combine_iq(rows, channel, noise_var, flat, sinr[:groups])
    found[:, :groups] = flat.reshape(symbols, groups, span, layers)
    lanes = found.reshape(symbols, blocks, 16, span, layers).transpose(0, 1, 3, 4, 2)
    out_symbols[...] = np.stack([lanes.real, lanes.imag], axis=-2)
    out_sinr[...] = sinr.reshape(blocks, 16, layers).swapaxes(1, 2)
    return recomputed


def _complex_lanes(planes):
    """complex128[..., 16] from planes float32[..., 2, 16]."""
    return planes[..., 0, :] + 1j * planes[..., 1, :].astype(np.float64)


def demap_planes(x, sinr, bits, out_llrs):
    """Max-log LLRs ln P(bit = 0) / P(bit = 1) of Gray QAM (3GPP TS 38.211, 5.1.3 to 5.1.6), exact, by folding each axis.

    x float32[symbols, blocks, span, layers, 2, 16] of unit power, sinr float32[blocks, layers, 16] (linear), bits 2, 4, 6 or 8 a symbol;
    out_llrs float32[symbols, blocks, span, layers, bits, 16]. Raises ValueError where the shapes do not fit or for other bits.
    """
    _check_demap(x, sinr, bits, out_llrs)
    amplitude = np.sqrt(1.5 / (2 ** bits - 1))                               # the least of an axis: odd multiples of it are its points
    gain = (np.float32(4 * amplitude) * sinr)[None, :, None, :, None, :]
    value = x
    for bit in range(bits // 2):
        half = 2 ** (bits // 2 - 1 - bit)
        size = np.abs(value)
        slope = size.copy()
        for m in range(1, half):
            slope += np.maximum(size - np.float32(2 * m * amplitude), 0)     # the nearest point of the other bit falls behind by one more
        out_llrs[..., 2 * bit:2 * bit + 2, :] = gain * np.where(value < 0, -slope, slope)
        value = np.float32(half // 2 * 2 * amplitude) - size                 # fold in the middle of the points that are left


def _check_demap(x, sinr, bits, out_llrs):
    if bits not in (2, 4, 6, 8):
        raise ValueError(f"A symbol has 2, 4, 6 or 8 bits, not {bits}.")
    if x.shape[4:] != (2, 16) or sinr.shape != (x.shape[1], x.shape[3], 16) or out_llrs.shape != (*x.shape[:4], bits, 16):
        raise ValueError(f"x is {list(x.shape)}, sinr {list(sinr.shape)}, the output {list(out_llrs.shape)}: they do not fit {bits} bits.")


def demap_planes_int8(x, sinr, bits, step, limit, out_llrs):
    """The same as whole numbers of `step`, rounded to the nearest (halves to even) and held within +-limit, limit 1 to 127; out_llrs int8,
    in one piece from its third axis on."""
    _check_demap(x, sinr, bits, out_llrs)
    _check_limit(limit)
    llrs = np.empty(out_llrs.shape, np.float32)
    demap_planes(x, sinr, bits, llrs)
    out_llrs[...] = np.rint(np.clip(llrs * np.float32(1 / np.float64(np.float32(step))), -limit, limit))


def _check_limit(limit):
    if not 1 <= limit <= 127:
        raise ValueError(f"limit is 1 to 127, not {limit}.")


def add_llrs(one, other, limit, out):
    """one + other, held within +-limit (1 to 127), into out; int8[n] each, out may be one of them. Raises ValueError where the lengths differ."""
    if not len(one) == len(other) == len(out):
        raise ValueError(f"There are {len(one)} and {len(other)} LLRs for {len(out)} places.")
    _check_limit(limit)
    out[...] = np.clip(one.astype(np.int16) + other, -limit, limit)


def bfp_pack(values, bits, out):
    """Block floating point of resource blocks: values int16[n, 24] (I, Q of 12 subcarriers) -> out uint8[n, 1 + 3 bits], bits 2 to 16.

    The first byte is the least exponent with which all 24 fit into `bits` bits after an arithmetic shift right (O-RAN.WG4.CUS annex A.1: udCompParam, exponent
    in its lower four bits), then the mantissas, most significant bit first. Raises ValueError where the shapes do not fit.
    """
    _check_bfp(values.shape, out.shape, bits)
    seen = np.bitwise_or.reduce(values ^ (values >> 15), axis=1)             # as many bits as the largest magnitude, -2^n counting as 2^n - 1
    exponent = np.maximum(np.frexp(seen.astype(np.float64))[1] + 1 - bits, 0)
    mantissas = (values >> exponent[:, None].astype(np.int16)).astype(np.uint16)
    ones = (mantissas[:, :, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint16)) & 1
    out[:, 0] = exponent
    out[:, 1:] = np.packbits(ones.astype(np.uint8).reshape(len(values), -1), axis=1)


def bfp_unpack(packed, bits, out):
    """The way back: out int16[n, 24] = mantissa 2^exponent of packed uint8[n, 1 + 3 bits]; held within int16 where the exponent is none that packing makes."""
    _check_bfp(out.shape, packed.shape, bits)
    out[...] = np.clip(_mantissas(packed, bits) << (packed[:, :1] & 15).astype(np.int32), -32768, 32767)


def _mantissas(packed, bits):
    """int32[n, 24], signed."""
    ones = np.unpackbits(packed[:, 1:], axis=1).reshape(len(packed), 24, bits)
    return ones[:, :, 1:] @ (1 << np.arange(bits - 2, -1, -1, dtype=np.int32)) - (ones[:, :, 0].astype(np.int32) << (bits - 1))


def _check_bfp(values, packed, bits):
    if not 2 <= bits <= 16:
        raise ValueError(f"A mantissa has 2 to 16 bits, not {bits}.")
    if values[0] != packed[0] or values[1] != 24 or packed[1] != 1 + 3 * bits:
        raise ValueError(f"The values are {values[0]} x {values[1]}, the packed ones {packed[0]} x {packed[1]}: "
                         f"{bits} bits want 24 and {1 + 3 * bits} in a row.")


def bfp_planes(packed, bits, scale, out):
    """Packed resource blocks straight into blocked planes, times `scale`: what combine_planes takes.

    packed uint8[symbols, ant, prbs, 1 + 3 bits], each block in one piece; out float32[symbols, blocks, span, ant, 2, 16]:
    12 prbs = groups x span subcarriers in ceil(groups / 16) blocks, lanes beyond the last group repeat it. Raises ValueError where the shapes do not fit.
    """
    (symbols, antennas, prbs, width), (_, blocks, span) = packed.shape, out.shape[:3]
    _check_bfp((prbs, 24), (prbs, width), bits)
    groups = 12 * prbs // span if span else 0
    if not groups or groups * span != 12 * prbs or blocks != -(-groups // 16) or out.shape != (symbols, blocks, span, antennas, 2, 16):
        raise ValueError(f"{symbols} x {antennas} x {prbs} resource blocks do not fit planes of {out.shape[0]} symbols, {blocks} blocks, "
                         f"{span} subcarriers a group and {out.shape[3]} antennas.")
    flat = packed.reshape(-1, width)
    weight = np.float32(scale) * (1 << (flat[:, :1] & 15).astype(np.int32)).astype(np.float32)
    values = (_mantissas(flat, bits).astype(np.float32) * weight).reshape(symbols, antennas, groups, span, 2)
    lanes = values[:, :, np.minimum(np.arange(16 * blocks), groups - 1)].reshape(symbols, antennas, blocks, 16, span, 2)
    out[...] = lanes.transpose(0, 2, 4, 1, 5, 3)


def solve_tridiagonal(lower, diagonal, upper, rhs, out=None):
    """Thomas algorithm: solve T x = rhs for one system or a batch; writes and returns `out` (made when None).

    diagonal float64[n] or [batch, n], lower and upper float64[..., n - 1] beside it, rhs float64[..., n] or [..., n, k]; each in one piece. `upper` may be `lower`
    (a symmetric system). No pivoting: meant for diagonally dominant or positive definite systems. O(batch n k) time.
    Raises ValueError where the shapes do not fit, ArithmeticError where a pivot is 0 or something is not finite.
    """
    found = np.empty_like(rhs) if out is None else out
    shape, fits = diagonal.shape, len(diagonal.shape) in (1, 2) and diagonal.shape[-1] > 0
    if not (fits and lower.shape == upper.shape == (*shape[:-1], shape[-1] - 1) and rhs.shape[:len(shape)] == shape and rhs.ndim <= len(shape) + 1
            and found.shape == rhs.shape):
        raise ValueError("lower and upper are [..., n - 1] beside the diagonal [..., n], rhs and out [..., n] or [..., n, k]: these shapes do not fit.")
    n, batch, columns = shape[-1], shape[0] if len(shape) == 2 else 1, rhs.shape[-1] if rhs.ndim > len(shape) else 1
    low, mid, up = (np.moveaxis(values.reshape(batch, values.shape[-1]), -1, 0) for values in (lower, diagonal, upper))
    right = np.moveaxis(rhs.reshape(batch, n, columns), 1, 0)
    ratio, left = np.empty(mid.shape), np.empty(right.shape)
    with np.errstate(all="ignore"):
        inverse = 1 / mid[0]
        left[0] = right[0]
        ratio[0] = inverse
        for i in range(1, n):
            factor = low[i - 1] * inverse
            inverse = 1 / (mid[i] - factor * up[i - 1])
            left[i] = right[i] - factor[:, None] * left[i - 1]
            ratio[i] = inverse
        left[n - 1] *= ratio[n - 1][:, None]
        for i in range(n - 2, -1, -1):
            left[i] = left[i] * ratio[i][:, None] - (up[i] * ratio[i])[:, None] * left[i + 1]
    if not (np.isfinite(ratio).all() and np.isfinite(left).all()):
        raise ArithmeticError("A pivot is 0, or a value is not finite.")
    found[...] = np.moveaxis(left, 0, 1).reshape(rhs.shape)
    return found
