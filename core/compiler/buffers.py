"""Where every value lies: inputs and outputs in the caller's memory, the rest in one workspace whose bytes are used again once their value is dead."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.compiler.graph import CHANNELS_LAST, COLUMNS, CompileError, Graph, Tensor

LINE = 64


@dataclass(frozen=True)
class Place:
    """kind: input | output (number = position), workspace (number = byte offset) or constant (name); several names may share a place."""

    kind: str
    number: int = 0
    name: str = ""


@dataclass(frozen=True)
class Plan:
    """Places of all tensors, offsets of each node's scratch, outputs to be filled by a copy at the end (position -> tensor), and the workspace's size."""

    places: Mapping[str, Place]
    scratch: Mapping[int, int]
    copies: Mapping[int, str]
    bytes: int


@dataclass(frozen=True)
class _Life:
    """A buffer of the workspace: its bytes and the nodes between which it is alive, both included."""

    key: object
    bytes: int
    first: int
    last: int


def axes_order(rank: int, layout: str) -> tuple[int, ...]:
    """The logical axes from the slowest to the fastest in memory."""
    axes = tuple(range(rank))
    if layout == CHANNELS_LAST and rank > 2:
        return (0, *axes[2:], 1)
    if layout == COLUMNS and rank > 1:
        return (*axes[:-2], axes[-1], axes[-2])
    return axes


def plan(graph: Graph, scratch: Mapping[int, int]) -> Plan:
    """Places for all tensors; `scratch`: node index -> bytes. Buffers start at multiples of 64 bytes and are padded to them; the same graph gives the same plan."""
    roots = _roots(graph)
    places, copies = _callers(graph, roots)
    lives = [*_lives(graph, roots, places), *(_Life(i, size, i, i) for i, size in sorted(scratch.items()) if size)]
    offsets, size = _pack(lives)
    places.update({root: Place("workspace", offsets[root]) for root in offsets if isinstance(root, str)})
    whole = {name: places[roots[name]] for name in graph.tensors}
    return Plan(whole, {key: at for key, at in offsets.items() if isinstance(key, int)}, copies, max(size, LINE))


def _roots(graph: Graph) -> dict[str, str]:
    """Each tensor's and constant's first name: a Reshape gives its input another shape and no other memory."""
    roots = {name: name for name in (*graph.tensors, *graph.constants)}
    for node in graph.nodes:
        if node.op == "Reshape":
            for name in (node.inputs[0], node.outputs[0]):
                if name in graph.tensors and not _plain(graph.tensors[name]):
                    raise CompileError(f"Reshape of {name!r} in layout {graph.tensors[name].layout}: a Relayout has to stand before it.")
            roots[node.outputs[0]] = roots[node.inputs[0]]
    return roots


def _plain(tensor: Tensor) -> bool:
    """Whether its layout puts the values in the order of `rows`."""
    order = [axis for axis in axes_order(len(tensor.shape), tensor.layout) if tensor.shape[axis] != 1]
    return order == sorted(order)


def _callers(graph: Graph, roots: Mapping[str, str]) -> tuple[dict[str, Place], dict[int, str]]:
    """Roots that lie in the caller's memory or are constants; an output whose memory is taken is copied."""
    places = {name: Place("constant", name=name) for name in graph.constants}
    places.update({name: Place("input", i) for i, name in enumerate(graph.inputs)})
    copies: dict[int, str] = {}
    for position, name in enumerate(graph.outputs):
        if roots[name] in places:
            copies[position] = name
        else:
            places[roots[name]] = Place("output", position)
    return places, copies


def _lives(graph: Graph, roots: Mapping[str, str], places: Mapping[str, Place]) -> list[_Life]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for name in filter(None, (*node.inputs, *node.outputs)):
            first.setdefault(roots[name], index)
            last[roots[name]] = index
    return [_Life(root, max(graph.tensors[root].bytes, 1), first[root], last[root]) for root in first if root not in places]


def _pack(lives: list[_Life]) -> tuple[dict, int]:
    """Offsets without overlap in both time and space: the largest first, each at the lowest place that is free during its life."""
    offsets: dict[object, int] = {}
    placed: list[tuple[_Life, int, int]] = []
    for life in sorted(lives, key=lambda one: (-one.bytes, one.first, str(one.key))):
        size = -(-life.bytes // LINE) * LINE
        at = 0
        for _, start, end in sorted(((o, s, e) for o, s, e in placed if o.first <= life.last and life.first <= o.last), key=lambda p: p[1]):
            if at + size <= start:
                break
            at = max(at, end)
        offsets[life.key] = at
        placed.append((life, at, at + size))
    return offsets, max((end for *_, end in placed), default=0)
