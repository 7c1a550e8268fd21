"""Convolution kernels: direct, depthwise, heads and Winograd against the definition, over odd sizes, layouts, borders and epilogues, on each target this machine runs."""

import numpy as np
import pytest

from core.compiler import toolchain
from core.compiler.graph import CHANNELS_LAST, ROWS, Node
from core.compiler.lower import conv, winograd
from core.compiler.lower.variant import TARGETS
from core.errors import EngineError
from tests.core.compiler.kernels import offered, worst
from tests.core.compiler.test_lower import one, weights

LAST = CHANNELS_LAST


@pytest.fixture(scope="module", autouse=True)
def a_compiler():
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))


def layer(x, w, layout=LAST, out_layout=LAST, residual=False, second=False, **more):
    """A Conv over constant weights with bias; its output size follows from the window."""
    n = len(x) - 2
    about = {"strides": (1,) * n, "pads": (0,) * 2 * n, "dilations": (1,) * n, "group": 1, "activation": "none"} | more
    space = zip(x[2:], about["pads"][:n], about["pads"][n:], w[2:], about["dilations"], about["strides"])
    out = (x[0], w[0], *((s + a + b - d * (k - 1) - 1) // t + 1 for s, a, b, k, d, t in space))
    constants = {"w": weights(*w), "b": weights(w[0])} | ({"g": weights(w[0]), "h": weights(w[0])} if second else {})
    graph = one("Conv", [x, *([out] if residual else [])], out, (layout, out_layout), out_layout, constants=constants, second=out if second else None, **about)
    names = ("x0", "w", "b", "x1" if residual else "", *(("g", "h") if second else ()))
    return graph.with_nodes(tuple(Node(n.op, names, n.outputs, n.attributes) if n.op == "Conv" else n for n in graph.nodes))


DIRECT = {
    "3 by 3": layer((1, 20, 9, 17), (40, 20, 3, 3), pads=(1, 1, 1, 1), activation="relu"),
    "3 by 3 from planes": layer((1, 2, 6, 14), (18, 2, 3, 3), ROWS, pads=(1, 1, 1, 1), activation="gelu"),
    "planes to planes, two pictures": layer((2, 3, 7, 8), (5, 3, 3, 3), ROWS, ROWS, pads=(1, 0, 1, 2)),
    "step 2, two results": layer((1, 16, 9, 11), (16, 16, 3, 3), residual=True, second=True, pads=(1, 1, 1, 1), strides=(2, 2), second_activation="relu"),
    "dilated 5 by 2": layer((1, 7, 13, 12), (9, 7, 5, 2), pads=(4, 1, 4, 1), dilations=(2, 2), activation=("leaky_relu", 0.2), residual=True, residual_before_activation=True),
    "a line": layer((2, 6, 23), (33, 6, 3), strides=(2,), pads=(1, 2), dilations=(2,)),
    "1 by 1": layer((1, 24, 5, 7), (34, 24, 1, 1), activation="relu"),
    "wide pads, few columns": layer((1, 4, 3, 2), (6, 4, 5, 5), pads=(2, 2, 2, 2)),
    "head": layer((2, 20, 5, 7), (3, 20, 1, 1), LAST, ROWS, activation="sigmoid"),
    "depthwise": layer((1, 20, 8, 11), (20, 1, 3, 3), pads=(1, 1, 1, 1), group=20, activation="relu"),
    "depthwise planes, step 2": layer((1, 9, 7, 8), (9, 1, 3, 3), ROWS, ROWS, pads=(1, 1, 1, 1), strides=(2, 2), group=9),
}
WINOGRAD = {
    "12 by 14": layer((1, 16, 12, 14), (32, 16, 3, 3), pads=(1, 1, 1, 1), activation="relu"),
    "odd, two results": layer((1, 20, 9, 7), (24, 20, 3, 3), residual=True, second=True, pads=(1, 1, 1, 1), second_activation="relu"),
    "no border, planes, two pictures": layer((2, 9, 8, 11), (12, 9, 3, 3), ROWS, ROWS, pads=(0, 0, 0, 0), activation="relu"),
}


@pytest.mark.parametrize("target", ["avx512", "avx2"])
def test_direct_kernels_agree_with_the_definition(target, tmp_path):
    if TARGETS[target] not in toolchain.targets():
        pytest.skip(f"this processor has no {target}")
    graphs = DIRECT if target == "avx512" else {k: g for k, g in DIRECT.items() if k in ("step 2, two results", "3 by 3 from planes", "head", "depthwise")}
    errors = worst(graphs, TARGETS[target], [conv.lower], tmp_path, most=2 if target == "avx512" else 1)
    assert len(errors) >= len(graphs) and max(errors.values()) < 2e-6, errors


@pytest.mark.parametrize("target", ["avx512", "avx2"])
def test_winograd_agrees_within_its_stated_error(target, tmp_path):
    if TARGETS[target] not in toolchain.targets():
        pytest.skip(f"this processor has no {target}")
    graphs = WINOGRAD if target == "avx512" else {"odd, two results": WINOGRAD["odd, two results"]}
    errors = worst(graphs, TARGETS[target], [winograd.lower], tmp_path, at_end=False, most=3 if target == "avx512" else 2)
    assert len(errors) > len(graphs)
    for what, error in errors.items():
        assert error < (2e-6 if "6" not in what.split("winograd")[1] else 1e-5), (what, error)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_transforms_give_the_convolution(k):
    """A^T ((G g) * (B^T d)) = conv(d, g) along one axis, with B and A written out from the points in double."""
    points = [0.0, *(s * p for p in winograd.POINTS[k] for s in (1, -1))]
    n, m = 2 * k + 2, 2 * k
    roots = np.polynomial.polynomial.polyfromroots(points)
    rows = [np.polynomial.polynomial.polyfromroots([q for q in points if q != p]) for p in points]
    b = np.array([np.pad(rows[0], (0, n - len(rows[0]))), roots, *(np.pad(r, (0, n - len(r))) for r in rows[1:])])
    a = np.array([[1.0 if i == 0 else 0.0, float(i == m - 1), *(p**i for p in points[1:])] for i in range(m)])
    random = np.random.default_rng(1)
    d, g = random.standard_normal(n), random.standard_normal(3)
    assert np.allclose(a @ ((winograd.transform(k) @ g) * (b @ d)), np.correlate(d, g, "valid"), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [2, 3, 5, 12, 14, 72])
def test_covers_reach_every_output_once(size):
    for parts in winograd.axis_covers(size):
        covered = sum(2 * k * tiles for k, tiles in parts)
        assert size <= covered < size + 2 * parts[-1][0]


def test_what_the_kernels_do_not_take_is_left_to_others():
    grouped = layer((1, 6, 9, 11), (9, 2, 3, 2), pads=(1, 0, 1, 0), group=3)
    assert not offered(grouped, TARGETS["avx512"], [conv.lower, winograd.lower])
    assert not offered(DIRECT["1 by 1"], TARGETS["avx512"], [winograd.lower])
    assert not offered(DIRECT["1 by 1"], TARGETS["scalar"], [conv.lower, winograd.lower])
