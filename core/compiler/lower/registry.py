"""Which families there are and in which order they are asked: what knows a shape best stands before what takes every shape."""

from core.compiler.graph import CompileError, Graph, Node
from core.compiler.lower import attention, conv, dense, elementwise, generic_conv, generic_matmul, pool, reduce, shapes, winograd
from core.compiler.lower.variant import Lowering, Target, Variant

FAMILIES: tuple[Lowering, ...] = (winograd.lower, conv.lower, dense.lower, attention.lower, elementwise.lower, generic_matmul.lower, generic_conv.lower, pool.lower, reduce.lower, shapes.lower)


def variants(node: Node, graph: Graph, target: Target) -> tuple[Variant, ...]:
    """All variants of the node, the one expected to be best first; names are unique.

    Raises CompileError naming the operator where no family takes it.
    """
    found: dict[str, Variant] = {}
    for family in FAMILIES:
        for variant in family(node, graph, target):
            found.setdefault(variant.name, variant)
    if not found:
        shapes = ", ".join(str(list(graph.shape(name))) for name in filter(None, node.inputs))
        origin = f" (from {node.origins[0]!r})" if node.origins else ""
        raise CompileError(f"{node.op}{origin} over {shapes or 'no input'} has no kernel for {target.name}: change the model so that it does without this operator.")
    return tuple(found.values())
