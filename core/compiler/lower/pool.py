"""Pool: the largest, the mean or the p-norm over windows of one to three dimensions, row by row of the output; LRN over neighbouring channels."""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.lower.loops import index, nest, strides_of, tensor
from core.compiler.lower.variant import Code, Target, Variant


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Pool and LRN of float32 in any layout."""
    if node.op not in ("Pool", "LRN") or len(node.outputs) > 1 or tensor(graph, node.inputs[0]).dtype != "float32":
        return ()
    emit = _pool if node.op == "Pool" else _lrn
    return (Variant("rows", lambda operand: emit(node, graph, operand), error=5e-7 if node.op == "LRN" else 0.0),)


def _pool(node: Node, graph: Graph, operand) -> Code:
    """Each tap of the kernel meets a whole row of outputs; what lies outside the input is left out by the bounds."""
    x, y = tensor(graph, node.inputs[0]), tensor(graph, node.outputs[0])
    xs, ys, kernel, n = strides_of(graph, node.inputs[0]), strides_of(graph, node.outputs[0]), node.attributes["kernel"], len(x.shape) - 2
    kind, p, width = node.attributes["kind"], node.get("p", 2), y.shape[-1]
    start = "-__builtin_inff()" if kind == "max" else "0.0f"
    outer = [f"o{k}" for k in range(n - 1)]
    join = {"max": "row[i] = map_max(value, row[i]);", "average": "row[i] += value;", "lp": f"row[i] += {_power(p)};"}[kind]
    lines = [f"float row[{width}];", *nest([("i", width)], [f"row[i] = {start};"]), *_taps(node, x, width, xs, kernel, outer, operand, join)]
    counts = _counts(node, x, y) if kind == "average" else {}
    taken = " * ".join(f"count{k}[{axis}]" for k, axis in enumerate([*outer, "i"]))
    value = {"max": "row[i]", "average": f"row[i] / ({taken})", "lp": _root(p)}[kind]
    lines += nest([("i", width)], [f"{operand(node.outputs[0])}[{index(ys, ['b', 'c', *outer, 'i'])}] = {value};"])
    return Code("\n".join(nest([("b", x.shape[0]), ("c", x.shape[1]), *zip(outer, y.shape[2:-1])], lines)), ("map_functions.h",), counts)


def _power(p) -> str:
    return {1: "vec_abs(value)", 2: "value * value"}.get(p, f"powf(vec_abs(value), {float(p)}f)")


def _root(p) -> str:
    return {1: "row[i]", 2: "vec_sqrt(row[i])"}.get(p, f"powf(row[i], {1 / p!r}f)")


def _taps(node: Node, x, width: int, xs, kernel, outer: list[str], operand, join: str) -> list[str]:
    """The loops over the taps, with the part of the row each of them meets."""
    n = len(kernel)
    strides, pads, dilations = (node.attributes[k] for k in ("strides", "pads", "dilations"))
    shift, stride, size = f"k{n - 1} * {dilations[-1]} - {pads[n - 1]}", strides[-1], x.shape[-1]
    source = index((*xs[:-1], 1), ["b", "c", *(f"p{k}" for k in range(n - 1)), f"shift * {xs[-1]}"])
    inner = [f"const int shift = {shift}, room = {size - 1} - shift;", f"const int first = shift >= 0 ? 0 : ({stride - 1} - shift) / {stride};",
             f"const int last = room < 0 ? 0 : room / {stride} + 1 < {width} ? room / {stride} + 1 : {width};",
             f"const float* const in = {operand(node.inputs[0])} + {source};",
             "for (int i = first; i < last; ++i) {", f"    const float value = in[{index((stride * xs[-1],), ('i',))}];", f"    {join}", "}"]
    for k in range(n - 1, -1, -1):
        where = [] if k == n - 1 else [f"const int p{k} = {outer[k]} * {strides[k]} + k{k} * {dilations[k]} - {pads[k]};", f"if (p{k} < 0 || p{k} >= {x.shape[2 + k]}) continue;"]
        inner = [f"for (int k{k} = 0; k{k} < {kernel[k]}; ++k{k}) {{", *(f"    {line}" for line in (*where, *inner)), "}"]
    return inner


def _counts(node: Node, x, y) -> dict[str, np.ndarray]:
    """How many taps count, per axis and output position: those inside the input, with count_include_pad those in its padding too."""
    n, tables = len(x.shape) - 2, {}
    strides, pads, dilations = (node.attributes[k] for k in ("strides", "pads", "dilations"))
    for k, taps in enumerate(node.attributes["kernel"]):
        places = np.arange(y.shape[2 + k])[:, None] * strides[k] + np.arange(taps) * dilations[k] - pads[k]
        low, high = (-pads[k], x.shape[2 + k] + pads[n + k]) if node.get("count_include_pad") else (0, x.shape[2 + k])
        tables[f"count{k}"] = ((places >= low) & (places < high)).sum(axis=1).astype(np.float32)
    return tables


def _lrn(node: Node, graph: Graph, operand) -> Code:
    """y = x (bias + alpha / size * sum of squares)^-beta, the power by exp and log."""
    x = tensor(graph, node.inputs[0])
    axes = [f"i{k}" for k in range(len(x.shape))]
    size, before, channels = node.attributes["size"], (node.attributes["size"] - 1) // 2, x.shape[1]
    xs = strides_of(graph, node.inputs[0])
    source = operand(node.inputs[0])
    lines = [f"const int first = i1 < {before} ? 0 : i1 - {before}, last = i1 + {size - before} < {channels} ? i1 + {size - before} : {channels};", "float squares = 0.0f;",
             f"for (int c = first; c < last; ++c) {{ const float value = {source}[{index(xs, ['i0', 'c', *axes[2:]])}]; squares = vec_fma(value, value, squares); }}",
             f"const float base = {float(node.attributes['bias'])!r}f + {node.attributes['alpha'] / size!r}f * squares;",
             f"{operand(node.outputs[0])}[{index(strides_of(graph, node.outputs[0]), axes)}] = {source}[{index(xs, axes)}] * map_exp(map_log(base) * -{float(node.attributes['beta'])!r}f);"]
    return Code("\n".join(nest(list(zip(axes, x.shape)), lines)), ("map_functions.h",))
