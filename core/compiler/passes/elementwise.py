"""Pass: every elementwise operator becomes a Map with an expression.

Takes   the unary, binary and variadic elementwise operators, Clip, Where, Cast, Gelu of any operator set.
Gives   Map nodes, one per operator; constants of one element stand in the expression; a power of 2, 3 or 0.5 and a division by a constant become products or a root.
"""

import numpy as np

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.passes.rewrite import Rewrite, translated, which

UNARY = dict(Abs="abs", Neg="neg", Sqrt="sqrt", Exp="exp", Log="log", Reciprocal="reciprocal", Floor="floor", Ceil="ceil", Round="round", Sign="sign", Sin="sin", Cos="cos", Tan="tan",
             Asin="asin", Acos="acos", Atan="atan", Sinh="sinh", Cosh="cosh", Asinh="asinh", Acosh="acosh", Atanh="atanh", Erf="erf", Tanh="tanh", Sigmoid="sigmoid", Relu="relu",
             Softplus="softplus", Softsign="softsign", Mish="mish", HardSwish="hard_swish", Not="not", IsNaN="isnan")
BINARY = dict(Add="add", Sub="sub", Mul="mul", Pow="pow", Div="div", Less="less", LessOrEqual="less_equal", Greater="greater", GreaterOrEqual="greater_equal", Equal="equal",
              And="and", Or="or", Xor="xor")
PARAMETERS = dict(LeakyRelu=("leaky_relu", ("alpha", 0.01)), Elu=("elu", ("alpha", 1.0)), Celu=("celu", ("alpha", 1.0)), ThresholdedRelu=("thresholded_relu", ("alpha", 1.0)),
                  Selu=("selu", ("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875)), HardSigmoid=("hard_sigmoid", ("alpha", 0.2), ("beta", 0.5)),
                  Swish=("swish", ("alpha", 1.0)))
VARIADIC = dict(Sum="add", Mean="add", Max="max", Min="min")
LOWEST, HIGHEST = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)


def run(graph: Graph) -> Graph:
    """The graph with Map for every elementwise operator."""
    return translated(graph, TABLE)


def map_node(expr: tuple, inputs: tuple[str, ...], output: str, origins: tuple[str, ...], rewrite: Rewrite) -> Node:
    """A Map of expr, whose ("in", k) count `inputs`: constants of one element go into the expression, inputs that stand twice are read once."""
    places, kept = {}, []
    for k, name in enumerate(inputs):
        array = rewrite.constants.get(name)
        if array is not None and array.size == 1 and (array.ndim <= len(rewrite.shape(output))):
            places[k] = ("const", array.ravel()[0].item())
        else:
            kept += [] if name in kept else [name]
            places[k] = ("in", kept.index(name))
    if not kept and inputs:  # all of them are constants of one element: keep one to read
        return Node("Map", inputs, (output,), {"expr": expr}, origins)
    return Node("Map", tuple(kept), (output,), {"expr": simplified(substituted(expr, places))}, origins)


def substituted(expr: tuple, places: dict[int, tuple]) -> tuple:
    """The expression with ("in", k) replaced by places[k]."""
    if expr[0] == "in":
        return places[expr[1]]
    return expr if expr[0] == "const" else (expr[0], *(substituted(e, places) for e in expr[1:]))


def simplified(expr: tuple) -> tuple:
    """Cheaper equals: small powers, division by a constant whose reciprocal is a normal number."""
    if expr[0] in ("in", "const"):
        return expr
    expr = (expr[0], *map(simplified, expr[1:]))
    if expr[0] == "pow" and expr[2][0] == "const":
        x = expr[1]
        return {1.0: x, 2.0: ("mul", x, x), 3.0: ("mul", ("mul", x, x), x), 0.5: ("sqrt", x), -1.0: ("reciprocal", x)}.get(float(expr[2][1]), expr)
    if expr[0] == "div" and expr[2][0] == "const" and isinstance(expr[2][1], float) and 1e-30 < abs(expr[2][1]) < 1e30:
        return ("mul", expr[1], ("const", float(np.float32(1 / expr[2][1]))))
    return expr


def _unary(node: Node, rewrite: Rewrite) -> list[Node]:
    return [map_node((UNARY[node.op], ("in", 0)), node.inputs, node.outputs[0], node.origins, rewrite)]


def _binary(node: Node, rewrite: Rewrite) -> list[Node]:
    made, (a, b) = [], node.inputs
    if node.attributes["opset"] < 7 and node.get("axis") is not None:
        b, made = _aligned(node, b, int(node.attributes["axis"]), rewrite)
    if not _float_division(node, rewrite) and BINARY[node.op] == "div":
        return [*made, Node("Map", (a, b), node.outputs, {"expr": ("div", ("in", 0), ("in", 1))}, node.origins)]
    return [*made, map_node((BINARY[node.op], ("in", 0), ("in", 1)), (a, b), node.outputs[0], node.origins, rewrite)]


def _float_division(node: Node, rewrite: Rewrite) -> bool:
    return rewrite.dtype(node.outputs[0]) == "float32"


def _aligned(node: Node, b: str, axis: int, rewrite: Rewrite) -> tuple[str, list[Node]]:
    """Operator set 6 says where the second operand lies: ones are put behind it."""
    rank, shape = len(rewrite.shape(node.inputs[0])), rewrite.shape(b)
    behind = rank - (axis % rank) - len(shape)
    if behind <= 0:
        return b, []
    name = rewrite.value(f"{node.outputs[0]}.aligned", (*shape, *(1,) * behind), rewrite.dtype(b))
    return name, [Node("Reshape", (b,), (name,), {}, node.origins)]


def _parameters(node: Node, rewrite: Rewrite) -> list[Node]:
    name, *parameters = PARAMETERS[node.op]
    values = [("const", float(node.get(key, default))) for key, default in parameters]
    return [map_node((name, ("in", 0), *values), node.inputs, node.outputs[0], node.origins, rewrite)]


def _variadic(node: Node, rewrite: Rewrite) -> list[Node]:
    expr = ("in", 0)
    for k in range(1, len(node.inputs)):
        expr = (VARIADIC[node.op], expr, ("in", k))
    expr = ("mul", expr, ("const", float(np.float32(1 / len(node.inputs))))) if node.op == "Mean" else expr
    return [map_node(expr, node.inputs, node.outputs[0], node.origins, rewrite)]


def _gelu(node: Node, rewrite: Rewrite) -> list[Node]:
    return [map_node(("gelu_tanh" if node.get("approximate", "none") == "tanh" else "gelu", ("in", 0)), node.inputs, node.outputs[0], node.origins, rewrite)]


def _prelu(node: Node, rewrite: Rewrite) -> list[Node]:
    x, slope = node.inputs
    made, rank = [], len(rewrite.shape(x))
    if node.attributes["opset"] < 7 and len(rewrite.shape(slope)) == 1 and rewrite.shape(slope) != (1,) and rank > 1:
        slope, made = _aligned(node, slope, 1, rewrite)
    return [*made, map_node(("prelu", ("in", 0), ("in", 1)), (x, slope), node.outputs[0], node.origins, rewrite)]


def _clip(node: Node, rewrite: Rewrite) -> list[Node]:
    low, high = (name if k < len(node.inputs) and (name := node.inputs[k]) else None for k in (1, 2))
    inputs, expr = [node.inputs[0]], ("in", 0)
    for function, name, attribute in (("max", low, "min"), ("min", high, "max")):
        if name is not None:
            inputs.append(name)
            expr = (function, expr, ("in", len(inputs) - 1))
        elif attribute in node.attributes:
            expr = (function, expr, ("const", float(node.attributes[attribute])))
    if expr == ("in", 0):
        return [Node("Reshape", node.inputs[:1], node.outputs, {}, node.origins)]
    return [map_node(expr, tuple(inputs), node.outputs[0], node.origins, rewrite)]


def _where(node: Node, rewrite: Rewrite) -> list[Node]:
    return [map_node(("where", ("in", 0), ("in", 1), ("in", 2)), node.inputs, node.outputs[0], node.origins, rewrite)]


def _mod(node: Node, rewrite: Rewrite) -> list[Node]:
    return [map_node(("fmod" if node.get("fmod", 0) else "mod", ("in", 0), ("in", 1)), node.inputs, node.outputs[0], node.origins, rewrite)]


def _shrink(node: Node, rewrite: Rewrite) -> list[Node]:
    bias, limit, x = ("const", float(node.get("bias", 0.0))), float(node.get("lambd", 0.5)), ("in", 0)
    upper = ("where", ("greater", x, ("const", limit)), ("sub", x, bias), ("const", 0.0))
    return [map_node(("where", ("less", x, ("const", -limit)), ("add", x, bias), upper), node.inputs, node.outputs[0], node.origins, rewrite)]


def _cast(node: Node, rewrite: Rewrite) -> list[Node]:
    function = {"float32": "to_float", "int64": "to_int", "int32": "to_int", "bool": "to_bool"}.get(rewrite.dtype(node.outputs[0]))
    if function is None:
        raise CompileError(f"{which(node)} casts to {rewrite.dtype(node.outputs[0])}, which is not compiled.")
    return [map_node((function, ("in", 0)), node.inputs[:1], node.outputs[0], node.origins, rewrite)]


TABLE = {**dict.fromkeys(UNARY, _unary), **dict.fromkeys(BINARY, _binary), **dict.fromkeys(PARAMETERS, _parameters), **dict.fromkeys(VARIADIC, _variadic), "Gelu": _gelu, "PRelu": _prelu,
         "Clip": _clip, "Where": _where, "Mod": _mod, "Shrink": _shrink, "Cast": _cast, "CastLike": _cast}
