"""The six models' weights as the hand-written C++ takes them: one packed float32 array, folded in double precision, from the ONNX initialisers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

LANES = 16


@dataclass(frozen=True)
class Model:
    """What the hand-written code was written for.

    family    dnn, cnn or transformer
    layers    shapes of the constant matrices and kernels in the order of the graph
    blocks    Winograd rectangles of one layer, (rows, columns) of output per tile, in the order the C++ takes their weights
    in_lanes  of the transformers: "features" or "tokens"
    """

    family: str
    input_shape: tuple[int, ...]
    layers: tuple[tuple[int, ...], ...]
    blocks: tuple[tuple[int, int], ...] = ()
    in_lanes: str = ""


CONV = (32, 32, 3, 3)
MODELS: Mapping[str, Model] = {
    "mlp_beam": Model("dnn", (1, 24), ((64, 24), (64, 64), (12, 64))),
    "mlp_la": Model("dnn", (1, 64), ((128, 64), (128, 128), (32, 128))),
    "cnn_chest": Model("cnn", (1, 2, 12, 14), ((32, 2, 3, 3), CONV, CONV, CONV, (2, 32, 1, 1)), blocks=((4, 4), (4, 6))),
    "cnn_deeprx": Model("cnn", (1, 2, 14, 72), ((32, 2, 3, 3), *[CONV] * 6, (4, 32, 1, 1)), blocks=((4, 6), (6, 6))),
    "tr_csi": Model("transformer", (1, 14, 24), ((24, 64), (64, 192), (64, 64), (64, 128), (128, 64), (64, 12)), in_lanes="features"),
    "tr_2x32": Model("transformer", (1, 32, 24), ((24, 64), *[(64, 192), (64, 64), (64, 256), (256, 64)] * 2, (64, 12)), in_lanes="tokens"),
}


@dataclass(frozen=True)
class Parameters:
    """Constants in the order of the graph, double precision: matrices or kernels with their biases, normalisations as (gamma, beta[, mean, variance], epsilon)."""

    input_shape: tuple[int, ...]
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    norms: tuple[tuple, ...] = ()
    position: np.ndarray | None = None


def read(data: bytes) -> Parameters:
    """The constants of an ONNX file as either torch exporter writes the six models; an Add of a constant after a MatMul is its bias."""
    graph = onnx.load_from_string(data).graph
    known = {i.name: onnx.numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer}
    weights, biases, norms, position = [], [], [], None
    for node in graph.node:
        constants = [known[name] for name in node.input if name in known]
        if node.op_type == "Identity" and constants:
            known[node.output[0]] = constants[0]
        elif node.op_type in ("Gemm", "Conv", "MatMul") and constants:
            weights.append(constants[0])
            biases.append(constants[1] if len(constants) > 1 else np.zeros(constants[0].shape[-1 if node.op_type == "MatMul" else 0]))
        elif node.op_type == "Add" and constants and constants[0].ndim == 1 and weights:
            biases[-1] = constants[0]
        elif node.op_type == "Add" and constants and constants[0].ndim == 3:
            position = constants[0][0]
        elif node.op_type in ("BatchNormalization", "LayerNormalization"):
            norms.append((*constants, next(a.f for a in node.attribute if a.name == "epsilon")))
    shape = tuple(d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)
    return Parameters(shape, tuple(weights), tuple(biases), tuple(norms), position)


def recognise(data: bytes) -> str | None:
    """Which of the six models this is, by its input and the shapes of its constants; None for any other."""
    try:
        found = read(data)
    except Exception:
        return None
    shapes = tuple(w.shape for w in found.weights)
    return next((name for name, model in MODELS.items() if (model.input_shape, model.layers) == (found.input_shape, shapes)), None)


def pack(name: str, baseline: str, data: bytes) -> np.ndarray:
    """float32 [n], every part padded to 64 bytes, for `baseline` ("hand", "plain hand" or "naive") of the model `name`."""
    parts = PACKERS[MODELS[name].family, baseline](read(data), MODELS[name])
    return np.concatenate([_padded(part) for part in parts])


def _padded(part: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(part, np.float32).reshape(-1)
    return np.pad(flat, (0, -flat.size % LANES))


def _lanes(matrix: np.ndarray) -> np.ndarray:
    """[K, N] -> [K, N rounded up to 16], zeros behind."""
    return np.pad(matrix, [(0, 0)] * (matrix.ndim - 1) + [(0, -matrix.shape[-1] % LANES)])


# Multilayer perceptrons

def dense_columns(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """Per layer [input][output], then the bias."""
    for w, b in zip(found.weights, found.biases):
        yield from (_lanes(w.T), _lanes(b))


def dense_rows(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """As ONNX has them, [output][input], both padded to 16, then the bias."""
    for w, b in zip(found.weights, found.biases):
        yield from (np.pad(w, [(0, -n % LANES) for n in w.shape]), _lanes(b))


def naive_dense(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """As ONNX has them."""
    for w, b in zip(found.weights, found.biases):
        yield from (w, b)



# Convolutional networks

POINTS = {4: (0, 1, -1, 2, -2), 6: (0, 1, -1, 2, -2, 0.5, -0.5)}
"""Interpolation points of F(m, 3); the point at infinity comes last."""


def winograd_kernel(m: int) -> np.ndarray:
    """G [m + 2, 3]: row p is (1, p, p^2) over the product of the differences of p to the other points. The C++ transforms the input so that d0 counts positive: so does row 0."""
    points = POINTS[m]
    rows = [np.array([1, p, p * p]) / np.prod([p - q for q in points if q != p]) for p in points]
    return np.array([np.abs(rows[0]), *rows[1:], (0, 0, 1)])


def winograd(kernel: np.ndarray, my: int, mx: int) -> np.ndarray:
    """[out, in, 3, 3] -> [point][in][out]."""
    u = np.einsum("ya,xb,oiab->yxio", winograd_kernel(my), winograd_kernel(mx), kernel)
    return u.reshape(-1, *u.shape[2:])


def batch_norm(norm: tuple) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift) of a BatchNormalization at inference."""
    gamma, beta, mean, variance, epsilon = norm
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def convolutions(found: Parameters, model: Model, kernels: Callable[[np.ndarray], Sequence[np.ndarray]]) -> Iterator[np.ndarray]:
    """The pre-activation scales, then per layer its bias and kernels (the second convolution of a block has no bias), then the head."""
    if found.norms:
        yield np.stack([np.stack(batch_norm(norm)) for norm in found.norms])
    for n, (w, b) in enumerate(zip(found.weights[:-1], found.biases)):
        if not found.norms or n == 0 or n % 2 == 1:
            yield b
        yield from kernels(w) if n else [w.transpose(1, 2, 3, 0)]
    yield from (found.weights[-1][:, :, 0, 0], found.biases[-1])


def winograd_layers(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    return convolutions(found, model, lambda w: [winograd(w, *block) for block in model.blocks])


def direct_layers(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """Kernels [ky][kx][in][out]."""
    return convolutions(found, model, lambda w: [w.transpose(2, 3, 1, 0)])


def naive_convolutions(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """As ONNX has them, BatchNormalization as scale and shift."""
    if found.norms:
        yield np.stack([np.stack(batch_norm(norm)) for norm in found.norms])
    for w, b in zip(found.weights, found.biases):
        yield from (w, b)


# Transformers

WIDTH, HEADS = 64, 4


def folded(found: Parameters) -> list[tuple[np.ndarray, np.ndarray]]:
    """(matrix [K, N], bias [N]; the first one [tokens, N], with the positions) per layer, so that LayerNorm is 1 / std alone. See transformer.cpp for what is folded and why it is exact."""
    matrices = [(w, b) for w, b in zip(found.weights, found.biases)]
    matrices[0] = matrices[0][0], matrices[0][1] + found.position
    for n, norm in zip([*range(1, len(matrices) - 1, 4), *range(3, len(matrices) - 1, 4), len(matrices) - 1], _norms_in_order(found)):
        gamma, beta, _ = norm
        w, b = matrices[n]
        matrices[n] = gamma[:, None] * w, b + beta @ w
    for n in range(1, len(matrices) - 1, 4):
        matrices[n:n + 2] = _fold_attention(*matrices[n], *matrices[n + 1])
    for n in range(0, len(matrices) - 1):
        if n % 2 == 0:                                                   # embedding, projection, second feed-forward: they write the residual stream
            w, b = matrices[n]
            matrices[n] = w - w.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    return matrices


def _norms_in_order(found: Parameters) -> list[tuple]:
    """First the norms before attention, then those before the feed-forward part, then the last."""
    return [*found.norms[0:-1:2], *found.norms[1:-1:2], found.norms[-1]]


def _fold_attention(w: np.ndarray, b: np.ndarray, projection: np.ndarray, bias: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scale and log2(e) into the queries; no key bias (the same for every key, so softmax does not see it); the value bias through the projection (weights sum to one)."""
    scale = np.ones(3 * WIDTH)
    scale[:WIDTH] = np.log2(np.e) / np.sqrt(WIDTH / HEADS)
    kept = b * scale
    kept[WIDTH:] = 0
    return [(w * scale, kept), (projection, bias + b[2 * WIDTH:] @ projection)]


def fused_layers(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """Features in lanes: [N / 32][K][32], the head [K][16]; tokens in lanes: [N / B][K][B], B = 12 for the queries, keys and values and the head, else 8."""
    layers = folded(found)
    for n, (w, b) in enumerate(layers):
        last, k = n == len(layers) - 1, w.shape[0]
        if model.in_lanes == "features":
            yield _lanes(w) if last else w.reshape(k, -1, 32).transpose(1, 0, 2)
            yield _lanes(b)
        else:
            block = 12 if last or n % 4 == 1 else 8
            yield w.reshape(k, -1, block).transpose(1, 0, 2)
            yield b.T


def plain_layers(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """Nothing folded: positions; then per layer gamma and beta where a LayerNorm stands before it, the matrix in blocks [N / 32][K][32], its bias."""
    yield found.position
    norms = iter(found.norms)
    for n, (w, b) in enumerate(zip(found.weights, found.biases)):
        if n % 2 == 1 or n == len(found.weights) - 1:
            yield from next(norms)[:2]
        yield _lanes(w) if w.shape[1] % 32 else w.reshape(w.shape[0], -1, 32).transpose(1, 0, 2)
        yield _lanes(b)


def naive_layers(found: Parameters, model: Model) -> Iterator[np.ndarray]:
    """The same with the matrices as torch has them, [N][K], so that a plain dot product reads on."""
    yield found.position
    norms = iter(found.norms)
    for n, (w, b) in enumerate(zip(found.weights, found.biases)):
        if n % 2 == 1 or n == len(found.weights) - 1:
            yield from next(norms)[:2]
        yield from (w.T, b)


PACKERS: Mapping[tuple[str, str], Callable[[Parameters, Model], Iterator[np.ndarray]]] = {
    ("dnn", "hand"): dense_columns, ("dnn", "plain hand"): dense_rows, ("dnn", "naive"): naive_dense,
    ("cnn", "hand"): winograd_layers, ("cnn", "plain hand"): direct_layers, ("cnn", "naive"): naive_convolutions,
    ("transformer", "hand"): fused_layers, ("transformer", "plain hand"): plain_layers, ("transformer", "naive"): naive_layers,
}
