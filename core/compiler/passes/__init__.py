"""The passes from ONNX operators to canonical operations, in the order they run; each is a file with a contract and a golden (the post's section 3.1, first phase)."""

from collections.abc import Callable

from core.compiler.graph import CompileError, Graph, check
from core.compiler.interpret import OPERATIONS
from core.compiler.passes import (
    attention_operator, common_subexpressions, data_movement, drop_leftovers, elementwise, fold_constants, fold_pads, products, reductions, resize, shape_operators,
    simplify_shapes, windows,
)
from core.compiler.passes.rewrite import which

Pass = Callable[[Graph], Graph]

PIPELINE: tuple[tuple[str, Pass], ...] = (
    ("drop_leftovers", drop_leftovers.run),
    ("shape_operators", shape_operators.run),
    ("attention_operator", attention_operator.run),
    ("resize", resize.run),
    ("data_movement", data_movement.run),
    ("elementwise", elementwise.run),
    ("windows", windows.run),
    ("reductions", reductions.run),
    ("fold_constants", fold_constants.run),
    ("products", products.run),
    ("fold_constants again", fold_constants.run),
    ("fold_pads", fold_pads.run),
    ("simplify_shapes", simplify_shapes.run),
    ("common_subexpressions", common_subexpressions.run),
)

_TABLES = (shape_operators, attention_operator, resize, data_movement, elementwise, windows, reductions, products)
OPERATORS = frozenset().union(drop_leftovers.OPERATORS, *(p.TABLE for p in _TABLES), {"Constant", "Shape", "Size"})
"""The ONNX operators a model may have; those of importer.SHAPE_OPERATORS too, where they only depend on shapes."""


def canonicalise(graph: Graph) -> Graph:
    """The graph in canonical operations (core.compiler.interpret says what each means), checked after every pass.

    Raises CompileError with the node that has no canonical form.
    """
    for _, run in PIPELINE:
        graph = check(run(graph))
    for node in graph.nodes:
        if node.op not in OPERATIONS or "opset" in node.attributes:
            raise CompileError(f"{which(node)} is only compiled where it depends on constants, and here it depends on the inputs.")
    return graph
