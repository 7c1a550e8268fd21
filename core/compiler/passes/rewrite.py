"""What a pass changes a graph with: new values and constants under unused names, and one node after the other replaced."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from core.compiler.graph import CompileError, Graph, Node, Tensor

Rule = Callable[[Node, "Rewrite"], Sequence[Node] | None]
"""(node, rewrite) -> the nodes that take its place; None leaves it."""


class Rewrite:
    """A graph while a pass is at work: what is known of every value, and names nobody has."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors, self.constants = dict(graph.tensors), dict(graph.constants)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape if name in self.tensors else tuple(self.constants[name].shape)

    def dtype(self, name: str) -> str:
        return self.tensors[name].dtype if name in self.tensors else self.constants[name].dtype.name

    def value(self, base: str, shape: Iterable[int], dtype: str = "float32") -> str:
        """The name of a new value."""
        name = self._unused(base)
        self.tensors[name] = Tensor(name, tuple(int(s) for s in shape), dtype)
        return name

    def constant(self, base: str, array: np.ndarray) -> str:
        """The name of a new constant; floats are kept in float32."""
        array = np.array(array, order="C")
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        array.setflags(write=False)
        name = self._unused(base)
        self.constants[name] = array
        return name

    def done(self, nodes: Sequence[Node]) -> Graph:
        """The graph with these nodes, without what no output needs any more."""
        return self.graph.with_nodes(alive(nodes, self.graph.outputs), self.tensors, self.constants)

    def _unused(self, base: str) -> str:
        k, name = 0, base
        while name in self.tensors or name in self.constants:
            k += 1
            name = f"{base}.{k}"
        return name


def alive(nodes: Sequence[Node], outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes whose results reach an output; optional results that nobody reads stay named."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return tuple(reversed(kept))


def each_node(graph: Graph, rule: Rule) -> Graph:
    """Every node once, in order, each replaced by what the rule gives."""
    rewrite, nodes = Rewrite(graph), []
    for node in graph.nodes:
        made = rule(node, rewrite)
        nodes += [node] if made is None else made
    return rewrite.done(nodes)


def translated(graph: Graph, table: Mapping[str, Rule]) -> Graph:
    """Every node whose operator stands in the table, replaced; what the rules need to know wrong is said with the node's name."""
    return each_node(graph, lambda node, rewrite: table[node.op](node, rewrite) if node.op in table and "opset" in node.attributes else None)


def renamed(nodes: Sequence[Node], names: Mapping[str, str]) -> tuple[Node, ...]:
    """The nodes reading other names."""
    def final(name: str) -> str:
        while name in names:
            name = names[name]
        return name

    return tuple(Node(n.op, tuple(map(final, n.inputs)), n.outputs, n.attributes, n.origins) for n in nodes)


def which(node: Node) -> str:
    """How a node is named in a message."""
    return f"The node {node.op} that comes from {', '.join(map(repr, node.origins[:3])) or 'no named node'}"


def known(node: Node, rewrite: Rewrite, position: int, attribute: str, default=None):
    """A parameter that newer files give as an input and older ones as an attribute, as an array; it has to be constant. Raises CompileError."""
    if attribute in node.attributes:
        return np.asarray(node.attributes[attribute])
    name = node.inputs[position] if position < len(node.inputs) else ""
    if not name:
        return default
    if name not in rewrite.constants:
        raise CompileError(f"{which(node)} takes {attribute} from {name!r}, which is computed at run time. Only constant {attribute} are compiled: bind the input or export it as a constant.")
    return rewrite.constants[name]


def ints(node: Node, rewrite: Rewrite, position: int, attribute: str) -> tuple[int, ...] | None:
    """As `known`, as whole numbers."""
    found = known(node, rewrite, position, attribute)
    return None if found is None else tuple(int(v) for v in np.atleast_1d(found).ravel())


def axis_of(node: Node, rewrite: Rewrite, default: int) -> int:
    """The attribute `axis`, counted from the front."""
    rank, axis = len(rewrite.shape(node.inputs[0])), int(node.get("axis", default))
    if not -rank <= axis <= max(rank, 1):
        raise CompileError(f"{which(node)} has the axis {axis}, and its input has {rank} dimensions.")
    return axis + rank if axis < 0 else axis
