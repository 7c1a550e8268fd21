"""Map and Cast: an elementwise expression over broadcast operands, in vectors where all is float32 and lies side by side, else value by value."""

from collections.abc import Callable

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.lower.loops import Walk, broadcast, strides_of, tensor, walk
from core.compiler.lower.variant import Code, Target, Variant

INFIX = {"add": "+", "sub": "-", "mul": "*", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "and": "&", "or": "|", "xor": "^"}
FLOATS = {"abs": "vec_abs", "sqrt": "vec_sqrt", "floor": "vec_floor", "round": "vec_round", "min": "map_min", "max": "map_max", "prelu": "map_leaky_relu"}
WHOLES = ("abs", "sign", "max", "min", "div", "mod", "fmod", "pow")
TRUTH = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not", "and", "or", "xor", "isnan", "to_bool"})
C_TYPES = {"float32": "float", "int64": "int64_t", "int32": "int32_t", "bool": "bool", "float64": "double", "uint8": "uint8_t", "int8": "int8_t"}
APPROXIMATE = frozenset({"exp", "log", "erf", "tanh", "sigmoid", "gelu", "gelu_tanh", "elu", "celu", "selu", "softplus", "mish", "swish"})


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Map and Cast over any shapes, types and layouts."""
    if node.op not in ("Map", "Cast"):
        return ()
    expr = node.get("expr", ("in", 0)) if node.op == "Map" else ("in", 0)
    out = tensor(graph, node.outputs[0])
    steps = [strides_of(graph, node.outputs[0]), *(broadcast(graph, name, out.shape) for name in node.inputs)]
    over = walk(out.shape, steps)
    types = [out.dtype, *(tensor(graph, name).dtype for name in node.inputs)]
    error = 5e-7 if functions(expr) & APPROXIMATE else 0.0
    if node.op == "Map" and set(types) == {"float32"} and all(s[-1] in (0, 1) for s in over.steps):
        return (Variant("vectors", lambda operand: _vectors(node, expr, over, operand), error=error),)
    return (Variant("values", lambda operand: _values(node, expr, over, types, operand), error=error),)


def functions(expr: tuple) -> frozenset[str]:
    """The functions an expression calls."""
    head, *rest = expr
    return frozenset() if head in ("in", "const") else frozenset({head}).union(*(functions(e) for e in rest))


class Expression:
    """Writes an expression as statements, each subexpression once; `kinds` are the types of the inputs: float32 ones become the generic type V."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds
        self.lines: list[str] = []
        self.known: dict[object, tuple[str, str]] = {}

    def write(self, expr: tuple) -> tuple[str, str]:
        """(variable, kind) of the expression; kind is float, bool, or the type of whole numbers."""
        key = repr(expr)
        if key not in self.known:
            self.known[key] = self._write(expr)
        return self.known[key]

    def _write(self, expr: tuple) -> tuple[str, str]:
        head, *rest = expr
        if head == "in":
            return f"in{rest[0]}", self.kinds[rest[0]]
        if head == "const":
            return self._constant(rest[0], "float")
        if head == "pow" and rest[1][0] == "const" and (short := self._power(rest[0], rest[1][1])):
            return short
        values = [self.write(e) for e in rest]
        kinds = [kind for (_, kind), e in zip(values, rest) if e[0] != "const"] or ["float"]
        if head == "where":
            kinds = [kind for (_, kind), e in zip(values[1:], rest[1:]) if e[0] != "const"] or ["float"]
        kind = "float" if "float" in kinds else next((k for k in kinds if k != "bool"), "bool")
        names = [name if own == kind or (head == "where" and place == 0) else self._as(name, own, kind, rest[place]) for place, (name, own) in enumerate(values)]
        return self._call(head, names, kind)

    def _as(self, name: str, own: str, kind: str, expr: tuple) -> str:
        """A value of another kind: constants are written anew, others converted."""
        if expr[0] == "const":
            return self._constant(expr[1], kind)[0]
        if kind == "float":
            return self._let(f"{name} ? splat<V>(1.0f) : splat<V>(0.0f)" if own == "bool" else f"V({name})")
        return self._let(f"{kind}({name})")

    def _call(self, head: str, names: list[str], kind: str) -> tuple[str, str]:
        made = "bool" if head in TRUTH else kind
        if head in INFIX:
            return self._let(f"{names[0]} {INFIX[head]} {names[1]}"), made
        if head in ("neg", "not"):
            return self._let(("-" if head == "neg" else "!") + names[0]), made
        if head == "where":
            return self._let(f"{names[0]} ? {names[1]} : {names[2]}"), made
        if head == "isnan":
            return self._let(f"{names[0]} != {names[0]}"), made
        if head.startswith("to_"):
            return self._converted(head, names[0], kind)
        if kind == "float":
            return self._float(head, names), made
        return self._whole(head, names, kind), made

    def _converted(self, head: str, name: str, kind: str) -> tuple[str, str]:
        if head == "to_bool":
            return self._let(f"{name} != {'splat<V>(0.0f)' if kind == 'float' else '0'}"), "bool"
        if head == "to_int":
            return self._let(f"int64_t({name})"), "int64_t"
        return (name if kind == "float" else self._let(f"V({name})")), "float"

    def _float(self, head: str, names: list[str]) -> str:
        if head == "div":
            return self._let(f"{names[0]} / {names[1]}")
        if head == "reciprocal":
            return self._let(f"1.0f / {names[0]}")
        return self._let(f"{FLOATS.get(head, 'map_' + head)}({', '.join(names)})")

    def _whole(self, head: str, names: list[str], kind: str) -> str:
        if head in ("floor", "ceil", "round"):
            return names[0]
        if head == "relu":
            return self._let(f"whole_max({names[0]}, {kind}(0))")
        if head == "clip":
            return self._let(f"whole_min(whole_max({names[0]}, {names[1]}), {names[2]})")
        if head not in WHOLES:
            raise CompileError(f"{head} over {kind} has no kernel: convert to float32 first.")
        return self._let(f"whole_{head}({', '.join(names)})")

    def _power(self, base: tuple, exponent: float) -> tuple[str, str] | None:
        """Exponents that need no logarithm."""
        name, kind = self.write(base)
        forms = {1: "{0}", 2: "{0} * {0}", 3: "{0} * {0} * {0}", 0.5: "vec_sqrt({0})", -1: "1.0f / {0}", -2: "1.0f / ({0} * {0})", -0.5: "1.0f / vec_sqrt({0})"}
        if kind != "float" or exponent not in forms:
            return None
        return self._let(forms[exponent].format(name)), "float"

    def _constant(self, value: float, kind: str) -> tuple[str, str]:
        from core.compiler.emit import number
        if kind == "float":
            return self._let(f"splat<V>({number(value, 'float32')})"), kind
        return f"{kind}({number(value, 'bool' if kind == 'bool' else 'int64')})", kind

    def _let(self, text: str) -> str:
        name = f"t{len(self.lines)}"
        self.lines.append(f"const auto {name} = {text};")
        return name


def function(expr: tuple, kinds: list[str], name: str = "apply") -> list[str]:
    """The expression as a generic function object of its inputs: V is vec or float."""
    writer = Expression(["float" if k == "float32" else C_TYPES[k] for k in kinds])
    result, kind = writer.write(expr)
    arguments = ", ".join(f"auto in{k}" for k in range(len(kinds)))
    floats = next((f"in{k}" for k, t in enumerate(kinds) if t == "float32"), None)
    generic = f"    using V [[maybe_unused]] = decltype({floats});" if floats else "    using V [[maybe_unused]] = float;"
    silent = "".join(f"(void)in{k};" for k in range(len(kinds)))
    return [f"const auto {name} = []({arguments}) {{", generic, f"    {silent}", *(f"    {line}" for line in writer.lines), f"    return {result};", "};"]


def _vectors(node: Node, expr: tuple, over: Walk, operand: Callable[[str], str]) -> Code:
    """All float32: the innermost loop in vectors, its rest masked."""
    count, outer = over.extents[-1], len(over.extents) - 1
    where = [f"const float* const p{k} = {operand(name)} + {over.offset(k + 1, outer)};" for k, name in enumerate(node.inputs)]
    steps = [s[-1] for s in over.steps[1:]]

    def call(load: str) -> str:
        return "apply(" + ", ".join(load.format(k) if step else f"s{k}" for k, step in enumerate(steps)) + ")"
    where += [f"const vec s{k} = vec_set(*p{k});" for k, step in enumerate(steps) if not step]
    inner = [f"float* const y = {operand(node.outputs[0])} + {over.offset(0, outer)};", *where, "int j = 0; (void)j;",
             f"for (; j + VEC_LANES <= {count}; j += VEC_LANES) vec_store(y + j, {call('vec_load(p{0} + j)')});",
             f"if (const int left = {count} % VEC_LANES) vec_store_first(y + j, {call('vec_load_first(p{0} + j, left)')}, left);"]
    if not over.steps[0][-1]:                                       # a single value
        inner = [*inner[:-3], f"vec_store_first(y, {call('s{0}')}, 1);"]
    body = [*function(expr, ["float32"] * len(steps)), *over.nest(inner, outer)]
    return Code("\n".join(body), ("map_functions.h",))


def _values(node: Node, expr: tuple, over: Walk, types: list[str], operand: Callable[[str], str]) -> Code:
    """Any types, any strides: one value at a time."""
    arguments = ", ".join(f"{operand(name)}[{over.offset(k + 1)}]" for k, name in enumerate(node.inputs))
    value = f"apply({arguments})"
    body = [*function(expr, types[1:]), *over.nest([f"{operand(node.outputs[0])}[{over.offset(0)}] = {convert(value, types)};"])]
    return Code("\n".join(body), ("map_functions.h", "map_integers.h"))


def convert(value: str, types: list[str]) -> str:
    """The value in the type of the output; to bool means not zero."""
    return f"{value} != 0" if types[0] == "bool" and types[1:2] != ["bool"] and len(types) == 2 else f"({C_TYPES[types[0]]})({value})"
