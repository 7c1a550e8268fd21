"""The graph every stage of the compiler takes and gives: frozen, static shapes, nodes in the order they run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from core.errors import InputError


class CompileError(InputError):
    """A model, a graph or a target that cannot be compiled; the message says which node and why."""


ROWS, CHANNELS_LAST, COLUMNS = "rows", "channels_last", "columns"
LAYOUTS = (ROWS, CHANNELS_LAST, COLUMNS)


@dataclass(frozen=True)
class Tensor:
    """What is known of a value before the program runs.

    name    unique in its graph; may be any string the model had: never reaches C++ as it is (see `emit.identifiers`)
    shape   as ONNX counts it (NCHW for pictures), whatever the layout; () is a scalar
    dtype   a NumPy name: float32, int64, int32, bool ...
    layout  how it lies in memory: `rows` row major as ONNX has it; `channels_last` a [N, C, *space] tensor stored [N, *space, C];
            `columns` the last two axes exchanged ([..., features, tokens] for [..., tokens, features])
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = ROWS

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Node:
    """One operation.

    op          an ONNX operator name as the importer normalises it, or one of ours after fusion (Dense, Conv, Attention, Map ...)
    inputs      tensor or constant names; "" where an optional input is absent
    outputs     tensor names
    attributes  plain values: int, float, str, bool, tuples of them
    origins     names of the ONNX nodes this one computes, for the page and the comments in the C++
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)
    origins: tuple[str, ...] = ()

    def get(self, name: str, default=None):
        """An attribute, or the default."""
        return self.attributes.get(name, default)


@dataclass(frozen=True)
class Graph:
    """A whole model: `tensors` holds every value that is not constant (inputs and outputs among them), `constants` the others as arrays.

    inputs, outputs  names in the order of the ONNX file; nodes are sorted so that every input stands before its reader.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    constants: Mapping[str, np.ndarray]
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor or a constant."""
        return self.tensors[name].shape if name in self.tensors else tuple(self.constants[name].shape)

    def constant(self, name: str) -> np.ndarray | None:
        """The array behind the name, None where it is computed (or absent)."""
        return self.constants.get(name)

    def producer(self, name: str) -> Node | None:
        """The node that writes it, None for inputs and constants."""
        return next((n for n in self.nodes if name in n.outputs), None)

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read it, in order."""
        return tuple(n for n in self.nodes if name in n.inputs)

    def with_nodes(self, nodes: tuple[Node, ...], tensors: Mapping[str, Tensor] | None = None, constants: Mapping[str, np.ndarray] | None = None) -> "Graph":
        """The same model with other nodes; tensors and constants that nothing names any more are left out."""
        tensors, constants = {**self.tensors, **(tensors or {})}, {**self.constants, **(constants or {})}
        named = {name for n in nodes for name in (*n.inputs, *n.outputs)} | {*self.inputs, *self.outputs}
        return replace(self, nodes=nodes, tensors={k: v for k, v in tensors.items() if k in named}, constants={k: v for k, v in constants.items() if k in named})


def check(graph: Graph) -> Graph:
    """The graph itself when it is whole: every name known, written once and before it is read, layouts known. Raises CompileError otherwise."""
    written = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        for name in filter(None, node.inputs):
            if name not in written:
                raise CompileError(f"{node.op} reads {name!r}, which nothing has written before it.")
        for name in filter(None, node.outputs):
            if name in written:
                raise CompileError(f"{name!r} is written twice, the second time by {node.op}.")
            if name not in graph.tensors or graph.tensors[name].layout not in LAYOUTS:
                raise CompileError(f"{name!r}, written by {node.op}, has no known shape or layout.")
            written.add(name)
    missing = [name for name in graph.outputs if name not in written]
    if missing:
        raise CompileError(f"The outputs {', '.join(map(repr, missing))} are never written.")
    return graph
