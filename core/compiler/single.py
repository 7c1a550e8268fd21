"""One node of a graph as a graph of its own: what is compiled, checked and timed when its variants are compared, and what tells equal work apart."""

from dataclasses import dataclass, replace

import numpy as np

from core.compiler.buffers import axes_order
from core.compiler.graph import Graph, Node, Tensor


@dataclass(frozen=True)
class Single:
    """One operation on its own.

    graph  a graph of this node alone, its names replaced by numbers: the same for every node that does the same work
    key    operator, attributes, and type, shape and layout of everything it reads and writes; not the values of constants
    """

    graph: Graph
    key: str

    @property
    def node(self) -> Node:
        return self.graph.nodes[0]


def single(graph: Graph, node: Node) -> Single:
    """The node on its own."""
    names = {name: f"{'c' if name in graph.constants else 'i'}{k}" for k, name in enumerate(dict.fromkeys(filter(None, node.inputs)))}
    names |= {name: f"o{k}" for k, name in enumerate(node.outputs) if name}
    tensors = {names[name]: replace(graph.tensors[name], name=names[name]) for name in names if name in graph.tensors}
    constants = {names[name]: graph.constants[name] for name in names if name in graph.constants}
    alone = Node(node.op, tuple(names.get(n, "") for n in node.inputs), tuple(names.get(n, "") for n in node.outputs), node.attributes, node.origins[:1])
    inputs = tuple(dict.fromkeys(n for n in alone.inputs if n in tensors))
    made = Graph("node", inputs, tuple(filter(None, alone.outputs)), tensors, constants, (alone,))
    return Single(made, key_of(made))


def key_of(graph: Graph) -> str:
    """What work the one node of this graph is."""
    node = graph.nodes[0]

    def about(name: str) -> tuple:
        return _about(graph.tensors[name]) if name in graph.tensors else ("constant", graph.constants[name].dtype.name, graph.constants[name].shape) if name else ()

    return repr((node.op, sorted(node.attributes.items()), tuple((n, about(n)) for n in node.inputs), tuple((n, about(n)) for n in node.outputs)))


def _about(tensor: Tensor) -> tuple:
    return tensor.dtype, tensor.shape, tensor.layout


def samples(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    """Inputs of a graph in ONNX order: normal numbers, whole numbers from -2 to 2, coin tosses; the same for the same seed."""
    random = np.random.default_rng(seed)
    made = []
    for name in graph.inputs:
        tensor = graph.tensors[name]
        kind = np.dtype(tensor.dtype).kind
        drawn = random.standard_normal(tensor.shape) if kind == "f" else random.integers(-2, 3, tensor.shape) if kind == "i" else random.random(tensor.shape) < 0.5
        made.append(np.asarray(drawn, tensor.dtype))
    return made


def stored(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The array as it lies in memory under the tensor's layout, under the tensor's shape."""
    return np.ascontiguousarray(np.transpose(array, axes_order(array.ndim, tensor.layout))).reshape(tensor.shape)


def logical(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The other way: what lies in memory, in ONNX order."""
    order = axes_order(len(tensor.shape), tensor.layout)
    return np.transpose(array.reshape([tensor.shape[k] for k in order]), np.argsort(order)) if order else array
