"""Models that are not in the set: other widths, heads, tokens, strides and activations, exported now; compiled, checked and raced against ONNX Runtime."""

import io
import warnings
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np

from core.compiler.compile_model import compile_model
from core.compiler.config import CompilerConfig
from core.compiler.race import OURS, QUICK, RUNTIME, Effort, race
from core.compiler.toolchain import idlest_core
from core.errors import VitrineError
from core.ran.result_cache import Cache
from tests.bench.compiler import peers
from tests.bench.compiler.models import called
from tests.bench.harness import Ratio, Section

EFFORT = Effort(rounds=6, blocks=12, runs=2000, seconds=0.5)


def networks() -> dict[str, tuple]:
    """name -> (module, input shape); random weights from one seed."""
    import torch
    from torch import nn

    class Attending(nn.Module):
        """Pre-norm transformer layers over [tokens, width] with a head."""

        def __init__(self, features: int, width: int, heads: int, hidden: int, layers: int, activation: str, out: int) -> None:
            super().__init__()
            self.embed, self.head = nn.Linear(features, width), nn.Linear(width, out)
            self.layers = nn.ModuleList(nn.TransformerEncoderLayer(width, heads, hidden, 0.0, activation, batch_first=True, norm_first=True) for _ in range(layers))

        def forward(self, x):
            x = self.embed(x)
            for layer in self.layers:
                x = layer(x)
            return self.head(x)

    class Separable(nn.Module):
        """Depthwise 5x5 and 1x1 with a skip, then pooled."""

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.stem, self.deep = nn.Conv2d(3, channels, 3, stride=2, padding=1), nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
            self.point, self.norm, self.head = nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.Linear(channels, 10)

        def forward(self, x):
            x = nn.functional.hardswish(self.stem(x))
            return self.head((x + self.norm(self.point(self.deep(x)))).mean((2, 3)))

    def perceptron(sizes, activation):
        parts = [part for a, b in zip(sizes, sizes[1:]) for part in (nn.Linear(a, b), activation())]
        return nn.Sequential(*parts[:-1])

    torch.manual_seed(0)
    return {
        "mlp 40-96-96-20, tanh": (perceptron((40, 96, 96, 20), nn.Tanh), (1, 40)),
        "mlp 128-256-256-7, GELU": (perceptron((128, 256, 256, 7), nn.GELU), (1, 128)),
        "mlp 33-50-50-50-3, sigmoid, batch 4": (perceptron((33, 50, 50, 50, 3), nn.Sigmoid), (4, 33)),
        "cnn 4x20x30, 48 channels, leaky ReLU": (nn.Sequential(nn.Conv2d(4, 48, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(48, 48, 3, padding=1), nn.LeakyReLU(0.1),
                                                               nn.Conv2d(48, 4, 3, padding=1)), (1, 4, 20, 30)),
        "cnn 3x32x32, stride 2, depthwise 5x5, hard swish": (Separable(40), (1, 3, 32, 32)),
        "cnn 1-d, 2x240, 24 channels, dilated": (nn.Sequential(nn.Conv1d(2, 24, 7, padding=3), nn.ReLU(), nn.Conv1d(24, 24, 3, padding=4, dilation=4), nn.ReLU(),
                                                              nn.Conv1d(24, 2, 1)), (1, 2, 240)),
        "transformer d48, 6 heads, 20 tokens, ReLU": (Attending(10, 48, 6, 96, 1, "relu", 5), (1, 20, 10)),
        "transformer d128, 8 heads, 48 tokens, GELU": (Attending(16, 128, 8, 256, 2, "gelu", 8), (1, 48, 16)),
    }


def exported(module, shape: tuple[int, ...]) -> bytes:
    """The module as torch's TorchScript exporter writes it."""
    import torch

    module.eval()
    made = io.BytesIO()
    torch.backends.mha.set_fastpath_enabled(False)                     # the fused encoder layer has no ONNX operator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.randn(shape),), made, opset_version=17, dynamo=False, input_names=["x"], output_names=["y"])
    return made.getvalue()


def sections(options: Namespace, versions: dict, place: Path) -> Iterator[tuple[Section, dict | None]]:
    """One section; the headline says how many were faster than ONNX Runtime."""
    section = Section("unseen", "Models that are not in the set", "random weights, exported now; error against ONNX Runtime over its largest value; "
                      "times longer than ours: median [least-most] over the rounds; C: called from C++")
    chosen = [*networks().items()][::4 if options.quick else 1]
    with Cache(place / "unseen.sqlite") as cache:
        for n, (name, (module, shape)) in enumerate(chosen):
            section.rows.append(dict(name=name, **row_of(f"unseen{n}", exported(module, shape), place / f"unseen{n}", cache, options)))
    ratios = [row[key].median for row in section.rows if (key := "onnxruntime C" if "onnxruntime C" in row else RUNTIME) in row]
    won = dict(unseen_models=len(section.rows), unseen_faster=sum(r > 1 for r in ratios), unseen_over_onnxruntime=round(float(np.exp(np.mean(np.log(ratios)))), 2)) if ratios else {}
    yield section, won


def row_of(name: str, data: bytes, place: Path, cache: Cache, options: Namespace) -> dict:
    """Compiled and raced; the reason where it was refused."""
    begun = perf_counter()
    try:
        compiled = compile_model(data, name, CompilerConfig(effort="quick"), folder=place, cache=cache)
        seconds = perf_counter() - begun
        model = place / "model.onnx"
        model.write_bytes(data)
        case = peers.Case(name, model, compiled.built, [], np.zeros(0, np.float32), place, idlest_core())
        more = {} if options.no_rival else called(case, {})
        raced = race(data, compiled.built, place, effort=QUICK if options.quick else EFFORT, names=[RUNTIME], more=more)
    except VitrineError as error:
        return dict(refused=str(error))
    rows = {row.name: row for row in raced.rows if not row.failure}
    ours = rows.pop(OURS)
    return dict(ours_us=ours.best_us, error=f"{ours.error:.1e}" if ours.error is not None else "", compile_s=seconds,
                **{other: Ratio(*row.times_ours) for other, row in sorted(rows.items())})
