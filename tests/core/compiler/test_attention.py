"""Attention kernels against the definition: head layouts, lane orders, masks and odd sizes, on each target this machine runs."""

import numpy as np
import pytest

from core.compiler import toolchain
from core.compiler.graph import COLUMNS, ROWS
from core.compiler.lower import attention
from core.compiler.lower.variant import TARGETS
from core.errors import EngineError
from tests.core.compiler.kernels import offered, worst
from tests.core.compiler.test_lower import one


@pytest.fixture(scope="module", autouse=True)
def a_compiler():
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))


def heads(shapes, out, kind, count, layout=ROWS, mask=None, scale=0.3):
    return one("Attention", shapes, out, (layout,) * len(shapes), layout, constants={} if mask is None else {"m": mask}, head_layout=kind, heads=count, scale=scale)


def causal(size: int) -> np.ndarray:
    return np.triu(np.full((size, size), -np.inf, np.float32), 1)


GRAPHS = {
    "packed rows": heads([(1, 14, 192)], (1, 14, 64), "packed", 4),
    "packed rows, odd, two sets, causal": heads([(2, 19, 45)], (2, 19, 15), "packed", 3, mask=causal(19)),
    "merged rows, other keys": heads([(1, 5, 24), (1, 33, 24), (1, 33, 20)], (1, 5, 20), "merged", 2),
    "heads": heads([(2, 3, 6, 20), (2, 3, 9, 20), (2, 3, 9, 7)], (2, 3, 6, 7), "heads", 3, mask=np.linspace(-1, 1, 54, dtype=np.float32).reshape(6, 9)),
    "packed columns": heads([(1, 32, 96)], (1, 32, 32), "packed", 2, COLUMNS),
    "merged columns, odd, mask": heads([(1, 21, 10), (1, 11, 10), (1, 11, 6)], (1, 21, 6), "merged", 2, COLUMNS, mask=np.linspace(-2, 2, 11, dtype=np.float32)),
}


@pytest.mark.parametrize("target", ["avx512", "avx2", "scalar"])
def test_variants_agree_with_the_definition(target, tmp_path):
    if TARGETS[target] not in toolchain.targets():
        pytest.skip(f"this processor has no {target}")
    errors = worst(GRAPHS, TARGETS[target], [attention.lower], tmp_path, most=2 if target == "avx512" else 1)
    assert len(errors) >= len(GRAPHS) and max(errors.values()) < 2e-6, errors


def test_a_mask_that_is_computed_is_left_to_others():
    graph = one("Attention", [(1, 4, 12), (4, 4)], (1, 4, 4), head_layout="packed", heads=1, scale=1.0)
    assert not offered(graph, TARGETS["avx512"], [attention.lower])
