"""The compiler benchmark: what the core can do, the six models against hand-written code and every runtime, other models, conformance, real time, turnaround."""

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from core.compiler import toolchain
from core.errors import EngineError
from tests.bench.harness import Section

PARTS = ("machine", "models", "unseen", "conformance")


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Every section in turn; a part's headline figures are added to those before it. Without a compiler one section says so."""
    try:
        toolchain.compiler()
    except EngineError as error:
        yield Section("compiler", "Kernels", "").skip(str(error)), None
        return
    gathered: dict = {}
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-compiler-") as place:
        for part in PARTS:
            for section, headline in import_module(f"{__name__}.{part}").sections(options, versions, Path(place)):
                gathered |= headline or {}
                yield section, dict(gathered) or None
