"""Reduce, Softmax and Normalise: along the values that lie side by side in vectors, across them with one lane per result, else value by value."""

import numpy as np

from core.compiler.buffers import axes_order
from core.compiler.graph import Graph, Node
from core.compiler.lower.elementwise import C_TYPES
from core.compiler.lower.loops import Walk, broadcast, index, nest, strides_of, tensor, walk
from core.compiler.lower.variant import Code, Target, Variant

JOINS = {"sum": ("0", "a + b"), "mean": ("0", "a + b"), "max": ("-__builtin_inff()", "map_max(b, a)"), "min": ("__builtin_inff()", "map_min(b, a)"), "prod": ("1", "a * b"),
         "l1": ("0", "a + vec_abs(b)"), "l2": ("0", "vec_fma(b, b, a)"), "sumsquare": ("0", "vec_fma(b, b, a)"), "logsum": ("0", "a + b"), "logsumexp": ("0", "a + map_exp(b - shift)")}
"""Kind -> what a total starts from, and how the values b of a vector join the total a."""
ACROSS = {"max": "vec_largest", "min": "vec_smallest", "prod": "vec_product"}
ENDS = {"mean": "{0} / {1}.0f", "l2": "vec_sqrt({0})", "logsum": "map_log({0})", "logsumexp": "map_log({0}) + shift"}
WHOLE = {"sum": ("0", "a + b"), "max": ("lowest", "a > b ? a : b"), "min": ("highest", "a < b ? a : b"), "prod": ("1", "a * b"), "l1": ("0", "a + (b < 0 ? -b : b)"), "sumsquare": ("0", "a + b * b")}


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Reduce of any type, Softmax and Normalise of float32."""
    if node.op == "Reduce":
        return _reduce(node, graph)
    if node.op == "Softmax" and tensor(graph, node.inputs[0]).dtype == "float32" and tensor(graph, node.inputs[0]).layout == tensor(graph, node.outputs[0]).layout:
        return (Variant("rows", lambda operand: _softmax(node, graph, operand), error=5e-7),)
    if node.op == "Normalise" and tensor(graph, node.inputs[0]).dtype == "float32":
        return (Variant("rows", lambda operand: _normalise(node, graph, operand)),)
    return ()


# ---------------------------------------------------------------- Reduce

def _reduce(node: Node, graph: Graph) -> tuple[Variant, ...]:
    x = tensor(graph, node.inputs[0])
    if x.dtype != "float32":
        return (Variant("values", lambda operand: _whole(node, graph, operand)),) if node.attributes["kind"] in WHOLE else ()
    along = _along(node, graph)
    return (Variant("rows" if along else "columns", lambda operand: (_rows if along else _columns)(node, graph, operand)),)


def _walks(node: Node, graph: Graph) -> tuple[Walk, Walk]:
    """The nest over the kept axes (steps of the output, of the input) and over the reduced ones (steps of the input)."""
    x, axes = tensor(graph, node.inputs[0]), set(node.attributes["axes"])
    own, kept = strides_of(graph, node.inputs[0]), [a for a in range(len(x.shape)) if a not in axes]
    out = strides_of(graph, node.outputs[0])
    to = [out[a] for a in kept] if node.attributes["keepdims"] else list(out)
    return walk([x.shape[a] for a in kept], (to, [own[a] for a in kept])), walk([x.shape[a] for a in sorted(axes)], ([own[a] for a in sorted(axes)],))


def _along(node: Node, graph: Graph) -> bool:
    """Whether the reduced values lie side by side (or nothing else does)."""
    kept, over = _walks(node, graph)
    return over.steps[0][-1] == 1 or kept.steps[1][-1] != 1 or kept.steps[0][-1] != 1


def _rows(node: Node, graph: Graph, operand) -> Code:
    """One result at a time, its values in vectors where they lie side by side."""
    kind, (kept, over) = node.attributes["kind"], _walks(node, graph)
    count, y = int(np.prod(over.extents, dtype=np.int64)), operand(node.outputs[0])
    lines = [f"const float* const x = {operand(node.inputs[0])} + {kept.offset(1)};"]
    if kind == "logsumexp":
        lines += [*_total("most", "max", over), "const float shift = vec_abs(most) < __builtin_inff() ? most : 0.0f;"]
    lines += [*_total("total", kind, over), f"{y}[{kept.offset(0)}] = {ENDS.get(kind, '{0}').format('total', count)};"]
    return Code("\n".join(kept.nest(lines)), ("reduce_rows.h",))


def _total(name: str, kind: str, over: Walk) -> list[str]:
    """`float NAME`, the joined values of one result at x."""
    start, join = JOINS[kind]
    rest = {"logsumexp": "-__builtin_inff()"}.get(kind, start)
    axes = [f"j{k}" for k in range(len(over.extents))]
    if over.steps[0][-1] != 1 or over.extents[-1] < 4:
        body = [f"const float b = x[{index(over.steps[0], axes)}], a = {name};", f"{name} = {join.replace('shift', 'float(shift)')};"]
        return [f"float {name} = {start};", *nest(list(zip(axes, over.extents)), body)]
    lambda_ = f"[&](vec a, vec b) {{ return {join.replace('shift', 'vec_set(shift)')}; }}"
    base = index(over.steps[0][:-1], axes)
    inner = [f"{name}_lanes = reduce_row(x + {base}, {over.extents[-1]}, {rest}, {name}_lanes, {lambda_});"]
    return [f"vec {name}_lanes = vec_set({start});", *nest(list(zip(axes, over.extents[:-1])), inner), f"const float {name} = {ACROSS.get(kind, 'vec_sum')}({name}_lanes);"]


def _columns(node: Node, graph: Graph, operand) -> Code:
    """VEC_LANES results at a time, one in each lane."""
    kind, (kept, over) = node.attributes["kind"], _walks(node, graph)
    count, last, outer = int(np.prod(over.extents, dtype=np.int64)), kept.extents[-1], len(kept.extents) - 1
    axes = [f"j{k}" for k in range(len(over.extents))]

    def total(name: str, how: str) -> list[str]:
        start, join = JOINS[how]
        body = [f"const vec b = vec_load_first(x + {index(over.steps[0], axes)}, lanes), a = {name};", f"{name} = {join};"]
        return [f"vec {name} = vec_set({start});", *nest(list(zip(axes, over.extents)), body)]
    shift = [*total("most", "max"), "const vec shift = vec_abs(most) < __builtin_inff() ? most : vec_set(0.0f);"] if kind == "logsumexp" else []
    inner = [f"const int lanes = {last} - i < VEC_LANES ? {last} - i : VEC_LANES;", f"const float* const x = {operand(node.inputs[0])} + {kept.offset(1, outer)} + i;",
             *shift, *total("total", kind), f"vec_store_first({operand(node.outputs[0])} + {kept.offset(0, outer)} + i, {ENDS.get(kind, '{0}').format('total', count)}, lanes);"]
    lines = [f"for (int i = 0; i < {last}; i += VEC_LANES) {{", *(f"    {line}" for line in inner), "}"]
    return Code("\n".join(kept.nest(lines, outer)), ("reduce_rows.h",))


def _whole(node: Node, graph: Graph, operand) -> Code:
    """Whole numbers and truth values, one by one."""
    kind, (kept, over) = node.attributes["kind"], _walks(node, graph)
    about = tensor(graph, node.outputs[0])
    start, join = WHOLE[kind]
    limits = ("false", "true") if about.dtype == "bool" else (f"{about.dtype.upper()}_MIN", f"{about.dtype.upper()}_MAX") if about.dtype.startswith("int") else ("0", "0")
    start = {"lowest": limits[0], "highest": limits[1]}.get(start, start)
    axes, ctype = [f"j{k}" for k in range(len(over.extents))], C_TYPES[about.dtype]
    inner = [f"const {ctype} b = x[{index(over.steps[0], axes)}];", f"a = {join};"]
    lines = [f"const {ctype}* const x = {operand(node.inputs[0])} + {kept.offset(1)};", f"{ctype} a = {start};", *nest(list(zip(axes, over.extents)), inner),
             f"{operand(node.outputs[0])}[{kept.offset(0)}] = a;"]
    return Code("\n".join(kept.nest(lines)))


# ---------------------------------------------------------------- Softmax

def _softmax(node: Node, graph: Graph, operand) -> Code:
    """Rows where the axis is the fastest in memory, else VEC_LANES neighbours at once."""
    x = tensor(graph, node.inputs[0])
    order, axis, log = axes_order(len(x.shape), x.layout), node.attributes["axis"] % max(len(x.shape), 1), str(bool(node.get("log"))).lower()
    at = order.index(axis)
    outer, inner = (int(np.prod([x.shape[a] for a in some], dtype=np.int64)) for some in (order[:at], order[at + 1:]))
    n, source, result = x.shape[axis], operand(node.inputs[0]), operand(node.outputs[0])
    if inner == 1:
        body = [f"softmax_row<{log}>({source} + i * {n}, {result} + i * {n}, {n});"]
    else:
        place = f"i * {n * inner} + j"
        body = [f"for (int j = 0; j < {inner}; j += VEC_LANES) softmax_columns<{log}>({source} + {place}, {result} + {place}, {n}, {inner}, "
                f"{inner} - j < VEC_LANES ? {inner} - j : VEC_LANES);"]
    return Code("\n".join(nest([("i", outer)], body)), ("reduce_rows.h",))


# ---------------------------------------------------------------- Normalise

def _normalise(node: Node, graph: Graph, operand) -> Code:
    """Mean, then the mean of the squared distances, then each value; the two passes of the definition."""
    names, x = (*node.inputs, *("",) * (3 - len(node.inputs))), tensor(graph, node.inputs[0])
    axes = sorted(a % len(x.shape) for a in node.attributes["axes"])
    kept = [a for a in range(len(x.shape)) if a not in axes]
    further = [name for name in node.outputs[1:] if name]
    operands = [node.outputs[0], names[0], *(name for name in names[1:] if name)]
    steps = [broadcast(graph, name, x.shape) for name in operands]
    outer = walk([x.shape[a] for a in kept], [[s[a] for a in kept] for s in (*steps, *(broadcast(graph, name, x.shape) for name in further))])
    over = walk([x.shape[a] for a in axes], [[s[a] for a in axes] for s in steps])
    alone = walk([x.shape[a] for a in axes], [[steps[1][a] for a in axes]])
    count = int(np.prod(over.extents, dtype=np.int64))
    pointers = [f"{'float' if k == 0 else 'const float'}* const p{k} = {operand(name)} + {outer.offset(k)};" for k, name in enumerate(operands)]
    lines = [*pointers, "const float* const x = p1;"]
    lines += [*_total("sum", "sum", alone), f"const float mean = sum / {count}.0f;"] if node.get("centre", True) else ["const float mean = 0.0f;"]
    lines += [*_spread(alone), f"const float inverse = 1.0f / vec_sqrt(squares / {count}.0f + {float(node.attributes['epsilon'])!r}f);", *_scaled(names, over)]
    values = {1: "mean", 2: "inverse"}
    lines += [f"{operand(name)}[{outer.offset(len(operands) + further.index(name))}] = {values[k]};" for k, name in enumerate(node.outputs) if k and name]
    return Code("\n".join(outer.nest(lines)), ("reduce_rows.h",))


def _spread(over: Walk) -> list[str]:
    """`float squares`, the sum of the squared distances from the mean."""
    axes = [f"j{k}" for k in range(len(over.extents))]
    if over.steps[0][-1] != 1:
        return ["float squares = 0.0f;", *nest(list(zip(axes, over.extents)), [f"const float away = x[{index(over.steps[0], axes)}] - mean;", "squares = vec_fma(away, away, squares);"])]
    inner = [f"lanes = reduce_row(x + {index(over.steps[0][:-1], axes)}, {over.extents[-1]}, mean, lanes, "
             "[&](vec a, vec b) { const vec away = b - vec_set(mean); return vec_fma(away, away, a); });"]
    return ["vec lanes = vec_set(0.0f);", *nest(list(zip(axes, over.extents[:-1])), inner), "const float squares = vec_sum(lanes);"]


def _scaled(names: tuple[str, ...], over: Walk) -> list[str]:
    """y = (x - mean) inverse scale + bias, in vectors where everything lies side by side or stays the same."""
    axes = [f"j{k}" for k in range(len(over.extents))]
    scale, bias = (2 if names[1] else 0), (2 + bool(names[1]) if names[2] else 0)

    def value(load) -> str:
        text = f"({load(1)} - mean) * inverse"
        text += f" * {load(scale)}" if scale else ""
        return text + (f" + {load(bias)}" if bias else "")
    if over.steps[0][-1] != 1 or any(s[-1] not in (0, 1) for s in over.steps):
        return nest(list(zip(axes, over.extents)), [f"p0[{index(over.steps[0], axes)}] = {value(lambda k: f'p{k}[{index(over.steps[k], axes)}]')};"])

    def lanes(left: str):
        def load(k: int) -> str:
            at = f"p{k} + {index(over.steps[k][:-1], axes)}"
            return f"vec_set(*({at}))" if not over.steps[k][-1] else f"vec_load_first({at} + j, {left})" if left else f"vec_load({at} + j)"
        return load
    to, n = f"p0 + {index(over.steps[0][:-1], axes)} + j", over.extents[-1]
    inner = ["int j = 0; (void)j;", f"for (; j + VEC_LANES <= {n}; j += VEC_LANES) vec_store({to}, {value(lanes(''))});",
             f"if (const int left = {n} % VEC_LANES) vec_store_first({to}, {value(lanes('left'))}, left);"]
    return nest(list(zip(axes, over.extents[:-1])), inner)
