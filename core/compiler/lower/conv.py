"""Conv of one and two dimensions in blocks of registers: direct with channels in lanes, depthwise, 1 by 1 heads into planes; the epilogue fused."""

import math
from dataclasses import dataclass

import numpy as np

from core.compiler.graph import CHANNELS_LAST, Graph, Node
from core.compiler.lower.epilogue import accumulators, activation, error_of, packed, parts, residual_kind, row, up
from core.compiler.lower.loops import tensor
from core.compiler.lower.variant import Code, Target, Variant



@dataclass(frozen=True)
class Window:
    """A Conv node as the kernels see it: pictures H by W (a line is one row), N of them."""

    node: Node
    graph: Graph
    target: Target
    pictures: int
    group: int
    inputs: int
    outputs: int
    size: tuple[int, int]
    made: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    before: tuple[int, int]

    @property
    def names(self) -> tuple[str, ...]:
        """x, w, bias, residual, gamma, beta."""
        return parts(self.node, 6)

    @property
    def second(self) -> bool:
        return len(self.node.outputs) > 1

    @property
    def pixels(self) -> int:
        return self.made[0] * self.made[1]

    @property
    def registers(self) -> int:
        """Of output channels."""
        return -(-self.outputs // self.target.lanes)

    def weights(self) -> np.ndarray:
        """[KH, KW, inputs per group, outputs]"""
        w = self.graph.constants[self.names[1]]
        return np.ascontiguousarray(w.reshape(*w.shape[:2], *self.kernel).transpose(2, 3, 1, 0))

    def planes(self, name: str) -> bool:
        """Does the picture lie in planes? (One channel or one pixel lies both ways.)"""
        about = tensor(self.graph, name)
        return about.layout != CHANNELS_LAST and about.shape[1] > 1 and math.prod(about.shape[2:]) > 1


def lower(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """Conv in float32 with constant weights over lines and pictures, in any of the two layouts, for targets with registers."""
    window = window_of(node, graph, target)
    if window is None:
        return ()
    if window.group > 1:
        return _depthwise_variants(window)
    return (*_head_variants(window), *_direct_variants(window))


def window_of(node: Node, graph: Graph, target: Target) -> Window | None:
    """The sizes, None where an operand is not what the kernels take."""
    if node.op != "Conv" or target.lanes == 1:
        return None
    x, w, bias, residual, gamma, beta = parts(node, 6)
    given, weights, out = tensor(graph, x), graph.constant(w), tensor(graph, node.outputs[0])
    if weights is None or weights.dtype != np.float32 or given.dtype != "float32" or len(given.shape) not in (3, 4) or 0 in (*given.shape, *out.shape, *weights.shape):
        return None
    if any(name and row(graph, name, out.shape[1]) is None for name in (bias, gamma, beta)):
        return None
    if residual and (tensor(graph, residual).shape != out.shape or (residual in graph.tensors and tensor(graph, residual).layout != out.layout)):
        return None
    if len(node.outputs) > 1 and tensor(graph, node.outputs[1]).layout != out.layout:
        return None
    line = len(given.shape) == 3
    def pair(values, fill: int) -> tuple[int, int]:
        return (fill, int(values[0])) if line else (int(values[0]), int(values[1]))
    window = Window(node, graph, target, given.shape[0], int(node.get("group", 1)), given.shape[1], out.shape[1], pair(given.shape[2:], 1), pair(out.shape[2:], 1),
                    pair(weights.shape[2:], 1), pair(node.attributes["strides"], 1), pair(node.attributes["dilations"], 1), pair(node.attributes["pads"], 0))
    return window if window.kernel[1] <= 32 else None


# ---------------------------------------------------------------- around every kernel

def framed(window: Window, kernel, constants: dict[str, np.ndarray], templates: tuple[str, ...], operand, inside_planes: bool = False, extra: int = 0) -> Code | None:
    """The call of a channels-in-lanes kernel for every picture: pictures that lie in planes are turned before it (unless it reads planes) and after it.

    kernel  (x, y, epilogue type, epilogue value, scratch) -> statements
    extra   bytes of scratch the kernel itself needs
    """
    node, lanes = window.node, window.target.lanes
    x, _, bias, residual, gamma, beta = window.names
    planes_in, planes_out = window.planes(x) and not inside_planes, window.planes(node.outputs[0])
    if planes_out and (window.second or (residual and residual not in window.graph.constants)):
        return None
    constants = dict(constants)
    for key, name in (("bias", bias), ("gamma", gamma), ("beta", beta)):
        if name:
            constants[key] = row(window.graph, name, window.outputs)
    if residual in window.graph.constants:
        constants["residual"] = np.ascontiguousarray(np.moveaxis(window.graph.constants[residual], 1, -1))
    lines, first = activation(node.get("activation"))
    more, second = activation(node.get("second_activation", "relu") if window.second else None, "second_activation")
    kind = f"conv_epilogue<{first}, {_bool(bias)}, {residual_kind(node, residual)}, {_bool(window.second)}, {second}>"
    steps = {"x": window.inputs * math.prod(window.size), "y": window.outputs * window.pixels}
    given, made, scratch = _at(operand(x), steps["x"], window), _at(operand(node.outputs[0]), steps["y"], window), up(extra, 64)
    before, after = [], []
    if planes_in:
        before.append(f"math_turn<{window.inputs}, {math.prod(window.size)}>({given}, (float*)(scratch + {scratch}));")
        given, scratch = f"(const float*)(scratch + {scratch})", scratch + up(4 * steps["x"], 64)
    if planes_out:
        after.append(f"math_turn<{window.pixels}, {window.outputs}>((const float*)(scratch + {scratch}), {made});")
        made, scratch = f"(float*)(scratch + {scratch})", scratch + up(4 * steps["y"], 64)
    added = "nullptr" if not residual else _at("residual" if "residual" in constants else operand(residual), steps["y"], window)
    value = ", ".join(("bias" if bias else "nullptr", added, made, *(("gamma", "beta", _at(operand(node.outputs[1]), steps["y"], window)) if window.second else ("nullptr",) * 3)))
    body = [*lines, *more, f"using epilogue = {kind};", *_each(window, [*before, *kernel(given, made, "epilogue", f"{{{value}}}", "scratch"), *after])]
    needed = (*templates, *(("map_functions.h",) if lines or more else ()), *(("math_turn.h",) if before or after else ()))
    return Code("\n".join(body), needed, constants, scratch)


def _at(name: str, step: int, window: Window) -> str:
    return name if window.pictures == 1 else f"{name} + n * {step}"


def _each(window: Window, lines: list[str]) -> list[str]:
    return lines if window.pictures == 1 else [f"for (int n = 0; n < {window.pictures}; ++n) {{", *(f"    {line}" for line in lines), "}"]


def _bool(value) -> str:
    return "true" if value else "false"


def shape_type(window: Window, planes: bool) -> str:
    """The C++ type that carries the sizes. A 1 by 1 window of step 1 sees one long line of pixels."""
    size, made = window.size, window.made
    if window.kernel == (1, 1) and window.strides == (1, 1) and window.before == (0, 0) and size == made:
        size = made = (1, math.prod(size))
    numbers = (*size, window.inputs, *made, window.outputs, *window.kernel, *window.strides, *window.dilations, *window.before)
    return f"conv_shape<{', '.join(map(str, numbers))}, {_bool(planes)}>"


def _line_width(window: Window) -> int:
    """Pixels in a row as the kernel sees it."""
    one = window.kernel == (1, 1) and window.strides == (1, 1) and window.before == (0, 0) and window.size == window.made
    return window.pixels if one else window.made[1]


# ---------------------------------------------------------------- direct

def _direct_variants(window: Window) -> tuple[Variant, ...]:
    taps = math.prod(window.kernel) * window.inputs
    wide = up(window.outputs, window.target.lanes)
    work = {"multiplies": window.pictures * window.pixels * taps * wide, "weight_bytes": 4 * taps * wide, "error": error_of(window.node)}
    found = []
    for pixels, registers in _blocks(window):
        def emit(operand, pixels=pixels, registers=registers) -> Code | None:
            return _direct(window, pixels, registers, operand)
        found.append(Variant(f"direct {pixels}x{registers}", emit, **work))
    return tuple(found) if possible(window) else ()


def possible(window: Window) -> bool:
    """Does `framed` take it?"""
    residual = window.names[3]
    return not (window.planes(window.node.outputs[0]) and (window.second or (residual and residual not in window.graph.constants)))


def _blocks(window: Window) -> tuple[tuple[int, int], ...]:
    """(pixels, registers): few enough sums to stay in registers, rows covered with little left over, at least eight sums where there are as many."""
    width, room = _line_width(window), accumulators(window.target)

    def cost(pixels: int, registers: int) -> float:
        across = [(pixels, width // pixels), (width % pixels, 1)]
        down = [(registers, window.registers // registers), (window.registers % registers, 1)]
        return sum(max(p * r, 6.0, 0.95 * (p + r)) * n * m for p, n in across for r, m in down if p and n and r and m)
    found = [(p, r) for r in range(1, min(4, window.registers) + 1) for p in range(1, min(width, 28) + 1) if p * r <= room]
    ordered = sorted(found, key=lambda b: (round(cost(*b), 3), -b[0] * b[1], b))
    best, other = ordered[0], next((b for b in ordered if b[1] != ordered[0][1]), None)
    return (best,) if other is None else (best, other)


def _direct(window: Window, pixels: int, registers: int, operand) -> Code | None:
    """Channels in lanes; planes are read where they lie, one value at a time."""
    lanes, planes = window.target.lanes, window.planes(window.names[0])
    weights = packed(window.weights(), registers * lanes, lanes)

    def kernel(x: str, y: str, kind: str, value: str, scratch: str) -> list[str]:
        return [f"conv_direct<{shape_type(window, planes)}, {kind}, {pixels}, {registers}>::run({x}, weights, {value});"]
    return framed(window, kernel, {"weights": weights}, ("conv_direct.h",), operand, inside_planes=True)


# ---------------------------------------------------------------- depthwise

def _depthwise_variants(window: Window) -> tuple[Variant, ...]:
    if not window.group == window.inputs == window.outputs or not possible(window):
        return ()
    taps, wide = math.prod(window.kernel), up(window.outputs, window.target.lanes)
    work = {"multiplies": window.pictures * window.pixels * taps * wide, "weight_bytes": 4 * taps * wide, "error": error_of(window.node)}
    most = 8 if window.target.lanes == 16 else 6
    blocks = math.ceil(window.made[1] / most)
    pixels = math.ceil(window.made[1] / blocks)
    return (Variant(f"depthwise {pixels}", lambda operand: _depthwise(window, pixels, operand), **work),)


def _depthwise(window: Window, pixels: int, operand) -> Code | None:
    """Channels in lanes, each with its own weights."""
    weights = packed(window.weights()[:, :, 0, :], up(window.outputs, window.target.lanes), window.target.lanes)
    numbers = (*window.size, window.inputs, *window.made, window.outputs, *window.kernel, *window.strides, *window.dilations, *window.before)

    def kernel(x: str, y: str, kind: str, value: str, scratch: str) -> list[str]:
        return [f"conv_depthwise<conv_shape<{', '.join(map(str, numbers))}, false>, {kind}, {pixels}>::run({x}, weights, {value});"]
    return framed(window, kernel, {"weights": weights}, ("conv_depthwise.h",), operand)


# ---------------------------------------------------------------- heads

def _head_variants(window: Window) -> tuple[Variant, ...]:
    """From channels last to planes: pixels in lanes."""
    x, _, _, residual, *_ = window.names
    one = window.kernel == (1, 1) and window.strides == (1, 1) and window.before == (0, 0) and window.size == window.made
    if not one or window.second or window.planes(x) or not (window.planes(window.node.outputs[0]) or window.outputs == 1) or window.outputs > 64:
        return ()
    lanes = window.target.lanes
    work = {"multiplies": window.pictures * up(window.pixels, lanes) * window.inputs * window.outputs, "weight_bytes": 4 * window.inputs * window.outputs, "error": error_of(window.node)}
    return (Variant("head", lambda operand: _head(window, operand), **work),)


def _head(window: Window, operand) -> Code:
    node, graph = window.node, window.graph
    x, _, bias, residual, *_ = window.names
    constants = {"weights": np.ascontiguousarray(window.weights()[0, 0].T)}
    if bias:
        constants["bias"] = row(graph, bias, window.outputs)
    if residual in graph.constants:
        constants["residual"] = np.ascontiguousarray(graph.constants[residual])
    lines, kind = activation(node.get("activation"))
    step_x, step_y = window.inputs * window.pixels, window.outputs * window.pixels
    added = "nullptr" if not residual else _at("residual" if "residual" in constants else operand(residual), step_y, window)
    together = math.ceil(window.outputs / math.ceil(window.outputs / 8))
    arguments = (_at(operand(x), step_x, window), "weights", "bias" if bias else "nullptr", added, _at(operand(node.outputs[0]), step_y, window))
    call = f"conv_head<{kind}, {_bool(bias)}, {residual_kind(node, residual)}, {window.pixels}, {window.inputs}, {window.outputs}, {together}>::run({{{', '.join(arguments)}}});"
    return Code("\n".join([*lines, *_each(window, [call])]), ("conv_head.h", *(("map_functions.h",) if lines else ())), constants)
