"""Conv and ConvTranspose of one to three dimensions, any group, stride, dilation and layout: rows of the output gathered tap by tap."""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.lower.generic_matmul import finish
from core.compiler.lower.loops import index, nest, strides_of, tensor
from core.compiler.lower.variant import Code, Target, Variant

TAKEN_TOGETHER = 4
"""Output channels that share each row of the input while it is in registers."""


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Conv with its epilogue, and ConvTranspose."""
    if node.op not in ("Conv", "ConvTranspose"):
        return ()
    x, w, y = (tensor(graph, name) for name in (*node.inputs[:2], node.outputs[0]))
    if len(x.shape) < 3 or {x.dtype, w.dtype, y.dtype} != {"float32"}:
        return ()
    space = y.shape if node.op == "Conv" else x.shape
    work = int(np.prod((*space[:1], *space[2:], *w.shape), dtype=np.int64))
    emit = _conv if node.op == "Conv" else _transposed
    return (Variant("plain", lambda operand: emit(node, graph, operand), work, 4 * w.size),)



def _conv(node: Node, graph: Graph, operand) -> Code:
    """For each row of outputs: sums start at the bias, every tap adds its part of an input row, the epilogue ends it."""
    names = (*node.inputs, *("",) * (6 - len(node.inputs)))
    x, w, y = (tensor(graph, name) for name in (*names[:2], node.outputs[0]))
    n, group, width = len(x.shape) - 2, node.get("group", 1), y.shape[-1]
    together = next(t for t in (TAKEN_TOGETHER, 2, 1) if (w.shape[0] // group) % t == 0)
    xs, ys, ws = strides_of(graph, names[0]), strides_of(graph, node.outputs[0]), strides_of(graph, names[1])
    outer = [f"o{k}" for k in range(n - 1)]
    body = [*finish(node.get("activation")), *(finish(node.get("second_activation", "relu"), "finish_second") if len(node.outputs) > 1 else [])]
    sums = [f"float sum[{together}][{width}];",
            *nest([("c", together), ("i", width)], [f"sum[c][i] = {f'{operand(names[2])}[m + c]' if names[2] else '0.0f'};"])]
    rows = _taps(node, x, w, y, xs, ws, operand, names, outer, together)
    ends = nest([("c", together), ("i", width)], _ends(node, graph, operand, names, ys, outer))
    inner = [f"const int m = g * {w.shape[0] // group} + t * {together};", *sums, *rows, *ends]
    loops = [("b", x.shape[0]), ("g", group), ("t", w.shape[0] // group // together), *zip(outer, y.shape[2:-1])]
    return Code("\n".join([*body, *nest(loops, inner)]), ("map_functions.h",))


def _taps(node: Node, x, w, y, xs, ws, operand, names, outer: list[str], together: int) -> list[str]:
    """The loops over input channels and taps: what lies outside the input is left out by the bounds."""
    n = len(x.shape) - 2
    strides, pads, dilations = (node.attributes[k] for k in ("strides", "pads", "dilations"))
    taps = [f"k{k}" for k in range(n)]
    checks, where = [], []
    for k in range(n - 1):
        where.append(f"const int p{k} = {outer[k]} * {strides[k]} + {taps[k]} * {dilations[k]} - {pads[k]};")
        checks.append(f"if (p{k} < 0 || p{k} >= {x.shape[2 + k]}) continue;")
    start = f"const int shift = {taps[-1]} * {dilations[-1]} - {pads[n - 1]};"
    size, stride, width = x.shape[-1], strides[-1], y.shape[-1]
    low = [start, f"const int first = shift >= 0 ? 0 : ({stride - 1} - shift) / {stride};",
           f"const int room = {size - 1} - shift, last = room < 0 ? 0 : room / {stride} + 1 < {width} ? room / {stride} + 1 : {width};"]
    row = f"const float* const row = {operand(names[0])} + b * {xs[0]} + (g * {w.shape[1]} + c) * {xs[1]} + " \
          f"{index(xs[2:-1], [f'p{k}' for k in range(n - 1)])} + shift * {xs[-1]};"
    weights = [f"const float w{j} = {operand(names[1])}[(m + {j}) * {ws[0]} + c * {ws[1]} + {index(ws[2:], taps)}];" for j in range(together)]
    step = stride * xs[-1]
    loop = ["for (int i = first; i < last; ++i) {", f"    const float value = row[i * {step}];" if step != 1 else "    const float value = row[i];",
            *(f"    sum[{j}][i] = vec_fma(w{j}, value, sum[{j}][i]);" for j in range(together)), "}"]
    inner = [*low, row, *weights, *loop]
    nested = [f"for (int {taps[-1]} = 0; {taps[-1]} < {w.shape[-1]}; ++{taps[-1]}) {{", *(f"    {line}" for line in inner), "}"]
    for k in range(n - 2, -1, -1):
        nested = [f"for (int {taps[k]} = 0; {taps[k]} < {w.shape[2 + k]}; ++{taps[k]}) {{", f"    {where[k]}", f"    {checks[k]}", *(f"    {line}" for line in nested), "}"]
    return [f"for (int c = 0; c < {w.shape[1]}; ++c) {{", *(f"    {line}" for line in nested), "}"]


def _ends(node: Node, graph: Graph, operand, names, ys, outer: list[str]) -> list[str]:
    """The epilogue of one value: residual, activation, and the second activated output."""
    axes = ["b", "m + c", *outer, "i"]
    at = index(ys, axes)
    add = [f"value = value + {operand(names[3])}[{index(strides_of(graph, names[3]), axes)}];"] if names[3] else []
    first = bool(node.get("residual_before_activation", False))
    lines = ["float value = sum[c][i];", *(add if first else []), "value = finish(value);", *([] if first else add), f"{operand(node.outputs[0])}[{at}] = value;"]
    if len(node.outputs) > 1:
        second = index(strides_of(graph, node.outputs[1]), axes)
        lines.append(f"{operand(node.outputs[1])}[{second}] = finish_second(value * {operand(names[4])}[m + c] + {operand(names[5])}[m + c]);")
    return lines


def _transposed(node: Node, graph: Graph, operand) -> Code:
    """Every output starts at the bias; every input adds itself, weighted, to its window."""
    names = (*node.inputs, *("",) * (3 - len(node.inputs)))
    x, w, y = (tensor(graph, name) for name in (*names[:2], node.outputs[0]))
    n, group = len(x.shape) - 2, node.attributes["group"]
    strides, pads, dilations = (node.attributes[k] for k in ("strides", "pads", "dilations"))
    xs, ys, ws = strides_of(graph, names[0]), strides_of(graph, node.outputs[0]), strides_of(graph, names[1])
    whole = [f"i{k}" for k in range(n + 2)]
    bias = f"{operand(names[2])}[i1]" if names[2] else "0.0f"
    start = nest(list(zip(whole, y.shape)), [f"{operand(node.outputs[0])}[{index(ys, whole)}] = {bias};"])
    taps, space = [f"k{k}" for k in range(n)], [f"s{k}" for k in range(n)]
    where = [f"const int p{k} = s{k} * {strides[k]} + k{k} * {dilations[k]} - {pads[k]};" for k in range(n)]
    skip = "if (" + " || ".join(f"p{k} < 0 || p{k} >= {y.shape[2 + k]}" for k in range(n)) + ") continue;"
    source = f"{operand(names[0])}[{index(xs, ['b', 'c', *space])}]"
    factor = f"{operand(names[1])}[{index(ws, ['c', 'm', *taps])}]"
    target = f"float& to = {operand(node.outputs[0])}[{index(ys, ['b', f'g * {w.shape[1]} + m', *(f'p{k}' for k in range(n))])}];"
    inner = [*where, skip, target, f"to = vec_fma({source}, {factor}, to);"]
    loops = [("b", x.shape[0]), ("g", group), ("d", x.shape[1] // group), ("m", w.shape[1]), *zip(taps, w.shape[2:]), *zip(space, x.shape[2:])]
    lines = []
    for depth, (variable, extent) in enumerate(loops):              # `continue` needs real loops, even of one pass
        lines.append("    " * depth + f"for (int {variable} = 0; {variable} < {extent}; ++{variable}) {{" + (f" const int c = g * {x.shape[1] // group} + d;" if variable == "d" else ""))
    lines += ["    " * len(loops) + line for line in inner] + ["    " * d + "}" for d in range(len(loops) - 1, -1, -1)]
    return Code("\n".join([*start, *lines]), ("map_vec.h",))
