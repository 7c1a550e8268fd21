"""What a Map does when it is x * scale + shift with constants: read off its expression, and asked whether both stand for one axis."""

from dataclasses import dataclass

import numpy as np

from core.compiler.graph import Graph, Node


@dataclass(frozen=True)
class Affine:
    """y = x * scale + shift in float64; the arrays broadcast over x."""

    source: str
    scale: np.ndarray
    shift: np.ndarray

    def along(self, axis: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
        """scale and shift as rows along one axis of a value of this shape, None where they vary along another."""
        found = tuple(_row(a, axis, shape) for a in (self.scale, self.shift))
        return None if any(row is None for row in found) else found


def affine_of(node: Node, graph: Graph) -> Affine | None:
    """The Map as an affine function of its one computed input of the result's shape, None where it is something else."""
    if node.op != "Map" or graph.tensors[node.outputs[0]].dtype != "float32":
        return None
    computed = [name for name in node.inputs if name not in graph.constants]
    if len(computed) != 1 or graph.shape(computed[0]) != graph.shape(node.outputs[0]):
        return None
    found = _linear(node.attributes["expr"], node, graph, computed[0])
    return None if found is None or not np.any(found[0]) else Affine(computed[0], *found)


def _linear(expr: tuple, node: Node, graph: Graph, x: str):
    """(scale, shift) of the expression, None where it is not linear in x; a constant has the scale 0."""
    head, *rest = expr
    if head == "const":
        return np.float64(0), np.asarray(rest[0], np.float64)
    if head == "in":
        name = node.inputs[rest[0]]
        return (np.float64(1), np.float64(0)) if name == x else (np.float64(0), graph.constants[name].astype(np.float64))
    if head not in ("add", "sub", "mul", "neg", "div"):
        return None
    parts = [_linear(e, node, graph, x) for e in rest]
    return None if any(p is None for p in parts) else _combined(head, parts)


def _combined(head: str, parts):
    (a, b), (c, d) = parts[0], parts[-1]
    if head == "neg":
        return -a, -b
    if head in ("add", "sub"):
        sign = 1 if head == "add" else -1
        return a + sign * c, b + sign * d
    if head == "div":
        return None if np.any(c) or not np.all(d) else (a / d, b / d)
    if np.any(a) and np.any(c):
        return None
    return (a * d, b * d) if np.any(a) else (c * b, d * b)


def _row(array: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray | None:
    if array.ndim > len(shape):
        return None
    wide = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    if any(size != 1 for k, size in enumerate(wide.shape) if k != axis):
        return None
    return np.broadcast_to(wide.reshape(-1), (shape[axis],))
