"""How long TEDS itself takes."""

import random
import time

import numpy as np

from core.table.metrics import teds
from core.table.table import Cell, Table
from tests.bench.harness import Section, interleave


def scoring_section() -> Section:
    """TEDS of two tables of 30 x 10 with texts of three lengths; nothing in them is alike, so nothing is saved."""
    section = Section("teds_speed", "TEDS, 30 x 10 against 30 x 10", "two random tables, median of 9; with texts and structure only")
    for longest in (8, 24, 120):
        rng = random.Random(longest)
        one, other = (random_table(rng, 30, 10, longest) for _ in range(2))
        times = interleave({"all": lambda: teds(one, other), "structure": lambda: teds(one, other, structure_only=True)}, 9, time.process_time)
        section.rows.append({"name": f"texts of 0 to {longest} characters", "TEDS": teds(one, other), "ms": 1e3 * float(np.median(times["all"])),
                             "structure only, ms": 1e3 * float(np.median(times["structure"]))})
    return section


def random_table(rng: random.Random, rows: int, cols: int, longest: int) -> Table:
    """A table without spans whose texts are random letters and digits, 0 to `longest` characters each."""
    def text() -> str:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz 0123456789") for _ in range(rng.randint(0, longest)))

    return Table(rows, cols, tuple(Cell(r, c, text=text()) for r in range(rows) for c in range(cols)))
