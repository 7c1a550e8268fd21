"""What every canonical and fused operation means, in NumPy: the definition the lowerings are held to, and what folds constants.

Values are in ONNX order whatever Tensor.layout says; Relayout therefore changes nothing here. An operation below is documented by its function.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from scipy import special

from core.compiler.graph import CompileError, Graph, Node

Array = np.ndarray
DENSE_INPUTS = ("x", "w", "bias", "residual", "row_scale")
CONV_INPUTS = ("x", "w", "bias", "residual", "gamma", "beta")


# ---------------------------------------------------------------- Map

def _div(a, b):
    """Whole numbers divide towards zero, as C does."""
    if np.result_type(a, b).kind in "iu":
        return np.trunc(np.true_divide(a, b)).astype(np.result_type(a, b))
    return np.divide(a, b)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x):
    return special.expit(x)


def _gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(x.dtype) * (x + 0.044715 * x * x * x)))


FUNCTIONS: Mapping[str, tuple[int, Callable[..., Array]]] = {
    "add": (2, np.add), "sub": (2, np.subtract), "mul": (2, np.multiply), "div": (2, _div), "pow": (2, np.power), "mod": (2, np.mod), "fmod": (2, np.fmod),
    "min": (2, np.minimum), "max": (2, np.maximum), "neg": (1, np.negative), "abs": (1, np.abs), "sqrt": (1, np.sqrt), "exp": (1, np.exp), "log": (1, np.log),
    "reciprocal": (1, lambda x: 1 / x), "floor": (1, np.floor), "ceil": (1, np.ceil), "round": (1, np.rint), "sign": (1, np.sign),
    "sin": (1, np.sin), "cos": (1, np.cos), "tan": (1, np.tan), "asin": (1, np.arcsin), "acos": (1, np.arccos), "atan": (1, np.arctan),
    "sinh": (1, np.sinh), "cosh": (1, np.cosh), "asinh": (1, np.arcsinh), "acosh": (1, np.arccosh), "atanh": (1, np.arctanh),
    "erf": (1, special.erf), "tanh": (1, np.tanh), "sigmoid": (1, _sigmoid), "relu": (1, lambda x: np.maximum(x, 0)),
    "leaky_relu": (2, lambda x, a: np.where(x < 0, a * x, x)), "prelu": (2, lambda x, a: np.where(x < 0, a * x, x)),
    "elu": (2, lambda x, a: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x)), "celu": (2, lambda x, a: np.maximum(x, 0) + np.minimum(0, a * np.expm1(np.minimum(x, 0) / a))),
    "selu": (3, lambda x, a, g: g * np.where(x <= 0, a * np.expm1(np.minimum(x, 0)), x)), "thresholded_relu": (2, lambda x, a: np.where(x > a, x, 0)),
    "softplus": (1, _softplus), "softsign": (1, lambda x: x / (1 + np.abs(x))),
    "hard_sigmoid": (3, lambda x, a, b: np.clip(a * x + b, 0, 1)), "hard_swish": (1, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "mish": (1, lambda x: x * np.tanh(_softplus(x))), "swish": (2, lambda x, a: x * _sigmoid(a * x)),
    "gelu": (1, lambda x: 0.5 * x * (1 + special.erf(x * np.sqrt(0.5).astype(x.dtype)))), "gelu_tanh": (1, _gelu_tanh),
    "clip": (3, lambda x, low, high: np.minimum(np.maximum(x, low), high)), "where": (3, np.where),
    "less": (2, np.less), "less_equal": (2, np.less_equal), "greater": (2, np.greater), "greater_equal": (2, np.greater_equal), "equal": (2, np.equal),
    "not": (1, np.logical_not), "and": (2, np.logical_and), "or": (2, np.logical_or), "xor": (2, np.logical_xor), "isnan": (1, np.isnan),
    "to_float": (1, lambda x: x), "to_int": (1, np.trunc), "to_bool": (1, lambda x: x != 0),
}
"""Functions of Map expressions: name -> (number of arguments, what it means). Comparisons and logic give bool; to_float, to_int and to_bool change the type."""


def expression(expr: tuple, args: Sequence[Array], dtype: np.dtype) -> Array:
    """The value of a Map expression: ("in", k), ("const", number) or (function, expression, ...); dtype is the float type to compute in."""
    head, *rest = expr
    if head == "in":
        return args[rest[0]]
    if head == "const":
        return np.asarray(rest[0], dtype)
    values = [expression(e, args, dtype) for e in rest]
    if head.startswith("to_"):
        return np.asarray(FUNCTIONS[head][1](*values)).astype({"to_float": dtype, "to_int": np.int64, "to_bool": np.bool_}[head])
    return np.asarray(FUNCTIONS[head][1](*values))


def activated(y: Array, activation) -> Array:
    """Apply the attribute `activation` of Dense and Conv: "none", the name of a unary function, or (name, parameter, ...)."""
    if activation in (None, "none"):
        return y
    name, *parameters = (activation,) if isinstance(activation, str) else activation
    return FUNCTIONS[name][1](y, *(np.asarray(p, y.dtype) for p in parameters))


def _map(node: Node, args, out) -> tuple[Array, ...]:
    """y = expr(in0, in1, ...) elementwise with NumPy broadcasting; whole numbers stay whole, constants take the type of the inputs."""
    floats = [a.dtype for a in args if a.dtype.kind == "f"] or [out.dtype if out.dtype.kind == "f" else np.dtype(np.float32)]
    whole = not any(a.dtype.kind == "f" for a in args) and any(a.dtype.kind == "i" for a in args)
    made = expression(node.attributes["expr"], args, next(a.dtype for a in args if a.dtype.kind == "i") if whole else floats[0])
    return (np.broadcast_to(made, out.shape).astype(out.dtype),)


# ---------------------------------------------------------------- products

def _dense(node: Node, args, out) -> tuple[Array, ...]:
    """y = act((x @ w) * row_scale + bias) with residual added before or after act. x [..., K], w [K, N], row_scale [..., 1]; optional second output sum(y^2) [..., 1]."""
    x, w, bias, residual, row_scale = (*args, *(None,) * (5 - len(args)))
    y = _epilogue(node, x @ w if row_scale is None else (x @ w) * row_scale, bias, residual)
    return (y, np.sum(y * y, axis=-1, keepdims=True))[:len(node.outputs)]


def _epilogue(node: Node, y: Array, bias, residual) -> Array:
    first = bool(node.get("residual_before_activation", False))
    y = y if bias is None else y + bias
    y = y + residual if residual is not None and first else y
    y = activated(y, node.get("activation"))
    return y + residual if residual is not None and not first else y


def _matmul(node: Node, args, out) -> tuple[Array, ...]:
    """y = a @ b, batched and broadcast as NumPy does."""
    return (np.asarray(np.matmul(*args)),)


def _attention(node: Node, args, out) -> tuple[Array, ...]:
    """softmax(scale q k^T + mask) v per head; `head_layout` says how q, k, v and the result lie.

    packed   one input qkv [..., T, 3 D] (q, k, v after each other, each of heads blocks), result [..., T, D]
    merged   q [..., T, D], k [..., S, D], v [..., S, E], result [..., T, E]; heads are blocks of the last axis
    heads    q [..., H, T, d], k [..., H, S, d], v [..., H, S, e], result [..., H, T, e]
    An optional last input beyond these is the mask, added to the scores.
    """
    layout, heads, scale = node.get("head_layout", "merged"), node.get("heads"), node.get("scale")
    parts = np.split(args[0], 3, axis=-1) if layout == "packed" else args[:3]
    mask = args[1 if layout == "packed" else 3] if len(args) > (1 if layout == "packed" else 3) else None
    q, k, v = parts if layout == "heads" else (_heads(part, heads) for part in parts)
    scores = (q @ np.swapaxes(k, -1, -2)) * np.asarray(scale, q.dtype)
    scores = scores if mask is None else scores + mask
    mixed = special.softmax(scores, axis=-1) @ v
    return (mixed if layout == "heads" else np.swapaxes(mixed, -3, -2).reshape(*mixed.shape[:-3], mixed.shape[-2], -1),)


def _heads(x: Array, heads: int) -> Array:
    """[..., T, H d] -> [..., H, T, d]."""
    return np.swapaxes(x.reshape(*x.shape[:-1], heads, -1), -3, -2)


# ---------------------------------------------------------------- windows

def _padded(x: Array, pads: Sequence[int], value: float) -> Array:
    """x with its last axes widened; pads are all begins, then all ends."""
    n = len(pads) // 2
    return np.pad(x, [(0, 0)] * (x.ndim - n) + list(zip(pads[:n], pads[n:])), constant_values=value)


def _windows(x: Array, kernel, strides, dilations, sizes):
    """For every tap of the kernel: its index and x [N, C, *sizes] under that tap."""
    for tap in product(*map(range, kernel)):
        yield tap, x[(..., *(slice(t * d, t * d + (size - 1) * s + 1, s) for t, d, s, size in zip(tap, dilations, strides, sizes)))]


def _conv(node: Node, args, out) -> tuple[Array, ...]:
    """y = act(conv(x, w) + bias) with residual as in Dense. x [N, C, *space], w [M, C/group, *kernel]; second output act2(y gamma + beta), act2 = `second_activation`."""
    x, w, bias, residual, gamma, beta = (*args, *(None,) * (6 - len(args)))
    group, space = node.get("group", 1), x.ndim - 2
    sizes, channel = out.shape[2:], (-1, *(1,) * space)
    grouped = _padded(x, node.attributes["pads"], 0).reshape(x.shape[0], group, x.shape[1] // group, *(s + a + b for s, a, b in _extents(x, node)))
    weights = w.reshape(group, w.shape[0] // group, *w.shape[1:])
    y = np.zeros((x.shape[0], group, w.shape[0] // group, *sizes), x.dtype)
    for tap, part in _windows(grouped, w.shape[2:], node.attributes["strides"], node.attributes["dilations"], sizes):
        y += np.einsum("ngc...,gmc->ngm...", part, weights[(..., *tap)], optimize=True)
    y = _epilogue(node, y.reshape(out.shape), None if bias is None else bias.reshape(channel), residual)
    if len(node.outputs) < 2:
        return (y,)
    return y, activated(y * gamma.reshape(channel) + beta.reshape(channel), node.get("second_activation", "relu"))


def _extents(x: Array, node: Node):
    pads, n = node.attributes["pads"], x.ndim - 2
    return zip(x.shape[2:], pads[:n], pads[n:])


def _conv_transpose(node: Node, args, out) -> tuple[Array, ...]:
    """The gradient of a convolution: x [N, C, *space], w [C, M/group, *kernel]; every input lands on its kernel's window, pads are cut off."""
    x, w, bias = (*args, *(None,) * (3 - len(args)))
    group, strides, dilations, pads = (node.attributes[k] for k in ("group", "strides", "dilations", "pads"))
    n, sizes, kernel = x.ndim - 2, x.shape[2:], w.shape[2:]
    full = [max((s - 1) * st + (k - 1) * d + 1, a + o) for s, st, k, d, a, o in zip(sizes, strides, kernel, dilations, pads, out.shape[2:])]
    y = np.zeros((x.shape[0], group, w.shape[1], *full), x.dtype)
    grouped, weights = x.reshape(x.shape[0], group, -1, *sizes), w.reshape(group, -1, *w.shape[1:])
    for tap, view in _windows(y, kernel, strides, dilations, sizes):
        view += np.einsum("ngc...,gcm->ngm...", grouped, weights[(..., *tap)], optimize=True)
    y = y.reshape(x.shape[0], -1, *full)[(..., *(slice(a, a + o) for a, o in zip(pads, out.shape[2:])))]
    return (y if bias is None else y + bias.reshape(-1, *(1,) * n),)


def _pool(node: Node, args, out) -> tuple[Array, ...]:
    """Max, average or lp over windows of [N, C, *space]. Windows may hang over the end (ceil_mode); an average counts the pads only with count_include_pad, never what lies beyond."""
    (x,), kind = args, node.attributes["kind"]
    kernel, strides, dilations, pads = (node.attributes[k] for k in ("kernel", "strides", "dilations", "pads"))
    n, sizes = x.ndim - 2, out.shape[2:]
    over = [max(0, (o - 1) * s + (k - 1) * d + 1 - (size + a + b)) for o, s, k, d, size, a, b in zip(sizes, strides, kernel, dilations, x.shape[2:], pads[:n], pads[n:])]
    wide = (*pads[:n], *(b + o for b, o in zip(pads[n:], over)))
    taps = [part for _, part in _windows(_padded(x, wide, -np.inf if kind == "max" else 0), kernel, strides, dilations, sizes)]
    if kind == "max":
        return (np.max(taps, axis=0),)
    if kind == "lp":
        p = node.get("p", 2)
        return ((np.sum(np.abs(taps) ** np.asarray(p, x.dtype), axis=0) ** np.asarray(1 / p, x.dtype)).astype(x.dtype),)
    ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
    counted = _padded(_padded(ones, pads, 1.0 if node.get("count_include_pad") else 0.0), (*(0,) * n, *over), 0.0)
    return (np.sum(taps, axis=0) / np.sum([part for _, part in _windows(counted, kernel, strides, dilations, sizes)], axis=0),)


# ---------------------------------------------------------------- reductions and normalisations

def _limits(x: Array) -> tuple:
    """The least and the greatest value of its type: what the maximum and the minimum of nothing are."""
    if x.dtype.kind == "f":
        return -np.inf, np.inf
    return (False, True) if x.dtype.kind == "b" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)


def _logsumexp(x, axis, keepdims):
    return special.logsumexp(x, axis=axis, keepdims=keepdims).astype(x.dtype)


REDUCTIONS: Mapping[str, Callable[..., Array]] = {
    "sum": np.sum, "mean": np.mean, "prod": np.prod,
    "max": lambda x, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims, initial=_limits(x)[0]), "min": lambda x, axis, keepdims: np.min(x, axis=axis, keepdims=keepdims, initial=_limits(x)[1]),
    "l1": lambda x, axis, keepdims: np.sum(np.abs(x), axis=axis, keepdims=keepdims), "l2": lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
    "sumsquare": lambda x, axis, keepdims: np.sum(x * x, axis=axis, keepdims=keepdims),
    "logsum": lambda x, axis, keepdims: np.log(np.sum(x, axis=axis, keepdims=keepdims)), "logsumexp": _logsumexp,
}
"""Kinds of Reduce; axes are sorted and not negative."""


def _reduce(node: Node, args, out) -> tuple[Array, ...]:
    """One of REDUCTIONS over `axes`; `keepdims` keeps them as ones."""
    return (np.asarray(REDUCTIONS[node.attributes["kind"]](args[0], axis=tuple(node.attributes["axes"]), keepdims=bool(node.attributes["keepdims"]))),)


def _softmax(node: Node, args, out) -> tuple[Array, ...]:
    """exp(x - max) / sum along `axis`; its logarithm with `log`."""
    made = special.log_softmax if node.get("log") else special.softmax
    return (made(args[0], axis=node.attributes["axis"]).astype(args[0].dtype),)


def _normalise(node: Node, args, out) -> tuple[Array, ...]:
    """(x - mean) / sqrt(var + epsilon) over `axes`, then * scale + bias (broadcast). Without `centre` the mean is left in (RMS). Further outputs: mean, 1/std, kept as ones."""
    x, scale, bias = (*args, *(None,) * (3 - len(args)))
    axes = tuple(node.attributes["axes"])
    mean = x.mean(axis=axes, keepdims=True) if node.get("centre", True) else np.zeros((1,) * x.ndim, x.dtype)
    inverse = 1 / np.sqrt(np.mean((x - mean) ** 2, axis=axes, keepdims=True) + np.asarray(node.attributes["epsilon"], x.dtype))
    y = (x - mean) * inverse
    y = y if scale is None else y * scale
    y = y if bias is None else y + bias
    return (y, mean, inverse)[:len(node.outputs)]


def _lrn(node: Node, args, out) -> tuple[Array, ...]:
    """x / (bias + alpha/size * sum of x^2 over `size` neighbouring channels)^beta."""
    (x,), size = args, node.attributes["size"]
    squares, before = x * x, (size - 1) // 2
    total = np.concatenate([squares[:, max(0, c - before):c + size - before].sum(axis=1, keepdims=True) for c in range(x.shape[1])], axis=1)
    return ((x / (node.attributes["bias"] + node.attributes["alpha"] / size * total) ** node.attributes["beta"]).astype(x.dtype),)


# ---------------------------------------------------------------- shapes

def _transpose(node: Node, args, out) -> tuple[Array, ...]:
    """Axis k of the result is axis perm[k] of x."""
    return (np.transpose(args[0], node.attributes["perm"]),)


def _slice(node: Node, args, out) -> tuple[Array, ...]:
    """Element i of an axis is x[start + i step]; starts and steps stand for every axis, the sizes are the result's; ends = start + size step."""
    index = np.ix_(*(start + step * np.arange(size) for start, step, size in zip(node.attributes["starts"], node.attributes["steps"], out.shape)))
    return (args[0][index] if out.ndim else args[0],)


def _concat(node: Node, args, out) -> tuple[Array, ...]:
    """The inputs one after the other along `axis`."""
    return (np.concatenate(args, axis=node.attributes["axis"]),)


def _pad(node: Node, args, out) -> tuple[Array, ...]:
    """x widened by `pads` (begins, then ends, none negative) with `mode` constant (`value`), reflect, edge or wrap."""
    pads, n, mode = node.attributes["pads"], args[0].ndim, node.attributes["mode"]
    widths = list(zip(pads[:n], pads[n:]))
    return (np.pad(args[0], widths, constant_values=node.get("value", 0)) if mode == "constant" else np.pad(args[0], widths, mode=mode),)


def _gather(node: Node, args, out) -> tuple[Array, ...]:
    """x.take(indices, axis); indices are a constant and not negative."""
    return (np.take(args[0], args[1].astype(np.int64), axis=node.attributes["axis"]),)


def _expand(node: Node, args, out) -> tuple[Array, ...]:
    """x broadcast to the result's shape."""
    return (np.broadcast_to(args[0], out.shape),)


def _reshape(node: Node, args, out) -> tuple[Array, ...]:
    """The same elements in the same order under the result's shape: no copy, an alias (a copy only where it leaves the graph or comes from a constant)."""
    return (args[0].reshape(out.shape),)


def _cast(node: Node, args, out) -> tuple[Array, ...]:
    """x in the result's type; floats are cut towards zero."""
    return (args[0].astype(out.dtype),)


def _relayout(node: Node, args, out) -> tuple[Array, ...]:
    """The same values stored in another layout."""
    return (args[0],)


OPERATIONS: Mapping[str, Callable[[Node, Sequence, "Out"], tuple[Array, ...]]] = {
    "Map": _map, "Dense": _dense, "MatMul": _matmul, "Attention": _attention, "Conv": _conv, "ConvTranspose": _conv_transpose, "Pool": _pool, "Reduce": _reduce,
    "Softmax": _softmax, "Normalise": _normalise, "LRN": _lrn, "Transpose": _transpose, "Slice": _slice, "Concat": _concat, "Pad": _pad, "Gather": _gather,
    "Expand": _expand, "Reshape": _reshape, "Cast": _cast, "Relayout": _relayout,
}
"""The canonical operations: what passes give, what lowerings take."""


class Out:
    """Shape and type of a node's first result, as an operation needs to know them."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape, self.dtype, self.ndim = shape, np.dtype(dtype), len(shape)


def evaluate(node: Node, graph: Graph, args: Sequence[Array | None], precision: np.dtype = np.dtype(np.float32)) -> tuple[Array, ...]:
    """The results of one node for these inputs (None where one is absent). Raises CompileError for an operation without a meaning here."""
    if node.op not in OPERATIONS:
        raise CompileError(f"{node.op} is not a canonical operation; it comes from {', '.join(map(repr, node.origins)) or 'no node'}.")
    first = graph.tensors[node.outputs[0]]
    out = Out(first.shape, precision if first.dtype == "float32" else np.dtype(first.dtype))
    with np.errstate(all="ignore"):
        return OPERATIONS[node.op](node, args, out)


def interpret(graph: Graph, inputs: Mapping[str, Array] | Sequence[Array], dtype=np.float32) -> dict[str, Array]:
    """Every output of the graph, by name, for these inputs.

    inputs  by name, or in the graph's order
    dtype   the type float32 values are computed in: float64 gives the exact answer to compare with
    Raises CompileError for a missing input, another shape, or an operation that is not canonical.
    """
    return {name: array for name, array in everything(graph, inputs, dtype).items() if name in graph.outputs}


def everything(graph: Graph, inputs: Mapping[str, Array] | Sequence[Array], dtype=np.float32) -> dict[str, Array]:
    """As `interpret`, with every value in between: what a lowering of one node is compared with."""
    values = {**_given(graph, inputs), **graph.constants}
    values = {k: v.astype(dtype) if v.dtype == np.float32 else v for k, v in values.items()}
    for node in graph.nodes:
        made = evaluate(node, graph, [values[name] if name else None for name in node.inputs], np.dtype(dtype))
        for name, array in zip(node.outputs, made):
            if name and array.shape != graph.tensors[name].shape:
                raise CompileError(f"{node.op} gave {name!r} the shape {array.shape}, and the graph says {graph.tensors[name].shape}.")
            values[name] = array
    return values


def _given(graph: Graph, inputs) -> dict[str, Array]:
    named = dict(inputs) if isinstance(inputs, Mapping) else dict(zip(graph.inputs, inputs))
    for name in graph.inputs:
        if name not in named:
            raise CompileError(f"The input {name!r} was not given.")
        if np.shape(named[name]) != graph.shape(name):
            raise CompileError(f"The input {name!r} has the shape {np.shape(named[name])}, and the graph takes {graph.shape(name)}.")
    return {name: np.asarray(named[name], graph.tensors[name].dtype) for name in graph.inputs}
