"""Dense kernels: every variant against the definition, over odd sizes, lane orders and epilogues, on each target this machine runs; vector helpers against their loops."""

import subprocess

import numpy as np
import pytest

from core.compiler import toolchain
from core.compiler.emit import template
from core.compiler.graph import COLUMNS, ROWS
from core.compiler.lower import dense
from core.compiler.lower.epilogue import packed, tiles
from core.compiler.lower.variant import TARGETS
from core.errors import EngineError
from tests.core.compiler.kernels import offered, worst
from tests.core.compiler.test_lower import one, weights


@pytest.fixture(scope="module", autouse=True)
def a_compiler():
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))


def layer(x, n, layouts=(), out_layout=ROWS, bias=True, extra=(), second=None, **attributes):
    """A Dense over constant weights; `extra` are the shapes of residual and row_scale (None: absent)."""
    constants = {"w": weights(x[-1], n)} | ({"b": weights(n)} if bias else {})
    graph = one("Dense", [x, *extra], (*x[:-1], n), layouts, out_layout, constants=constants, second=second, **({"activation": "none"} | attributes))
    node = next(i for i in graph.nodes if i.op == "Dense")
    ordered = ("x0", "w", "b" if bias else "", *(f"x{k + 1}" if shape is not None else "" for k, shape in enumerate(extra)))
    nodes = tuple(n if n is not node else type(n)(n.op, ordered, n.outputs, n.attributes) for n in graph.nodes)
    return graph.with_nodes(nodes)


GRAPHS = {
    "one row": layer((1, 33), 45, activation="relu"),
    "one row, few outputs, no bias": layer((1, 7), 3, bias=False),
    "one row, residual": layer((1, 20), 150, extra=((1, 150),), activation=("leaky_relu", 0.1), residual_before_activation=True),
    "one row, everything": layer((1, 37), 20, extra=((1, 20), (1, 1)), activation="tanh"),
    "one row, whole registers": layer((1, 64), 12),
    "rows": layer((14, 24), 64, activation="gelu"),
    "rows, everything": layer((2, 7, 33), 45, extra=((2, 7, 45), (2, 7, 1)), second=(2, 7, 1), activation="tanh"),
    "rows, wide": layer((5, 18), 70, activation=("clip", -0.5, 0.5)),
    "columns": layer((1, 32, 20), 28, (COLUMNS, COLUMNS), COLUMNS, extra=((1, 32, 28), (1, 32, 1)), second=(1, 32, 1), activation="gelu_tanh"),
    "columns, odd": layer((1, 19, 9), 5, (COLUMNS,), COLUMNS, activation="sigmoid"),
    "rows to columns": layer((1, 18, 24), 34, (), COLUMNS),
    "columns to rows": layer((20, 17), 12, (COLUMNS,), ROWS, activation="relu"),
}


@pytest.mark.parametrize("target", ["avx512", "avx2"])
def test_variants_agree_with_the_definition(target, tmp_path):
    if TARGETS[target] not in toolchain.targets():
        pytest.skip(f"this processor has no {target}")
    graphs = GRAPHS if target == "avx512" else {k: g for k, g in GRAPHS.items() if k in ("one row, everything", "rows, everything", "columns", "columns to rows")}
    errors = worst(graphs, TARGETS[target], [dense.lower], tmp_path, most=9 if target == "avx512" else 3)
    assert len(errors) >= len(graphs) and max(errors.values()) < 2e-6, errors


def test_an_identity_is_exact_and_padding_is_zero():
    w = np.eye(5, 7, dtype=np.float32)
    blocks = packed(w, 8, 4)
    assert blocks.size == 5 * 8 and np.array_equal(blocks.reshape(5, 8)[:, :7], w) and not blocks.reshape(5, 8)[:, 7:].any()


def test_blocks_never_exceed_the_registers():
    for rows, registers in ((1, 1), (14, 12), (168, 2), (33, 5)):
        found = tiles(rows, registers, 28, 14, 4)
        assert found and all(r * v <= 28 and r <= rows and v <= registers for r, v in found)


def test_only_small_layers_are_unrolled():
    def names(depth, width, target="avx512"):
        return " ".join(offered(layer((1, depth), width), TARGETS[target], [dense.lower]))
    assert "crossed 4x2" in names(64, 64) and "dots" in names(64, 12) and "dots" not in names(64, 64)
    assert "crossed" in names(64, 128) and "crossed" not in names(64, 129) + names(128, 128) + names(64, 128, "avx2")
    assert not any("crossed" in name for name in offered(GRAPHS["rows"], TARGETS["avx512"], [dense.lower]))


def test_what_the_kernels_do_not_take_is_left_to_others():
    computed = one("Dense", [(3, 8), (8, 4)], (3, 4), activation="none")
    assert not offered(computed, TARGETS["avx512"], [dense.lower])
    assert not offered(GRAPHS["rows"], TARGETS["scalar"], [dense.lower])


PROBE = """
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <immintrin.h>
namespace {
%s
}
int main() {
    vec v[VEC_LANES];
    for (int k = -40; k < 40; ++k) {
        vec a, b;
        EACH_LANE { a[l] = 0.173f * k + 0.31f * l - 2; b[l] = 0.7f * l - 3.5f; }
        const vec results[] = {vec_max(a, b), vec_min(a, b), vec_where_greater(a, b, a, b), vec_sqrt(vec_abs(a)), vec_signed(a, b), vec_round(a), vec_first(a, 3), vec_load_first((float*)&b, 5),
                               math_exp2(a), math_exp(a), math_sigmoid(a), math_tanh(a), math_erf(a), math_gelu(a), math_gelu_tanh(a), vec_fma(a, b, a), vec_fnma(a, b, a)};
        for (const vec& r : results) EACH_LANE printf("%%.9g\\n", r[l]);
        printf("%%.9g\\n", vec_sum(a));
        for (int i = 0; i < VEC_LANES; ++i) v[i] = a + (float)i * b;
        vec_transpose(v);
        for (int i = 0; i < VEC_LANES; ++i) EACH_LANE printf("%%.9g\\n", v[i][l]);
        float stored[VEC_LANES] = {};
        vec_store_first(stored, a, 7 %% VEC_LANES);
        EACH_LANE printf("%%.9g\\n", stored[l]);
    }
}
"""


@pytest.mark.parametrize("target", ["avx512", "avx2"])
def test_every_helper_does_what_its_loop_says(target, tmp_path):
    if TARGETS[target] not in toolchain.targets():
        pytest.skip(f"this processor has no {target}")
    (tmp_path / "probe.cpp").write_text(PROBE % (template("math_vec.h") + template("math_functions.h")), "utf8")
    said = []
    for plain in ("-UVEC_PLAIN", "-DVEC_PLAIN"):
        command = [toolchain.compiler().path, "-O1", "-std=c++17", "-ffp-contract=off", "-w", f"-DVEC_LANES={TARGETS[target].lanes}", plain, *TARGETS[target].flags, "probe.cpp", "-o", "probe"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
        said.append(np.array(subprocess.run([tmp_path / "probe"], capture_output=True, check=True, timeout=60, text=True).stdout.split(), np.float64))
    assert said[0].size == said[1].size > 1000
    assert np.all(np.abs(said[0] - said[1]) <= 5e-7 * np.maximum(np.abs(said[1]), 1))
