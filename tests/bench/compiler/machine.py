"""What one core of this machine can do: the limit that every other section is held against."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from core.compiler.roofline import roofline
from tests.bench.harness import Section


def sections(options: Namespace, versions: dict, place: Path) -> Iterator[tuple[Section, dict | None]]:
    """One section; the headline has the peak."""
    section, found = Section("roofline", "What one core can do", "best of 60 blocks on one pinned core; a multiply-add counts as two operations"), roofline()
    section.rows.append(dict(name=f"multiply-adds out of registers, {found.target}", gflops=found.gflops))
    for level, (rate, size) in enumerate(zip(found.gbps, found.cache_bytes), 1):
        section.rows.append(dict(name=f"weights streamed from L{level} ({size >> 10} KB)", gb_per_s=rate, gflops=rate / 2))
    yield section, dict(peak_gflops=round(found.gflops, 1))
