"""`launch.py train handwriting --style`: a small network that tells writers apart, for style distances; what it learns is a feature space, not a product."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.handwriting.metrics import STYLE_SHAPE, STYLE_WEIGHTS, style_picture
from core.handwriting.train import load_table, strokes_of

FEATURES = 64
CHANNELS = (16, 32, 48, FEATURES)
FEWEST, MOST = 12, 24
"""Words a writer has to have, and how many are taken; every eighth of all is kept for the score."""


class WriterNet(nn.Module):
    """Four convolutions of stride 2, the mean over the page, one linear layer: [batch, 1, 32, 160] -> logits [batch, writers]; features are what the mean gives."""

    def __init__(self, writers: int) -> None:
        super().__init__()
        sizes = (1, *CHANNELS)
        self.layers = nn.Sequential(*(layer for k in range(4) for layer in (
            nn.Conv2d(sizes[k], sizes[k + 1], 5 if k == 0 else 3, 2, 2 if k == 0 else 1, bias=False), nn.BatchNorm2d(sizes[k + 1]), nn.ReLU())))
        self.out = nn.Linear(FEATURES, writers)

    def features(self, pages: Tensor) -> Tensor:
        """[batch, 64]"""
        return self.layers(pages).mean((2, 3))

    def forward(self, pages: Tensor) -> Tensor:
        return self.out(F.dropout(self.features(pages), 0.2, self.training))


def load_words(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pages uint8[n, 32, 160] and writers int64[n] of unipen_words, without the writers of the delimited words: on those the distances are measured."""
    rows, kept_out = load_table(folder, "unipen_words"), set(load_table(folder, "unipen_words_segmented").writer)
    rows = rows[~rows.writer.isin(kept_out) & (rows.label.str.len() >= 3)]
    rows = rows[rows.groupby("writer").writer.transform("size") >= FEWEST]
    rows = rows[rows.groupby("writer").cumcount() < MOST]
    pages = np.array([np.rint(255 * style_picture(strokes_of(row))) for row in rows.itertuples()]).astype(np.uint8)
    return pages, rows.writer.astype("category").cat.codes.to_numpy().astype(np.int64)


def fit_style(pages: np.ndarray, writers: np.ndarray, epochs: int, seed: int, say: Callable[[dict], None]) -> tuple[WriterNet, float]:
    """The net and the share of kept words whose writer it names, per cent."""
    torch.manual_seed(seed)
    kept = np.arange(len(pages)) % 8 == 0
    points, wanted = torch.from_numpy(pages[~kept]), torch.from_numpy(writers[~kept])
    net, batches = WriterNet(int(writers.max()) + 1), max(len(points) // 64, 1)
    optimiser = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * batches)
    begun = time.monotonic()
    for epoch in range(epochs):
        net.train()
        for chosen in torch.randperm(len(points)).chunk(batches):
            loss = F.cross_entropy(net(_shifted(points[chosen])), wanted[chosen], label_smoothing=0.1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        right = named(net, pages[kept], writers[kept])
        say(dict(event="style epoch", epoch=epoch + 1, loss=round(float(loss.detach()), 3), named_percent=round(right, 1), seconds=round(time.monotonic() - begun)))
    return net.eval(), right


def _shifted(pages: Tensor) -> Tensor:
    """float32[batch, 1, 32, 160], the batch moved by up to 3 rows and 12 columns."""
    down, right = int(torch.randint(-3, 4, ())), int(torch.randint(-12, 13, ()))
    return torch.roll(pages, (down, right), (1, 2))[:, None].float() / 255


@torch.inference_mode()
def named(net: WriterNet, pages: np.ndarray, writers: np.ndarray) -> float:
    """Per cent of pages whose writer the net names."""
    net.eval()
    said = [net(torch.from_numpy(part)[:, None].float() / 255).argmax(1) for part in np.array_split(pages, max(len(pages) // 256, 1))]
    return 100 * float((torch.cat(said).numpy() == writers).mean())


def write_style_graph(net: WriterNet, path: Path = STYLE_WEIGHTS) -> None:
    """The features as ONNX: pages float32[n, 1, 32, 160] -> features float32[n, 64]; normalisation folded into the convolutions."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    nodes, held, given = [], [], "pages"
    for k in range(4):
        conv, norm = net.layers[3 * k], net.layers[3 * k + 1]
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight, bias = conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        held += [numpy_helper.from_array(value.detach().numpy().astype(np.float32), f"{name}{k}") for name, value in (("w", weight), ("b", bias))]
        pad = conv.padding[0]
        nodes += [helper.make_node("Conv", [given, f"w{k}", f"b{k}"], [f"c{k}"], strides=[2, 2], pads=[pad] * 4), helper.make_node("Relu", [f"c{k}"], [f"r{k}"])]
        given = f"r{k}"
    nodes += [helper.make_node("GlobalAveragePool", [given], ["mean"]), helper.make_node("Flatten", ["mean"], ["features"])]
    graph = helper.make_graph(nodes, "writer-features", [helper.make_tensor_value_info("pages", TensorProto.FLOAT, ["n", 1, *STYLE_SHAPE])],
                              [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", FEATURES])], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
