"""The speech benchmark: quality on voices, noises and rooms that training never used, the latent against the full spectrogram, long recordings."""

from argparse import Namespace
from collections.abc import Iterator
from importlib import import_module

from tests.bench.harness import Section

PARTS = ("cost", "quality", "long")


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Every section in turn; a part's headline figures are added to those before it."""
    gathered: dict = {}
    for part in PARTS:
        for section, headline in import_module(f"{__name__}.{part}").sections(options, versions):
            gathered |= headline or {}
            yield section, dict(gathered) or None
