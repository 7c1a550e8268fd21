"""A graph as text, the same for the same graph: what goldens hold, what the page shows, what tells two candidates apart."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from core.compiler.graph import ROWS, Graph, Node

MOST_SHOWN = 6


def graph_text(graph: Graph) -> str:
    """One line per input, constant, node and output; names are quoted, so no name can be taken for anything else."""
    lines = [f"graph {_name(graph.name)}"]
    lines += [f"input {_value(graph, name)}" for name in graph.inputs]
    lines += [f"constant {_name(name)} {_array(array)}" for name, array in graph.constants.items()]
    lines += [_node(graph, node) for node in graph.nodes]
    return "\n".join([*lines, *(f"output {_name(name)}" for name in graph.outputs), ""])


def digest(graph: Graph) -> str:
    """A hash of everything a graph computes: structure, attributes and the constants' bytes; the origins of its nodes do not count."""
    made = hashlib.sha256()
    for name, array in graph.constants.items():
        made.update(f"{name!r}{array.dtype}{array.shape}".encode("utf8", "backslashreplace"))
        made.update(np.ascontiguousarray(array).tobytes())
    for tensor in graph.tensors.values():
        made.update(repr(tensor).encode("utf8", "backslashreplace"))
    for node in graph.nodes:
        made.update(repr((node.op, node.inputs, node.outputs, sorted(node.attributes.items()))).encode("utf8", "backslashreplace"))
    made.update(repr((graph.inputs, graph.outputs)).encode("utf8", "backslashreplace"))
    return made.hexdigest()


def _name(name: str) -> str:
    return json.dumps(name)


def _value(graph: Graph, name: str) -> str:
    tensor = graph.tensors[name]
    layout = "" if tensor.layout == ROWS else f" {tensor.layout}"
    return f"{_name(name)} {tensor.dtype}{list(tensor.shape)}{layout}"


def _array(array: np.ndarray) -> str:
    """Type, shape, and the values of a small one or a digest of a large one."""
    shown = " ".join(f"{v:.9g}" if array.dtype.kind == "f" else str(v) for v in array.ravel()[:MOST_SHOWN].tolist())
    return f"{array.dtype.name}{list(array.shape)} " + (shown if array.size <= MOST_SHOWN else f"sha256 {hashlib.sha256(array.tobytes()).hexdigest()[:12]}")


def _node(graph: Graph, node: Node) -> str:
    inputs = ", ".join(_name(name) if name else "-" for name in node.inputs)
    outputs = ", ".join(_value(graph, name) for name in node.outputs if name)
    return f"{outputs} = {node.op}({inputs}){_attributes(node.attributes)}"


def _attributes(attributes: Mapping[str, object]) -> str:
    return "".join(f" {key}={expression_text(value) if key == 'expr' else _plain(value)}" for key, value in sorted(attributes.items()))


def _plain(value) -> str:
    return f"{value:.9g}" if isinstance(value, float) else json.dumps(value, default=str)


def expression_text(expr: tuple) -> str:
    """A Map expression as a formula: in0, in1 ... are the inputs."""
    head, *rest = expr
    if head == "in":
        return f"in{rest[0]}"
    return f"{rest[0]:.9g}" if head == "const" else f"{head}({', '.join(map(expression_text, rest))})"
