"""The candidate graphs: every valid combination of the fusion rules, bounded (the post's section 3.1, second phase); which one wins is measured later."""

from collections.abc import Callable
from dataclasses import dataclass

from core.compiler.graph import Graph, check
from core.compiler.graph_text import digest
from core.compiler.passes import (
    assign_layouts, common_subexpressions, fold_batch_norm, fold_constants, fold_layernorm, fuse_activation, fuse_attention, fuse_bias, fuse_maps, fuse_residual, merge_qkv,
    recognise_gelu, recognise_layer_norm, second_output, sink_reshapes, simplify_shapes,
)

MOST_CANDIDATES = 128
ALWAYS = ""
RULES = ("batch_norm", "bias", "gelu", "layer_norm", "qkv", "attention", "activation", "residual", "layout")
"""What each rule stands for is said in the passes it runs; a rule may have several, at their places in STEPS."""


@dataclass(frozen=True)
class Candidate:
    """One way to fuse: the rules that changed something, and the graph they gave."""

    name: str
    rules: tuple[str, ...]
    graph: Graph

    @property
    def nodes(self) -> int:
        return len(self.graph.nodes)


def _tidy(graph: Graph) -> Graph:
    """What every candidate gets at the end of the fusions."""
    for run in (simplify_shapes.run, fuse_maps.run, fold_constants.run, common_subexpressions.run):
        graph = run(graph)
    return graph


STEPS: tuple[tuple[str, Callable[[Graph], Graph]], ...] = (
    ("batch_norm", fold_batch_norm.run),
    ("bias", fuse_bias.run),
    (ALWAYS, sink_reshapes.run),
    ("gelu", recognise_gelu.run),
    ("layer_norm", recognise_layer_norm.run),
    ("qkv", merge_qkv.run),
    ("attention", fuse_attention.run),
    (ALWAYS, sink_reshapes.run),
    ("activation", fuse_activation.run),
    ("residual", fuse_residual.run),
    ("activation", fuse_activation.run),
    ("layer_norm", fold_layernorm.run),
    (ALWAYS, _tidy),
    ("batch_norm", second_output.run),
    ("layout", assign_layouts.run),
)
"""(rule, pass) in the order they run."""


def candidates(graph: Graph, most: int = MOST_CANDIDATES) -> tuple[Candidate, ...]:
    """All different graphs that combinations of RULES make of a canonical graph, the most fused one first.

    Combinations that give the same graph stand once, with the rules that changed something. Above `most` the least fused ones are left out, never the unfused one.
    """
    found = [(frozenset(), frozenset(), graph)]  # rules used, rules declined, graph
    for rule, run in STEPS:
        found = _different([branch for one in found for branch in _branches(one, rule, run)], most)
    made = [Candidate(_name(used, found), tuple(r for r in RULES if r in used), check(g)) for used, _, g in found]
    return tuple(made)


def _branches(one: tuple, rule: str, run: Callable[[Graph], Graph]):
    """With the rule and without it; a rule once used or declined stays so in its later passes."""
    used, declined, graph = one
    if rule == ALWAYS:
        return [(used, declined, run(graph))]
    if rule in declined:
        return [one]
    made = run(graph)
    if made.nodes == graph.nodes and made.tensors == graph.tensors:
        return [one]
    taken = (used | {rule}, declined, made)
    return [taken] if rule in used else [taken, (used, declined | {rule}, graph)]


def _different(found: list[tuple], most: int) -> list[tuple]:
    """Every graph once, the most fused first, at most `most`, the last being the least fused."""
    seen: dict[str, tuple] = {}
    for one in sorted(found, key=lambda f: (-len(f[0]), len(f[2].nodes), sorted(f[1]))):
        seen.setdefault(digest(one[2]) + repr(sorted(one[1])), one)
    kept = list(seen.values())
    return kept if len(kept) <= most else [*kept[:most - 1], kept[-1]]


def _name(used: frozenset, found: list[tuple]) -> str:
    """Said by what is left out of all that any candidate uses."""
    possible = frozenset().union(*(one[0] for one in found))
    left = [rule for rule in RULES if rule in possible - used]
    if not left:
        return "all rules" if used else "as it is"
    return "no rules" if not used else f"without {', '.join(left)}" if len(left) <= len(used) else f"only {', '.join(r for r in RULES if r in used)}"
