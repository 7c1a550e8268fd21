"""Dense and MatMul of any shape: blocks of rows and vectors over unpacked operands, and a plain loop for whatever types and layouts these do not take."""

import numpy as np

from core.compiler.graph import CHANNELS_LAST, Graph, Node
from core.compiler.lower.elementwise import C_TYPES, function
from core.compiler.lower.loops import broadcast, index, nest, strides_of, tensor
from core.compiler.lower.variant import Code, Target, Variant


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Dense and MatMul; Dense in channels_last is nobody's."""
    if node.op == "Dense" and tensor(graph, node.inputs[0]).layout != CHANNELS_LAST:
        return _dense(node, graph)
    if node.op == "MatMul" and all(tensor(graph, name).layout != CHANNELS_LAST for name in (*node.inputs, *node.outputs)):
        return _matmul(node, graph)
    return ()


def finish(activation, name: str = "finish") -> list[str]:
    """A function object that applies an activation attribute to a vector or a float: "none", a name, or (name, parameter, ...)."""
    if activation in (None, "none"):
        return [f"const auto {name} = [](auto y) {{ return y; }};"]
    head, *parameters = (activation,) if isinstance(activation, str) else activation
    return function((head, ("in", 0), *(("const", float(p)) for p in parameters)), ["float32"], name)


# ---------------------------------------------------------------- Dense

def _dense(node: Node, graph: Graph) -> tuple[Variant, ...]:
    shape = tensor(graph, node.inputs[0]).shape
    width, rows = graph.shape(node.inputs[1])[1], int(np.prod(shape[:-1], dtype=np.int64))
    work = {"multiplies": rows * shape[-1] * width, "weight_bytes": 4 * shape[-1] * width}
    layouts = {tensor(graph, name).layout for name in (*node.inputs, *node.outputs) if name and name in graph.tensors}
    plain = Variant("plain", lambda operand: _plain_dense(node, graph, operand), **work)
    if layouts <= {"rows"}:
        return Variant("blocks", lambda operand: _block_dense(node, graph, operand, rows), **work), plain
    return (plain,)


def _parts(node: Node) -> tuple[str, ...]:
    """Names of x, w, bias, residual, row_scale; "" where absent."""
    return (*node.inputs, *("",) * (5 - len(node.inputs)))


def _block_dense(node: Node, graph: Graph, operand, rows: int) -> Code:
    """All operands in rows: the blocked product with the epilogue in its registers."""
    x, w, bias, residual, scale = _parts(node)
    depth, width = graph.shape(w)
    y = operand(node.outputs[0])
    steps = {"scale": _row_steps(graph, scale, rows, 1), "residual": _row_steps(graph, residual, rows, width), "bias": _row_steps(graph, bias, rows, width)}

    def at(name: str, kind: str) -> str:
        row, column = steps[kind]
        base = f"{operand(name)} + m * {row}" + (" + n" if column else "")
        return f"vec_load_first({base}, lanes)" if column else f"vec_set(*({base}))"
    lines = [f"value = value * {at(scale, 'scale')};"] if scale else []
    lines += [f"value = value + {at(bias, 'bias')};"] if bias else []
    add = [f"value = value + {at(residual, 'residual')};"] if residual else []
    first = bool(node.get("residual_before_activation", False))
    lines += (add if first else []) + ["value = finish(value);"] + ([] if first else add) + [f"vec_store_first({y} + m * {width} + n, value, lanes);"]
    body = [*finish(node.get("activation")), "const auto put = [&](int m, int n, vec value, int lanes) {", *(f"    {line}" for line in lines), "};",
            f"generic_matmul<{rows}, {width}>({operand(x)}, {depth}, 1, {operand(w)}, {width}, {depth}, put);", *_squares(node, y, operand, rows, width)]
    return Code("\n".join(body), ("generic_matmul.h", "map_functions.h"))


def _row_steps(graph: Graph, name: str, rows: int, width: int) -> tuple[int, int]:
    """Elements between rows and between columns of an epilogue operand."""
    if not name:
        return 0, 0
    size, last = int(np.prod(graph.shape(name), dtype=np.int64)), (graph.shape(name) or (1,))[-1]
    return (0 if size <= last else last), int(last > 1)


def _squares(node: Node, y: str, operand, rows: int, width: int) -> list[str]:
    """The optional second output: sums of squares per row."""
    if len(node.outputs) < 2:
        return []
    return nest([("m", rows)], [f"const float* const row = {y} + m * {width};", "vec total = {};", "int n = 0;",
                                f"for (; n + VEC_LANES <= {width}; n += VEC_LANES) total = vec_fma(vec_load(row + n), vec_load(row + n), total);",
                                f"if (const int left = {width} % VEC_LANES) {{ const vec some = vec_load_first(row + n, left); total = vec_fma(some, some, total); }}",
                                f"{operand(node.outputs[1])}[m] = vec_sum(total);"])


def _plain_dense(node: Node, graph: Graph, operand) -> Code:
    """Any layouts: three nested loops, and the same epilogue value by value."""
    x, w, bias, residual, scale = _parts(node)
    out = tensor(graph, node.outputs[0])
    axes = [f"i{k}" for k in range(len(out.shape))]
    depth_step = strides_of(graph, x)[-1]

    def at(name: str) -> str:
        return f"{operand(name)}[{index(broadcast(graph, name, out.shape), axes)}]"
    value = [f"float value = 0.0f;", f"const float* const row = {operand(x)} + {index((*strides_of(graph, x)[:-1], 0), axes)};",
             f"for (int k = 0; k < {graph.shape(w)[0]}; ++k) value = vec_fma(row[k * {depth_step}], {operand(w)}[k * {graph.shape(w)[1]} + {axes[-1]}], value);"]
    value += [f"value = value * {at(scale)};"] if scale else []
    value += [f"value = value + {at(bias)};"] if bias else []
    add = [f"value = value + {at(residual)};"] if residual else []
    first = bool(node.get("residual_before_activation", False))
    value += (add if first else []) + ["value = finish(value);"] + ([] if first else add)
    value += [f"{operand(node.outputs[0])}[{index(strides_of(graph, node.outputs[0]), axes)}] = value;"]
    body, loops = finish(node.get("activation")), list(zip(axes, out.shape))
    if len(node.outputs) > 1:
        second = index(broadcast(graph, node.outputs[1], out.shape), axes[:-1] + ["0"])
        inner = ["float squares = 0.0f;", *nest(loops[-1:], [*value, "squares = vec_fma(value, value, squares);"]), f"{operand(node.outputs[1])}[{second}] = squares;"]
        return Code("\n".join([*body, *nest(loops[:-1], inner)]), ("map_functions.h",))
    return Code("\n".join([*body, *nest(loops, value)]), ("map_functions.h",))



# ---------------------------------------------------------------- MatMul

def _matmul(node: Node, graph: Graph) -> tuple[Variant, ...]:
    a, b, out = (tensor(graph, name) for name in (*node.inputs, node.outputs[0]))
    rows = 1 if len(a.shape) == 1 else a.shape[-2]
    columns = 1 if len(b.shape) == 1 else b.shape[-1]
    batch = out.shape[:len(out.shape) - (len(a.shape) > 1) - (len(b.shape) > 1)]
    work = int(np.prod(batch, dtype=np.int64)) * rows * columns * a.shape[-1]
    sizes = (batch, rows, columns, a.shape[-1])
    plain = Variant("plain", lambda operand: _plain_matmul(node, graph, operand, *sizes), work)
    last = strides_of(graph, node.inputs[1])
    contiguous = columns == 1 or last[-1] == 1
    if {a.dtype, b.dtype, out.dtype} == {"float32"} and contiguous and columns > 1 and strides_of(graph, node.outputs[0])[-1] == 1:
        return Variant("blocks", lambda operand: _block_matmul(node, graph, operand, *sizes), work), plain
    return (plain,)


def _steps(graph: Graph, node: Node, batch: tuple[int, ...]):
    """Per operand: strides over the batch axes, and over its two matrix axes (0 where a vector has none)."""
    a, b, y = (strides_of(graph, name) for name in (*node.inputs, node.outputs[0]))
    a2 = a[-2:] if len(a) > 1 else (0, a[0])
    b2 = b[-2:] if len(b) > 1 else (b[0], 0)
    rows_out, columns_out = len(a) > 1, len(b) > 1
    y2 = (y[-1 - columns_out] if rows_out else 0, y[-1] if columns_out else 0)
    lead = [broadcast_batch(graph, name, batch, 2 if len(s) > 1 else 1) for name, s in ((node.inputs[0], a), (node.inputs[1], b))]
    return (lead[0], a2), (lead[1], b2), (y[:len(batch)], y2)


def broadcast_batch(graph: Graph, name: str, batch: tuple[int, ...], matrix: int) -> tuple[int, ...]:
    """Strides over the broadcast batch axes of an operand whose last `matrix` axes are its matrix."""
    shape, own = graph.shape(name)[:-matrix], strides_of(graph, name)[:-matrix]
    lead = len(batch) - len(shape)
    return tuple(0 if k < lead or shape[k - lead] == 1 else own[k - lead] for k in range(len(batch)))


def _pointers(node: Node, operand, steps, axes) -> list[str]:
    names = zip(("a", "b", "y"), (*node.inputs, node.outputs[0]), steps)
    return [f"{'' if k == 'y' else 'const '}auto* const {k} = {operand(name)} + {index(lead, axes)};" for k, name, (lead, _) in names]


def _block_matmul(node: Node, graph: Graph, operand, batch, rows: int, columns: int, depth: int) -> Code:
    steps = _steps(graph, node, batch)
    axes = [f"i{k}" for k in range(len(batch))]
    (_, (a_row, a_step)), (_, (b_row, _)), (_, (y_row, _)) = steps
    inner = [*_pointers(node, operand, steps, axes), f"const auto put = [&](int m, int n, vec value, int lanes) {{ vec_store_first(y + m * {y_row} + n, value, lanes); }};",
             f"generic_matmul<{rows}, {columns}>(a, {a_row}, {a_step}, b, {b_row}, {depth}, put);"]
    return Code("\n".join(nest(list(zip(axes, batch)), inner)), ("generic_matmul.h",))


def _plain_matmul(node: Node, graph: Graph, operand, batch, rows: int, columns: int, depth: int) -> Code:
    """Any types and layouts; float32 sums in the order of k."""
    steps = _steps(graph, node, batch)
    axes = [f"i{k}" for k in range(len(batch))]
    (_, (a_row, a_step)), (_, (b_row, b_step)), (_, (y_row, y_step)) = steps
    kind = C_TYPES[tensor(graph, node.outputs[0]).dtype]
    product = f"a[m * {a_row} + k * {a_step}] * b[k * {b_row} + n * {b_step}]"
    inner = [f"{kind} sum = 0;", f"for (int k = 0; k < {depth}; ++k) sum += {product};", f"y[m * {y_row} + n * {y_step}] = sum;"]
    return Code("\n".join(nest(list(zip(axes, batch)), [*_pointers(node, operand, steps, axes), *nest([("m", rows), ("n", columns)], inner)])))
