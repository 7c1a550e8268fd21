"""The race: rows for everybody, reasons for those who cannot run, and arithmetic of errors and histograms."""

from pathlib import Path

import numpy as np
import pytest

from core.compiler import toolchain
from core.compiler.emit import Program
from core.compiler.graph import Tensor
from core.compiler.lower.variant import TARGETS
from core.compiler.race import OURS, RUNTIME, Effort, Runtime, _copy_model, race, relative_error, timing_of
from core.compiler.roofline import Roofline, Work
from core.errors import EngineError

SHORT = Effort(rounds=2, blocks=2, block_us=20.0, runs=20, seconds=0.05)
MACHINE = Roofline(100.0, (200.0, 100.0, 50.0), (32 << 10, 1 << 20, 1 << 25), "scalar")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, toolchain.Built]:
    """Programs of one number: one that copies it, one that is off by one, one that crashes."""
    bodies = {"right": "*(float*)out[0] = *(const float*)in[0];", "wrong": "*(float*)out[0] = *(const float*)in[0] + 1;", "crash": "*(volatile int*)0 = 0;"}
    made = {}
    for name, body in bodies.items():
        text = f'extern "C" void {name}_infer_in(void*, const void* const* in, void* const* out) {{ {body} }}\n'
        program = Program(name, TARGETS["scalar"], text, "", b"", "", (), (Tensor("x", (1,)),), (Tensor("y", (1,)),), (), {}, 0)
        try:
            made[name] = toolchain.compile_program(program, tmp_path_factory.mktemp(name), "-O1")
        except EngineError as error:
            pytest.skip(str(error))
    return made


def test_everybody_has_a_row(copies: dict[str, toolchain.Built], tmp_path: Path) -> None:
    published, said = [], []
    found = race(_copy_model(), copies["right"], tmp_path, Work(1, 4), MACHINE, SHORT, more={"off by one": copies["wrong"], "crashes": copies["crash"]},
                 progress=lambda share, text: said.append(share), publish=published.append)
    rows = {row.name: row for row in found.rows}
    assert {OURS, RUNTIME, "off by one", "crashes"} == set(rows)
    assert "crash" in rows["crashes"].failure and found.rows[-1].name == "crashes" and not rows["crashes"].best_us
    assert rows[OURS].error == 0 and rows["off by one"].error > 0
    for name in (OURS, RUNTIME, "off by one"):
        row = rows[name]
        assert 0 < row.best_us <= row.median_us and row.p999_us <= row.worst_us and sum(row.histogram[1]) == row.runs == 20
        assert row.limit_share == pytest.approx(found.limit.us / row.best_us)
    assert rows[OURS].times_ours is None and rows[RUNTIME].times_ours[1] <= rows[RUNTIME].times_ours[0] <= rows[RUNTIME].times_ours[2]
    assert len(published) == SHORT.rounds + 3 and all(len(part) == 4 for part in published)
    assert said == sorted(said) and found.overhead_us > 0


def test_our_own_failure_is_an_error(copies: dict[str, toolchain.Built], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="crash"):
        race(_copy_model(), copies["crash"], tmp_path, effort=SHORT, names=[])


def test_what_onnxruntime_cannot_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="could not run this model"):
        Runtime(b"not a model", [np.zeros(1, np.float32)], tmp_path, -1)


def test_relative_error() -> None:
    assert relative_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == 0.5
    assert relative_error(np.array([np.nan]), np.array([1.0])) == np.inf
    assert relative_error(np.zeros((2, 2)), np.zeros(4)) == 0


def test_histogram_counts_every_call() -> None:
    found = timing_of([3.0, 1.0, 2.0, 100.0])
    assert (found.best_us, found.worst_us, sum(found.histogram[1])) == (1.0, 100.0, 4)
