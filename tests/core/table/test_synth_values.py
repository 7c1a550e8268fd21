"""Values of drawn columns: every kind writes, and a column keeps its format."""

import re

import numpy as np
import pytest

from core.table.synth_values import KINDS, MARKS, UNITS, random_kind, writer

WORDS = ("alpha", "beta", "Gamma", "delta")


@pytest.mark.parametrize("kind", [*KINDS, "unit"])
def test_every_kind_writes_the_same_from_the_same_seed(kind: str) -> None:
    one, other = (writer(kind, WORDS, np.random.default_rng(4)) for _ in range(2))
    texts = [one() for _ in range(20)]
    assert texts == [other() for _ in range(20)] and all(text.strip() for text in texts)


@pytest.mark.parametrize("seed", range(12))
def test_a_column_of_dates_has_one_format(seed: int) -> None:
    write = writer("date", WORDS, np.random.default_rng(seed))
    shapes = {re.sub(r"[A-Za-z]+", "M", re.sub(r"\d+", "9", write())) for _ in range(30)}
    assert len(shapes) == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_column_of_decimals_has_one_count_of_digits(seed: int) -> None:
    write = writer("decimal", WORDS, np.random.default_rng(seed))
    assert len({len(write().split(".")[1]) for _ in range(30)}) == 1


def test_marks_units_and_pools_come_again() -> None:
    rng = np.random.default_rng(1)
    assert {writer("mark", WORDS, rng)() for _ in range(200)} <= set(MARKS) and {writer("unit", WORDS, rng)() for _ in range(200)} <= set(UNITS)
    write = writer("pool", WORDS, rng)
    assert len({write() for _ in range(100)}) <= 5
    assert {random_kind(rng) for _ in range(2000)} == set(KINDS)
