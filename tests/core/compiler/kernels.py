"""How the tests of the kernels run them: every variant of some families over graphs of one node, all in one translation unit per target, against the NumPy definition in double."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.compiler import toolchain
from core.compiler.emit import EmitOptions, Program, emit
from core.compiler.graph import Graph
from core.compiler.interpret import interpret
from core.compiler.lower.variant import Lowering, Target


def offered(graph: Graph, target: Target, families: Sequence[Lowering]) -> dict[str, int]:
    """variant name -> index of the node that has it, for the one node of the graph that is no Relayout."""
    index = next(i for i, n in enumerate(graph.nodes) if n.op != "Relayout")
    return {v.name: index for family in families for v in family(graph.nodes[index], graph, target)}


def programs(graphs: Mapping[str, Graph], target: Target, families: Sequence[Lowering], most: int) -> dict[str, tuple[str, Program]]:
    """program name -> (graph and variant as a message names them, the program)."""
    made = {}
    for k, (title, graph) in enumerate(graphs.items()):
        for j, (variant, index) in enumerate(list(offered(graph, target, families).items())[:most]):
            made[f"k{k}_{j}"] = (f"{title}: {variant}", title, emit(graph, {index: variant}, target, EmitOptions(name=f"k{k}_{j}")))
    return made


def worst(graphs: Mapping[str, Graph], target: Target, families: Sequence[Lowering], folder, at_end: bool = True, most: int = 9) -> dict[str, float]:
    """graph and variant (the first `most` of each) -> the largest error relative to the largest output. Fails where a kernel crashes or touches what is not its own."""
    made = programs(graphs, target, families, most)
    built = toolchain.compile_batch([p for *_, p in made.values()], folder, optimise="-O1")
    inputs = {title: given(graph) for title, graph in graphs.items()}
    called = toolchain.call(built, {name: inputs[title] for name, (_, title, _) in made.items()}, at_end=at_end)
    errors = {}
    for name, (what, title, _) in made.items():
        assert not called[name].failure, f"{what}: {called[name].failure}"
        expected = interpret(graphs[title], inputs[title], np.float64).values()
        errors[what] = max(float(np.abs(a - e).max() / max(np.abs(e).max(), 1e-30)) for a, e in zip(called[name].outputs, expected))
    return errors


def given(graph: Graph, seed: int = 3) -> list[np.ndarray]:
    """Normal numbers for every input, the same for the same seed; what is read as a factor of rows is kept positive."""
    random = np.random.default_rng(seed)
    return [random.standard_normal(graph.shape(name)).astype(np.float32) for name in graph.inputs]
