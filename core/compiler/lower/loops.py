"""Loop nests over strided operands: axes without extent dropped, neighbours merged, the operand that is written walked in the order of its memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.compiler.buffers import axes_order
from core.compiler.graph import Graph, Tensor


def tensor(graph: Graph, name: str) -> Tensor:
    """What is known of a tensor or a constant (which lies in `rows`)."""
    if name in graph.tensors:
        return graph.tensors[name]
    values = graph.constants[name]
    return Tensor(name, tuple(values.shape), str(values.dtype))


def strides(shape: Sequence[int], layout: str) -> tuple[int, ...]:
    """Elements between neighbours along each logical axis of a tensor stored in that layout."""
    result, step = [0] * len(shape), 1
    for axis in reversed(axes_order(len(shape), layout)):
        result[axis] = step
        step *= shape[axis]
    return tuple(result)


def strides_of(graph: Graph, name: str) -> tuple[int, ...]:
    """The same of a tensor of the graph."""
    about = tensor(graph, name)
    return strides(about.shape, about.layout)


def broadcast(graph: Graph, name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a tensor as NumPy broadcasts it to `shape`: 0 where it repeats."""
    about = tensor(graph, name)
    own = strides(about.shape, about.layout)
    lead = len(shape) - len(own)
    return tuple(0 if axis < lead or about.shape[axis - lead] == 1 else own[axis - lead] for axis in range(len(shape)))


@dataclass(frozen=True)
class Walk:
    """A nest: extents from the outermost to the innermost loop, and each operand's step per loop; never empty (a scalar is one loop of 1)."""

    extents: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]

    def offset(self, operand: int, loops: int | None = None) -> str:
        """The operand's element at the first `loops` loop variables i0, i1, ... (all of them by default), as a C expression."""
        return index(self.steps[operand][:loops], [f"i{k}" for k in range(len(self.extents))])

    def nest(self, body: Sequence[str], loops: int | None = None) -> list[str]:
        """The lines of the first `loops` loops around a body."""
        return nest([(f"i{k}", extent) for k, extent in enumerate(self.extents[:loops])], body)


def nest(loops: Sequence[tuple[str, int]], body: Sequence[str]) -> list[str]:
    """`for` loops (variable, extent) around a body; a loop of one pass becomes a block with a constant."""
    lines = []
    for depth, (variable, extent) in enumerate(loops):
        head = f"for (int {variable} = 0; {variable} < {extent}; ++{variable}) {{" if extent != 1 else f"{{ constexpr int {variable} = 0; (void){variable};"
        lines.append("    " * depth + head)
    lines += ["    " * len(loops) + line for line in body]
    return lines + ["    " * depth + "}" for depth in range(len(loops) - 1, -1, -1)]


def index(steps: Sequence[int], axes: Sequence[str]) -> str:
    """The element at these loop variables (or expressions), as a C expression."""
    terms = [axis if step == 1 else f"{axis if axis.isidentifier() else f'({axis})'} * {step}" for step, axis in zip(steps, axes) if step]
    return " + ".join(terms) or "0"


def walk(extents: Sequence[int], steps: Sequence[Sequence[int]]) -> Walk:
    """The nest over `extents` in the order of the first operand's memory; axes that all operands cross in one go are merged."""
    axes = sorted((a for a in range(len(extents)) if extents[a] != 1), key=lambda a: -abs(steps[0][a]))
    merged: list[tuple[int, list[int]]] = []
    for axis in axes:
        own = [s[axis] for s in steps]
        if merged and all(outer == inner * extents[axis] for outer, inner in zip(merged[-1][1], own)):
            merged[-1] = (merged[-1][0] * extents[axis], own)
        else:
            merged.append((extents[axis], own))
    merged = merged or [(1, [0] * len(steps))]
    return Walk(tuple(e for e, _ in merged), tuple(tuple(m[1][k] for m in merged) for k in range(len(steps))))
