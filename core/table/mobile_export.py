"""`python -m core.table.mobile_export`: the table model's encoder and heads as 8-bit ONNX graphs, with the figures of what that loses and gains.

Convolutions and their rectifiers are quantised with scales measured on drawings (static, per channel, values in 8 bits, weights in 7: with 8,
processors without 8-bit dot products would let sums of two products overflow); the first convolution, the attention over row and column tokens and
the merge head stay in single precision.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import json
import logging
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import ConfigError, EngineError, VitrineError
from core.table import mobile
from core.table.decode import by_heads, decode, heads_answer, to_input
from core.table.evaluation import SCALE, SETS, pictures, summary
from core.table.heads import fitting, inked
from core.table.metrics import teds
from core.table.mobile import MobileReader
from core.table.model import Encoded, TableNet, load_weights
from core.table.synth import draw
from core.table.synth_content import load_corpus
from core.table.table import Table
from core.table.train import WEIGHTS, table_folder

CARD = mobile.ENCODER.with_suffix(".md")
SCALES = (0.5, 0.65, SCALE)
"""Input sizes that are measured, times the picture's; the full model's is shipped, so that only the 8 bits are lost."""
FEW = ("pubtabnet", "icdar2013")
"""Sets too small to thin out."""
SEEN = ("row_gaps", "col_gaps", "fine", "rows", "cols")
CALIBRATION, CALIBRATION_SEED = 48, 777
APART = 1e-3
"""Logits of the unquantised graphs differ from torch's by less than this."""


# Graphs

class Seeing(nn.Module):
    """Picture [1, 1, height, width] -> separator logits, fine map, row and column tokens."""

    def __init__(self, net: TableNet) -> None:
        super().__init__()
        self.encoder = folded(net.encoder)

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        seen = self.encoder(picture)
        return tuple(getattr(seen, name) for name in SEEN)


class Merging(nn.Module):
    """Fine map, tokens and separators -> logits of C L U X."""

    def __init__(self, net: TableNet) -> None:
        super().__init__()
        self.merge = net.merge

    def forward(self, fine: Tensor, rows: Tensor, cols: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
        nothing = rows[:, :0]
        return self.merge(Encoded(fine, rows, cols, nothing, nothing, nothing), ys, xs, torch.ones(1))


def folded(part: nn.Module) -> nn.Module:
    """A copy whose normalisations are part of the convolutions before them: fewer steps, and 8-bit weights that know their scale."""
    part = copy.deepcopy(part).eval()
    for sequence in [m for m in part.modules() if isinstance(m, nn.Sequential)]:
        for before, name in zip(list(sequence._modules), list(sequence._modules)[1:]):
            if isinstance(sequence._modules[name], nn.BatchNorm2d):
                sequence._modules[before] = nn.utils.fuse_conv_bn_eval(sequence._modules[before], sequence._modules[name])
                sequence._modules[name] = nn.Identity()
    return part


def export(net: TableNet, folder: Path) -> tuple[Path, Path]:
    """The two graphs in single precision, for pictures with sides of 32 n and grids of any size. Raises EngineError without the exporter."""
    encoder, merge = folder / "encoder.onnx", folder / "merge.onnx"
    side, count = (lambda name: 32 * torch.export.Dim(name, min=5, max=20)), (lambda name: torch.export.Dim(name, min=2, max=700))
    picture = torch.rand(1, 1, 320, 416)
    tall, wide = count("tall"), count("wide")
    with torch.inference_mode():
        maps = Seeing(net)(picture)[2:]
    edges = torch.linspace(5, 300, 9)[None], torch.linspace(5, 400, 7)[None]
    _exported(Seeing(net), (picture,), encoder, ["picture"], SEEN, ({2: side("height"), 3: side("width")},))
    _exported(Merging(net), (*maps, *edges), merge, ["fine", "rows", "cols", "ys", "xs"], ["grid"],
              ({2: tall, 3: wide}, {1: tall}, {1: wide}, {1: count("lines")}, {1: count("columns")}))
    return encoder, merge


def _exported(part: nn.Module, given: tuple, path: Path, names: list[str], answers, shapes: tuple) -> None:
    try:
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise EngineError("The export needs the packages onnx and onnxscript. Install both with pip, into the environment this runs in.") from error
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(part.eval(), given, str(path), input_names=names, output_names=list(answers), dynamic_shapes=shapes, dynamo=True,
                          external_data=False, verbose=False)


def quantised(encoder: Path, path: Path, inputs: Iterator[np.ndarray]) -> None:
    """Write the encoder with 8-bit convolutions; `inputs` are pictures [1, 1, height, width] that show which values come about."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Shown(CalibrationDataReader):
        def get_next(self) -> dict | None:
            picture = next(inputs, None)
            return None if picture is None else dict(picture=picture)
    ready = path.with_name("ready.onnx")
    quant_pre_process(str(encoder), str(ready), skip_symbolic_shape=True)
    first = next(node.name for node in onnx.load(str(ready)).graph.node if node.op_type == "Conv")
    quantize_static(str(ready), str(path), Shown(), per_channel=True, op_types_to_quantize=["Conv", "Relu"], nodes_to_exclude=[first],
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True)


def labelled(path: Path, goal: Path, **known: str) -> None:
    """Copy a graph with these words in its metadata and no note of how it was made."""
    import onnx
    graph = onnx.load(str(path))
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:], graph.graph.metadata_props[:]
    for key, value in known.items():
        graph.metadata_props.add(key=key, value=value)
    goal.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, str(goal))


def digest(path: Path) -> str:
    """What a weight file holds, as 16 hexadecimal digits: the same for the same arrays, however they are packed."""
    found = hashlib.sha256()
    with np.load(path, allow_pickle=False) as held:
        for name in sorted(held.files):
            found.update(name.encode() + np.ascontiguousarray(held[name]).tobytes())
    return found.hexdigest()[:16]


# What it loses and gains

def shown(folder: Path | None, count: int = CALIBRATION) -> Iterator[np.ndarray]:
    """Drawings of training's kind as inputs, at each of the scales in turn."""
    corpus = load_corpus(folder)
    for number in range(count):
        grey = draw(corpus, (CALIBRATION_SEED, number)).picture
        size = fitting(*grey.shape, SCALES[number % len(SCALES)])
        yield inked(grey, size).astype(np.float32)[None, None] / 255


def parity(net: TableNet, encoder: Path, merge: Path, inputs: Iterator[np.ndarray]) -> float:
    """The largest difference of any logit between torch and the unquantised graphs. Raises EngineError from 0.001 on."""
    graphs, worst = [mobile.session(path) for path in (encoder, merge)], 0.0
    with torch.inference_mode():
        for picture in inputs:
            seen = net.encoder(torch.from_numpy(picture))
            found = dict(zip(SEEN, graphs[0].run(None, dict(picture=picture))))
            edges = [torch.linspace(2, side - 2, 3 + side // 60)[None] for side in picture.shape[2:]]
            wanted = net.merge(seen, *edges, torch.ones(1, 1, edges[0].shape[1] - 1, edges[1].shape[1] - 1)).numpy()
            maps = {name: found[name] for name in SEEN[2:]}
            apart = [np.abs(found[name] - getattr(seen, name).numpy()).max() for name in SEEN[:2]]
            worst = max(worst, *apart, np.abs(graphs[1].run(None, dict(maps, ys=edges[0].numpy(), xs=edges[1].numpy()))[0] - wanted).max())
    if not worst < APART:
        raise EngineError(f"The exported graphs differ from the model by {worst:.2g}, which is not below {APART}. Nothing was written.")
    return float(worst)


Side = Callable[[np.ndarray], Table]
"""One way to read a grey picture."""


def sides(net: TableNet, exact: MobileReader, small: MobileReader) -> dict[str, Side]:
    """The ways that are compared, by name."""
    def full(grey: np.ndarray, decoder: bool) -> Table:
        with torch.inference_mode():
            seen = net.encoder(to_input(grey, fitting(*grey.shape, SCALE)))
            answer = heads_answer(net, seen)
            return decode(net, seen, by_heads(answer.tokens)).layout().table if decoder else answer.table

    def at(reader: MobileReader, scale: float) -> Side:
        def read(grey: np.ndarray) -> Table:
            reader.scale = scale
            return reader.read(grey).table
        return read
    return {"full: heads and decoder": lambda grey: full(grey, True), "full: heads": lambda grey: full(grey, False),
            f"graphs, single precision, {SCALE}": at(exact, SCALE), **{f"graphs, 8 bits, {scale}": at(small, scale) for scale in SCALES}}


def measure(ways: dict[str, Side], folder: Path | None, name: str, every: int) -> dict[str, dict]:
    """Of each way on one set, taken in turn picture by picture: teds_struct, struct100, n, CPU milliseconds a table, same (% as full: heads)."""
    scores, spent, same = defaultdict(list), defaultdict(list), defaultdict(list)
    for _, grey, true in pictures(folder, name, every):
        found = {}
        for way, read in ways.items():
            begun = time.process_time()
            found[way] = read(grey)
            spent[way].append(time.process_time() - begun)
            scores[way].append(teds(found[way], true, structure_only=True))
        for way in ways:
            same[way].append(found[way] == found["full: heads"])
    return {way: dict(**summary(scores[way]), ms=round(1e3 * float(np.mean(spent[way])), 1), same=round(100 * float(np.mean(same[way])), 1)) for way in ways}


# The card

def card(figures: dict[str, dict[str, dict]], worst: float, source: str) -> str:
    """The model card: what the graphs are, and every way's figures on every set."""
    taken, full = f"graphs, 8 bits, {SCALE}", "full: heads and decoder"
    faster = [f"{name} {found[full]['ms'] / found[taken]['ms']:.1f}" for name, found in figures.items()]
    kilobytes = [round(path.stat().st_size / 1e3) for path in (mobile.ENCODER, mobile.MERGE)]
    rows = [f"| {way}{' (shipped)' if way == taken else ''} | " + " | ".join(_cell(found[way]) for found in figures.values()) + " |"
            for way in next(iter(figures.values()))]
    return f"""# table-mobile.onnx, table-mobile-merge.onnx

Encoder with separators ({kilobytes[0]:,} kB) and merge head ({kilobytes[1]:,} kB) of `table-small.npz` (digest {source}) for onnxruntime.
Convolutions and rectifiers in 8 bits (static, per channel, weights in 7, values measured on {CALIBRATION} drawings, seed {CALIBRATION_SEED}); the first convolution,
the attention and the merge head in single precision. There is no decoder in them. Licence and training data: see `table-small.md`.

```
python -m core.table.mobile_export
```
makes both and this card from the weights in assets; it needs the packages onnx and onnxscript. The unquantised graphs differ from torch's logits by {worst:.1e} at most.

## Figures
TEDS-struct / share of exact structures in percent; CPU milliseconds a table (one thread, every way in turn on each picture); tables read as "full: heads" reads them.
The number behind a graph is its input size times the picture's; a smaller one is faster and loses more. None was chosen on these pictures: the shipped one is the full model's.

| way | {" | ".join(f"{name} ({next(iter(found.values()))['n']})" for name, found in figures.items())} |
|---|{"---|" * len(figures)}
{chr(10).join(rows)}

Times faster than heads and decoder of the full model: {", ".join(faster)}.

## Tried and left
On 148 pictures with the first weights, one thread: static 8 bits for convolutions alone 2.1 times faster than single precision; additions in 8 bits too, no faster, and
where those of the attention were among them 115 instead of 130 tables were read as before; matrix products of the attention in 8 bits: no faster; dynamic 8 bits
(scales measured on each picture): no faster than single precision; 8 instead of 7 bits for the weights: 130 instead of 133 tables read as before.
"""


def _cell(found: dict) -> str:
    return f"{found['teds_struct']:.2f} / {found['struct100']:.1f}; {found['ms']:.0f} ms; {found['same']:.0f} %"


def main(argv: list[str] | None = None) -> None:
    """Export, check, quantise, measure, write graphs and card."""
    parser = argparse.ArgumentParser(prog="python -m core.table.mobile_export", description=__doc__, exit_on_error=False)
    parser.add_argument("--data", type=Path, help="the folder of the shared data or of its tables (default: VITRINE_DATA, or ../shared/data)")
    parser.add_argument("--every", type=int, default=1, help="measure on each N-th picture of the large sets only")
    try:
        given = parser.parse_args(argv)
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}.") from None
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    print(json.dumps(write(load_weights(WEIGHTS), table_folder(given.data), given.every)))


def write(net: TableNet, folder: Path | None, every: int = 1) -> dict:
    """Make both graphs and the card; the figures by set and way. Raises EngineError where graphs and model disagree; nothing is written then."""
    with tempfile.TemporaryDirectory() as work:
        place, source = Path(work), digest(WEIGHTS)
        encoder, merge = export(net, place)
        worst = parity(net, encoder, merge, shown(folder, 12))
        quantised(encoder, place / "small.onnx", shown(folder))
        for name in ("encoder.onnx", "small.onnx"):
            labelled(place / name, place / name, scale=str(SCALE), source=source)
        ways = sides(net, *(MobileReader(place / name, merge) for name in ("encoder.onnx", "small.onnx")))
        figures = {name: measure(ways, folder, name, 1 if name in FEW else every) for name in (SETS if folder else ("drawings",))}
        labelled(place / "small.onnx", mobile.ENCODER, scale=str(SCALE), source=source)
        labelled(merge, mobile.MERGE)
    CARD.write_text(card(figures, worst, source), encoding="utf8")
    return dict(parity=worst, source=source, figures=figures)


if __name__ == "__main__":
    try:
        main()
    except VitrineError as error:
        raise SystemExit(str(error)) from None
