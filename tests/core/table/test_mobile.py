"""The mobile model: the shipped graphs read what the full model reads, refuse what they are not, and are made of the shipped weights."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from core.errors import EngineError
from core.table import mobile, mobile_export
from core.table.decode import heads_answer, to_input
from core.table.heads import fitting, inked
from core.table.mobile_export import digest, folded, labelled, parity, quantised
from core.table.model import TableNet, load_weights
from core.table.train import WEIGHTS
from tests.core.table.test_model import TINY

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def reader() -> mobile.MobileReader:
    return mobile.load()


def ruled(rows: int, cols: int, joined: bool = False) -> np.ndarray:
    """A grid with a word in each cell; with `joined`, the first row is one cell."""
    picture = np.full((40 * rows + 21, 110 * cols + 21), 255, np.uint8)
    for r in range(rows + 1):
        picture[10 + 40 * r, 10:11 + 110 * cols] = 0
    for k in range(cols + 1):
        inner = joined and 0 < k < cols
        picture[10 + 40 * inner:11 + 40 * rows, 10 + 110 * k] = 0
    for r in range(rows):
        for k in range(1 if joined and r == 0 else cols):
            cv2.putText(picture, f"word {r}{k}", (20 + 110 * k, 37 + 40 * r), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
    return picture


def test_no_torch_is_loaded():
    code = "import sys, core.table.mobile as m; m.load(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}).returncode == 0


@pytest.mark.parametrize("turn", [lambda grey: grey, lambda grey: 255 - grey], ids=["dark on light", "light on dark"])
def test_a_plain_grid_is_read(reader, turn):
    answer = reader.read(turn(ruled(6, 4)))
    assert (answer.table.rows, answer.table.cols) == (6, 4) and all(c.rowspan == c.colspan == 1 for c in answer.table.cells)
    assert 0.25 < answer.confidence <= 1


def test_it_says_what_the_full_model_says(reader):
    """At the same input size: separators within two pixels, the same table."""
    grey = ruled(7, 5)
    with torch.inference_mode():
        net = load_weights(WEIGHTS)
        full = heads_answer(net, net.encoder(to_input(grey, reader.size(*grey.shape))))
    small = reader.read(grey)
    assert small.table == full.table
    assert np.abs(small.ys - full.ys).max() <= 2 and np.abs(small.xs - full.xs).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (700, 12), (59, 238)])
def test_any_picture_gives_a_legal_table(reader, shape):
    for grey in (np.full(shape, 255, np.uint8), np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)):
        answer = reader.read(grey)
        height, width = reader.size(*shape)
        assert 0 <= answer.ys[0] <= answer.ys[-1] <= height and 0 <= answer.xs[0] <= answer.xs[-1] <= width
        assert (answer.table.rows, answer.table.cols) == (len(answer.ys) - 1, len(answer.xs) - 1) == answer.places.shape
        assert 0 <= answer.places.min() <= answer.places.max() <= 1


def test_a_missing_and_a_broken_file_are_refused(tmp_path):
    with pytest.raises(EngineError, match="no mobile weights absent.onnx"):
        mobile.load(tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(EngineError, match="broken.onnx cannot be loaded"):
        mobile.load(broken)
    with pytest.raises(EngineError, match="at which scale"):
        mobile.load(mobile.MERGE)


def test_the_graphs_are_of_the_shipped_weights(reader):
    """Otherwise: python -m core.table.mobile_export."""
    assert reader.source == digest(WEIGHTS)
    assert reader.source in mobile_export.CARD.read_text("utf8") and f"8 bits, {reader.scale} (shipped)" in mobile_export.CARD.read_text("utf8")


def test_the_graphs_are_small_and_name_no_machine():
    held = [path.read_bytes() for path in (mobile.ENCODER, mobile.MERGE)]
    assert sum(map(len, held)) < 10_000_000
    assert not any(word in data for data in held for word in (str(ROOT).encode(), b"site-packages", b"core/table"))


def test_a_digest_is_of_what_a_file_holds(tmp_path):
    arrays = dict(a=np.arange(6, dtype=np.float16), b=np.ones(2))
    np.savez(tmp_path / "plain.npz", **arrays)
    np.savez_compressed(tmp_path / "packed.npz", **dict(reversed(arrays.items())))
    np.savez(tmp_path / "other.npz", a=arrays["a"] + 1, b=arrays["b"])
    one, same, other = (digest(tmp_path / f"{name}.npz") for name in ("plain", "packed", "other"))
    assert one == same != other


def test_the_card_tells_every_way_on_every_set():
    one = dict(teds_struct=90.0, struct100=50.0, n=4, same=75.0)
    figures = {name: {"full: heads and decoder": one | dict(ms=100.0), f"graphs, 8 bits, {mobile_export.SCALE}": one | dict(ms=20.0)} for name in ("first", "second")}
    text = mobile_export.card(figures, 1e-5, "abc")
    assert "| way | first (4) | second (4) |" in text and "(shipped) | 90.00 / 50.0; 20 ms; 75 % | 90.00 / 50.0; 20 ms; 75 % |" in text
    assert "first 5.0, second 5.0" in text and "1.0e-05" in text and "abc" in text


def test_folding_the_normalisation_changes_nothing():
    torch.manual_seed(2)
    net = TableNet(TINY)
    with torch.inference_mode():
        for _ in range(3):
            net.encoder(torch.rand(2, 1, 64, 96))        # statistics that are not zero and one
        net.eval()
        picture = torch.rand(1, 1, 96, 64)
        before, after = net.encoder(picture), folded(net.encoder)(picture)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded(net.encoder).modules())
    assert torch.allclose(before.row_gaps, after.row_gaps, atol=1e-4) and torch.allclose(before.fine, after.fine, atol=1e-4)


def test_the_export_of_a_small_net_reads_the_same(tmp_path):
    pytest.importorskip("onnxscript", reason="onnx and onnxscript are not installed; only the export needs them")
    import onnx
    torch.manual_seed(3)
    net = TableNet(TINY).eval()
    inputs = [inked(grey, fitting(*grey.shape, 0.5)).astype(np.float32)[None, None] / 255 for grey in (ruled(3, 4), ruled(9, 2, joined=True))]
    encoder, merge = mobile_export.export(net, tmp_path)
    assert parity(net, encoder, merge, iter(inputs)) < 1e-3
    quantised(encoder, tmp_path / "small.onnx", iter(inputs))
    labelled(tmp_path / "small.onnx", tmp_path / "named.onnx", scale="0.5", source="none")
    held = [onnx.numpy_helper.to_array(part) for part in onnx.load(tmp_path / "named.onnx").graph.initializer if part.data_type == onnx.TensorProto.INT8]
    assert sum(part.ndim == 4 for part in held) >= 15 and max(np.abs(part.astype(int)).max() for part in held) <= 64
    grey = ruled(3, 4)
    answer = mobile.load(tmp_path / "named.onnx", merge).read(grey)
    assert (answer.table.rows, answer.table.cols) == (len(answer.ys) - 1, len(answer.xs) - 1)
    with torch.no_grad():
        net.merge.out.bias += 1
    with pytest.raises(EngineError, match="Nothing was written"):
        parity(net, encoder, merge, iter(inputs[:1]))
