"""The handwriting benchmark: the solver beside LAPACK, the pipeline's time, the classifier on writers it never saw, every pair of letters,
joins in unseen hands, the join lens in a browser, OCR, style."""

from argparse import Namespace
from collections.abc import Iterator
from importlib import import_module

from tests.bench.harness import Section

PARTS = ("solver", "pipeline", "lens", "joins", "unseen", "readability", "real_hands", "classifier")


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Every section in turn; a part's headline figures are added to those before it."""
    gathered: dict = {}
    for part in PARTS:
        for section, headline in import_module(f"{__name__}.{part}").sections(options, versions):
            gathered |= headline or {}
            yield section, dict(gathered) or None
