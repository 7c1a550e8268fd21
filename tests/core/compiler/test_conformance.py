"""The conformance score: the onnx package's own tests through importer, passes, generator and compiler; every third node test here, all of them in the benchmark."""

import pytest

from core.compiler import toolchain
from core.errors import EngineError
from tests.core.compiler.conformance import PASSED, REFUSED, WRONG, converted_cases, node_cases, score


@pytest.fixture(scope="module", autouse=True)
def a_compiler():
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("cases", "least", "of"), [(lambda: node_cases()[::3], 75, 77), (converted_cases, 80, 82)], ids=["node", "pytorch-converted"])
def test_score(cases, least: int, of: int, tmp_path) -> None:
    scored = score(cases(), tmp_path, toolchain.targets()[0])
    by = {verdict: [s for s in scored if s.verdict == verdict] for verdict in (PASSED, REFUSED, WRONG)}
    assert by[WRONG] == []
    assert len(scored) >= of and len(by[PASSED]) >= least
    assert all(s.reason.endswith((".", "?")) and len(s.reason) > 30 for s in by[REFUSED])
