"""The onnx package's own tests as a score: node tests of the reference's operators and the models PyTorch once exported; passed, refused with a sentence, wrong."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.bench.harness import Section
from tests.core.compiler.conformance import PASSED, REFUSED, WRONG, converted_cases, node_cases, score


def sections(options: Namespace, versions: dict, place: Path) -> Iterator[tuple[Section, dict | None]]:
    """Both suites; the headline has what passed."""
    section, made = Section("conformance", "Conformance: the onnx package's own tests", "wrong: another result, a crash or a write beside a buffer; refused: a sentence instead of a program"), {}
    for suite, title, cases in (("node", "node tests of the reference's operators", node_cases()), ("converted", "pytorch-converted", converted_cases())):
        chosen = cases[::12] if options.quick else cases
        scored = score(chosen, place / suite)
        counts = Counter(s.verdict for s in scored)
        section.rows.append(dict(name=title, tests=len(scored), passed=counts[PASSED], refused=counts[REFUSED], wrong=counts[WRONG]))
        section.rows += [dict(name=f"  {s.name}", verdict=s.verdict, reason=s.reason[:160]) for s in scored if s.verdict == WRONG]
        made |= {f"conformance_{suite}_passed": counts[PASSED], f"conformance_{suite}_tests": len(scored), f"conformance_{suite}_wrong": counts[WRONG]}
    yield section, made
