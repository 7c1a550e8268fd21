"""The hand-written baselines: the right result on the recorded inputs, each intrinsic helper the same as the loop beside it, and the limits of this core."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from core.compiler import roofline, toolchain
from core.compiler.hand import build, weights
from core.errors import EngineError

HELPERS = r"""
#include "polynomials.h"
extern "C" void run(const float* in, float* out) {
    Vec a[16], b = load(in), c = load(in + 16), d = load_first(in + 32, 5);
    for (int i = 0; i < 16; ++i) a[i] = load(in + 16 * i);
    const Vec made[] = {add(b, c), sub(b, c), mul(b, c), quotient(b, c), fma(b, c, d), fnma(b, c, d), max(b, c), min(b, c), root(mul(b, b)), nearest(b),
                        times_power_of_two(b, nearest(c)), relu(b), exp2(b), gelu(b), same(sum(b)), same(greatest(b)), sum_each(a)};
    for (const Vec& v : made) { store(out, v); out += 16; }
    store_first(out, b, 3), out += 16;
    transpose(a);
    for (int i = 0; i < 16; ++i) store(out + 16 * i, a[i]);
}
int main() {
    static float in[256], out[1024];
    if (fread(in, 4, 256, stdin) != 256) return 1;
    run(in, out);
    return fwrite(out, 4, 1024, stdout) != 1024;
}
"""


@pytest.fixture(scope="module")
def expert() -> None:
    """Skips where hand-written AVX-512 cannot be compiled or run."""
    try:
        toolchain.compiler()
    except EngineError as error:
        pytest.skip(str(error))
    if "avx512" not in {target.name for target in toolchain.targets()}:
        pytest.skip("this processor has no AVX-512")


def test_helpers_equal_the_loops_beside_them(expert: None, tmp_path: Path) -> None:
    (tmp_path / "helpers.cpp").write_text("#include <cstdio>\n" + HELPERS)
    numbers = np.random.default_rng(0).standard_normal(256).astype(np.float32) * 2
    made = []
    for name, options in (("vectors", build.TARGETS["avx512"].flags), ("loops", ("-DPLAIN_LOOPS", "-mfma"))):
        command = [toolchain.compiler().path, "-O1", "-std=c++17", "-ffp-contract=off", *options, "-w", "-I", str(build.FOLDER), "helpers.cpp", "-o", name]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        done = subprocess.run([str(tmp_path / name)], input=numbers.tobytes(), capture_output=True, check=True, timeout=20)
        made.append(np.frombuffer(done.stdout, np.float32))
    sums = np.r_[14 * 16:17 * 16]                                    # added in another order
    np.testing.assert_allclose(made[0][sums], made[1][sums], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(np.delete(made[0], sums), np.delete(made[1], sums))
    np.testing.assert_allclose(made[0][12 * 16:13 * 16], np.exp2(numbers[:16]), rtol=3e-7)
    np.testing.assert_array_equal(made[0][18 * 16:34 * 16].reshape(16, 16), numbers.reshape(16, 16).T)


@pytest.mark.parametrize(("name", "baseline", "exporter", "error"), [("mlp_beam", "hand", "dynamo", 5e-7), ("mlp_beam", "plain hand", "torchscript", 5e-7),
                                                                   ("cnn_chest", "hand", "dynamo", 2e-6), ("tr_csi", "hand", "torchscript", 1e-6)])
def test_baseline_gives_the_recorded_output(expert: None, shared_data: Path, tmp_path: Path, name: str, baseline: str, exporter: str, error: float) -> None:
    folder = shared_data / "compiler"
    built = build.build((folder / exporter / f"{name}.onnx").read_bytes(), baseline, tmp_path, ("-O0",))
    program = built.programs[0]
    x, y = (np.fromfile(folder / f"{name}.{side}.bin", np.float32) for side in ("in", "out"))
    done = toolchain.call(built, {program.name: [x.reshape(program.inputs[0].shape)]})[program.name]
    assert not done.failure and not done.allocations
    assert np.abs(done.outputs[0].ravel() - y).max() <= error * np.abs(y).max()


def test_both_exporters_pack_the_same_weights(shared_data: Path) -> None:
    for name, model in weights.MODELS.items():
        files = [(shared_data / "compiler" / exporter / f"{name}.onnx").read_bytes() for exporter in ("dynamo", "torchscript")]
        assert [weights.recognise(data) for data in files] == [name, name]
        for packing in ("hand", "plain hand", "naive"):
            first, second = (weights.pack(name, packing, data) for data in files)
            np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6, err_msg=f"{name} {packing}")
            assert first.size % weights.LANES == 0


def test_another_model_is_none_of_the_six(tmp_path: Path) -> None:
    assert weights.recognise(b"not a model") is None
    with pytest.raises(EngineError, match="none of them"):
        build.build(b"not a model", "hand", tmp_path)


def test_limit_is_the_slower_of_arithmetic_and_weights() -> None:
    machine = roofline.Roofline(100.0, (200.0, 100.0, 50.0), (32 << 10, 1 << 20, 1 << 25), "avx512")
    assert roofline.limit(roofline.Work(10_000, 20_000), machine) == roofline.Limit(pytest.approx(0.2), "multiply-adds")
    assert roofline.limit(roofline.Work(25_000, 100_000), machine) == roofline.Limit(pytest.approx(1.0), "weights from L2")
    assert roofline.limit(roofline.Work(0, 2_000_000), machine) == roofline.Limit(pytest.approx(40.0), "weights from L3")


def test_winograd_counts_fewer_products_than_direct_convolution() -> None:
    direct = {"cnn_chest": 4752384, "cnn_deeprx": 56448000}
    for name, count in direct.items():
        assert 0.2 * count < build.multiplies(name) < 0.3 * count
    assert build.multiplies("mlp_beam") == 6400 and build.multiplies("tr_csi") == 516096 and build.multiplies("tr_2x32") == 3481600
