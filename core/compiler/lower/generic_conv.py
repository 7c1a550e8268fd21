"""Conv and ConvTranspose of one to three dimensions, any group, stride, dilation and layout: rows of the output gathered tap by tap."""

import numpy as np

from core.compiler.graph import Graph, Node
from core.compiler.lower.generic_matmul import finish
from core.compiler.lower.loops import index, nest, strides_of, tensor
from core.compiler.lower.variant import Code, Target, Variant

TAKEN_TOGETHER = 4
"""Output channels that share each row of the input while it is in registers."""
MOST_SCRATCH = 16 << 20
"""Bytes a padded copy of the input may take."""


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
    plain = Variant("plain", lambda operand: emit(node, graph, operand), work, 4 * w.size)
    if node.op == "Conv" and graph.constant(node.inputs[1]) is not None and all(strides_of(graph, name)[-1] == 1 for name in _written_or_added(node)):
        rows = _Rows(node, graph, target)
        if rows.bytes <= MOST_SCRATCH:
            return Variant(f"rows {rows.together}x{rows.vectors}", rows.emit, work * rows.reach // y.shape[-1], 4 * w.size), plain
    return (plain,)


def _written_or_added(node: Node) -> tuple[str, ...]:
    """Outputs and residual: what is met in vectors along the last axis."""
    return (*node.outputs, *filter(None, node.inputs[3:4]))


class _Rows:
    """Conv over a padded copy of the input: no bounds in the inner loop; a stride along the last axis parts each row of the copy into its phases.

    together  output channels in registers at once; vectors: vectors of a row beside them; reach: columns computed, overhang included
    """

    def __init__(self, node: Node, graph: Graph, target: Target) -> None:
        self.node, self.graph = node, graph
        self.x, self.y, self.w = tensor(graph, node.inputs[0]), tensor(graph, node.outputs[0]), graph.constant(node.inputs[1])
        self.group, self.n = node.get("group", 1), len(self.x.shape) - 2
        self.strides, self.pads, self.dilations = (node.attributes[k] for k in ("strides", "pads", "dilations"))
        per_group = self.w.shape[0] // self.group
        self.together = next(t for t in (8, 6, 4, 3, 2, 1) if per_group % t == 0)
        whole = -(-self.y.shape[-1] // target.lanes)
        self.vectors = max(1, min(whole, 4, (24 if target.lanes == 16 else 12) // self.together))
        self.reach = -(-whole // self.vectors) * self.vectors * target.lanes
        self.phase = (self.w.shape[-1] - 1) * self.dilations[-1] // self.strides[-1] + max(self.reach, -(-(self.x.shape[-1] + self.pads[self.n - 1]) // self.strides[-1]))
        sizes = [s + a + b for s, a, b in zip(self.x.shape[2:-1], self.pads[:self.n], self.pads[self.n:])]
        self.steps = [self.phase * self.strides[-1]]                # of the padded copy: channel, outer axes; the last entry is a row
        for size in reversed(sizes):
            self.steps.insert(0, self.steps[0] * size)
        self.bytes = 4 * self.steps[0] * self.w.shape[1]

    def emit(self, operand) -> Code:
        """Zero the copy once; per batch and group fill it and run over its rows."""
        node, outer = self.node, [f"o{k}" for k in range(self.n - 1)]
        blocks = self.w.shape[0] // self.group // self.together
        origin = index([s * step for s, step in zip(self.strides, self.steps[1:])], outer)
        taps = self.w[0].size
        run = [f"const int m = g * {blocks * self.together} + t * {self.together};", *self._put(operand, outer),
               f"generic_conv_row<{self.together}, {self.vectors}, {self.y.shape[-1]}>(copy + {origin}, offsets, {taps}, weights + (g * {blocks} + t) * {taps * self.together}, put);"]
        inner = [*self._fill(operand), *nest([("t", blocks), *zip(outer, self.y.shape[2:-1])], run)]
        body = [*finish(node.get("activation")), *(finish(node.get("second_activation", "relu"), "finish_second") if len(node.outputs) > 1 else []),
                "float* const copy = reinterpret_cast<float*>(scratch);", *nest([("i", self.bytes // 4)], ["copy[i] = 0.0f;"]), *nest([("b", self.x.shape[0]), ("g", self.group)], inner)]
        return Code("\n".join(body), ("generic_conv.h", "map_functions.h"), {"weights": self._weights(), "offsets": self._offsets()}, self.bytes)

    def _weights(self) -> np.ndarray:
        """[group, block, tap, channel of the block]."""
        parted = self.w.reshape(self.w.shape[0] // self.together, self.together, -1)
        return np.ascontiguousarray(parted.transpose(0, 2, 1))

    def _offsets(self) -> np.ndarray:
        """Where each tap's row begins, in the order of the weights."""
        places = np.indices(self.w.shape[1:])
        last = places[-1] * self.dilations[-1]
        where = places[0] * self.steps[0] + last % self.strides[-1] * self.phase + last // self.strides[-1]
        for k in range(self.n - 1):
            where = where + places[1 + k] * self.dilations[k] * self.steps[1 + k]
        return where.reshape(-1).astype(np.int32)

    def _fill(self, operand) -> list[str]:
        """Copy one group's channels into the middle of the padded copy."""
        xs, channels = strides_of(self.graph, self.node.inputs[0]), self.w.shape[1]
        axes = ["c", *(f"p{k}" for k in range(self.n - 1)), "j"]
        base = sum(pad * step for pad, step in zip(self.pads, self.steps[1:]))
        stride, pad = self.strides[-1], self.pads[self.n - 1]
        column = f"j + {pad}" if stride == 1 else f"(j + {pad}) % {stride} * {self.phase} + (j + {pad}) / {stride}"
        source = f"{operand(self.node.inputs[0])}[{index(xs, ['b', f'g * {channels} + c', *axes[1:]])}]"
        return nest(list(zip(axes, (channels, *self.x.shape[2:]))), [f"copy[{base} + {index(self.steps, axes[:-1])} + {column}] = {source};"])

    def _put(self, operand, outer: list[str]) -> list[str]:
        """The epilogue of one vector."""
        node, names = self.node, (*self.node.inputs, *("",) * (6 - len(self.node.inputs)))

        def at(name: str) -> str:
            return f"{operand(name)} + {index(strides_of(self.graph, name), ['b', 'm + o', *outer, 'i'])}"
        add = [f"value = value + vec_load_first({at(names[3])}, lanes);"] if names[3] else []
        first = bool(node.get("residual_before_activation", False))
        lines = [f"value = value + {operand(names[2])}[m + o];"] if names[2] else []
        lines += [*(add if first else []), "value = finish(value);", *([] if first else add), f"vec_store_first({at(node.outputs[0])}, value, lanes);"]
        if len(node.outputs) > 1:
            lines.append(f"vec_store_first({at(node.outputs[1])}, finish_second(value * {operand(names[4])}[m + o] + {operand(names[5])}[m + o]), lanes);")
        return ["const auto put = [&](int o, int i, vec value, int lanes) {", *(f"    {line}" for line in lines), "};"]



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
