"""Where a letter may bend: head, body, tail or isolated for each of its 20 points (section 2.1 of the post), and what follows for the points as drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import EngineError
from core.handwriting.labels import BODY, HEAD, ISOLATED, TAIL, arc_length
from core.handwriting.strokes import features

POINTS = 20
WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "weights" / "handwriting-parts.onnx"
DOT_SHARE = 0.4
"""An isolated stroke with less than this share of a letter's ink is written later (dots, bars)."""


class Classified(NamedTuple):
    """classes int64[letters, 20] (HEAD, BODY, TAIL, ISOLATED) and their probabilities float64[letters, 20, 4]."""

    classes: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Parts:
    """What of a letter may bend, counted on its points as drawn.

    first, last: the strokes that carry the head and the tail (one stroke may carry both); head, tail: how many points at the start of `first` and at the end of
    `last` belong to them, 0 for none; delayed: strokes that are written after the word (dots, bars), in order.
    """

    first: int
    last: int
    head: int
    tail: int
    delayed: tuple[int, ...]


def classify(letters: Sequence[Sequence[np.ndarray]]) -> Classified:
    """Class and probabilities of 20 points of each letter; a letter is its strokes [n, 2] in any unit, y down, in the order drawn. No letter's name is seen.

    Raises EngineError where the weights are missing.
    """
    return _classify(np.array([features(letter, POINTS)[0] for letter in letters], np.float32).reshape(-1, POINTS, 3))


def _classify(seen: np.ndarray) -> Classified:
    """The same from features float32[letters, 20, 3]."""
    probabilities = session().run(None, {"points": seen})[0].astype(float) if len(seen) else np.zeros((0, POINTS, 4))
    return Classified(probabilities.argmax(-1), probabilities)


@lru_cache
def session():
    """The graph in ONNX Runtime, one thread: a letter is too little work for two."""
    import onnxruntime
    if not WEIGHTS.is_file():
        raise EngineError(f"The weights of the point classifier are missing ({WEIGHTS.name}); `launch.py train handwriting --publish` makes them.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(WEIGHTS, options, providers=["CPUExecutionProvider"])


def write_graph(weights: dict[str, np.ndarray], path: Path) -> None:
    """An ONNX graph from the arrays of a PointClassifier: points float32[letters, 20, 3] -> probabilities float32[letters, 20, 4]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    layers = 1 + max(int(name[-1]) for name in weights if name.startswith("gru.weight_ih_l") and "reverse" not in name)
    nodes, held, given = [helper.make_node("Transpose", ["points"], ["level0"], perm=[1, 0, 2])], {}, "level0"
    for layer in range(layers):
        own = {f"{part}{layer}": np.stack([_gates(weights[f"gru.{name}_l{layer}{way}"]) for way in ("", "_reverse")])
               for part, name in (("w", "weight_ih"), ("r", "weight_hh"))}
        bias = [np.concatenate([_gates(weights[f"gru.bias_{side}_l{layer}{way}"]) for side in ("ih", "hh")]) for way in ("", "_reverse")]
        held |= own | {f"b{layer}": np.stack(bias)}
        nodes += [helper.make_node("GRU", [given, f"w{layer}", f"r{layer}", f"b{layer}"], [f"both{layer}"], direction="bidirectional",
                                   hidden_size=own[f"r{layer}"].shape[2], linear_before_reset=1),
                  helper.make_node("Transpose", [f"both{layer}"], [f"turned{layer}"], perm=[0, 2, 1, 3]),
                  helper.make_node("Reshape", [f"turned{layer}", "flat"], [f"level{layer + 1}"])]
        given = f"level{layer + 1}"
    held |= dict(flat=np.array([0, 0, -1], np.int64), out_w=weights["out.weight"].T.copy(), out_b=weights["out.bias"])
    nodes += [helper.make_node("MatMul", [given, "out_w"], ["scaled"]), helper.make_node("Add", ["scaled", "out_b"], ["logits"]),
              helper.make_node("Softmax", ["logits"], ["steps"], axis=-1), helper.make_node("Transpose", ["steps"], ["probabilities"], perm=[1, 0, 2])]
    graph = helper.make_graph(nodes, "point-classifier", [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["letters", POINTS, 3])],
                              [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["letters", POINTS, 4])],
                              [numpy_helper.from_array(value, name) for name, value in held.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def _gates(values: np.ndarray) -> np.ndarray:
    """PyTorch's order of the gates (reset, update, new) -> that of ONNX (update, reset, new)."""
    reset, update, new = np.split(values, 3)
    return np.concatenate([update, reset, new])


def parts(strokes: Sequence[np.ndarray]) -> Parts:
    """Head, tail and delayed strokes of one letter."""
    return parts_of([strokes])[0]


def parts_of(letters: Sequence[Sequence[np.ndarray]]) -> list[Parts]:
    """Head, tail and delayed strokes of every letter, one call of the classifier for all."""
    letters = [[np.asarray(stroke, float) for stroke in letter] for letter in letters]
    seen = [features(letter, POINTS) for letter in letters]
    found = _classify(np.array([points for points, _ in seen], np.float32).reshape(-1, POINTS, 3)).probabilities
    return [_parts(letter, counts, probabilities) for letter, (_, counts), probabilities in zip(letters, seen, found)]


def _parts(letter: list[np.ndarray], counts: list[int], probabilities: np.ndarray) -> Parts:
    """The most probable reading in which every stroke is isolated or head* body+ tail*, in points as drawn; counts: how many of the 20 points each stroke gave."""
    lengths = np.array([arc_length(stroke)[-1] for stroke in letter])
    starts = np.cumsum([0, *counts])
    read = [_read(probabilities[starts[k]:starts[k + 1]]) if counts[k] else None for k in range(len(letter))]
    joined = [k for k, found in enumerate(read) if found is not None]
    small = lengths < DOT_SHARE * lengths.sum()
    main = joined or [int(lengths.argmax())]
    first, last = main[0], main[-1]
    delayed = tuple(k for k in range(len(letter)) if k not in main and small[k] and k > first)
    head = _as_drawn(letter[first], counts[first], read[first][0]) if joined else 0
    tail = _as_drawn(letter[last][::-1], counts[last], read[last][1]) if joined else 0
    return Parts(first, last, head, tail, delayed)


def _read(probabilities: np.ndarray) -> tuple[int, int] | None:
    """Lengths of head and tail of one stroke, [n, 4] -> (h, t) with h + t < n; None where all of it is isolated."""
    n, logs = len(probabilities), np.log(np.maximum(probabilities, 1e-9))
    up = np.concatenate([np.zeros((1, 4)), np.cumsum(logs, axis=0)])
    head, body, tail = up[:, HEAD], up[:, BODY], up[-1, TAIL] - up[:, TAIL]
    start, end = np.mgrid[:n, 1:n + 1]
    score = np.where(start < end, head[start] + body[end] - body[start] + tail[end], -np.inf)
    best = np.unravel_index(score.argmax(), score.shape)
    return None if up[-1, ISOLATED] > score[best] else (int(best[0]), int(n - 1 - best[1]))


def _as_drawn(stroke: np.ndarray, count: int, found: int) -> int:
    """How many points as drawn lie before the middle between the sampled points found - 1 and found."""
    along = arc_length(stroke)
    return int(np.sum(along < along[-1] * (found - 0.5) / max(count - 1, 1))) if found else 0
