"""What the cells of one drawn column say: every column keeps one format from its first cell to its last, as real ones do."""

from collections.abc import Callable, Sequence

import numpy as np

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
KINDS = {"int": 4, "tiny": 3, "money": 3, "decimal": 4, "percent": 3, "year": 2, "date": 4, "name": 4, "long": 2, "short": 3, "code": 1, "mark": 2,
         "spread": 2, "range": 1, "phrase": 2, "pool": 4, "lines": 3, "paired": 2, "bullets": 1, "stub": 1}
"""Kinds of columns and how common they are."""
LENGTHS = {"name": (2, 2), "phrase": (1, 4), "short": (1, 1), "long": (4, 16), "stub": (1, 5)}
"""Words per cell, least and most."""
MARKS = ("–", "x", "#", "Yes", "No", "1", "A", "*", "•", "n/a", "-", "W", "L", "D")
UNITS = ("%", "(%)", "n", "SD", "mg/L", "p-value", "$", "($)", "US$ million", "km", "Total", "Mean", "No.", "#", "Rank", "W", "D", "L", "GF", "Pts",
         "Apps", "Goals", "Avg")

Writer = Callable[[], str]
"""Writes one cell after another of a column."""


def random_kind(rng: np.random.Generator) -> str:
    """A kind of column, as common as KINDS says."""
    weights = np.array(list(KINDS.values()), float)
    return str(rng.choice(list(KINDS), p=weights / weights.sum()))


def writer(kind: str, words: Sequence[str], rng: np.random.Generator) -> Writer:
    """The writer of a column of one kind: its format is drawn once, its values at each call."""
    def some(low: int, high: int) -> str:
        return " ".join(words[i] for i in rng.integers(0, len(words), int(rng.integers(low, high + 1))))

    def lines(low: int, high: int, each: tuple[int, int], before: str = "") -> str:
        return "\n".join(before + some(*each) for _ in range(int(rng.integers(low, high + 1))))
    if kind in LENGTHS:
        return lambda: some(*LENGTHS[kind])
    if kind == "pool":
        return _pool(some, rng)
    if kind == "lines":
        most = int(rng.integers(2, 5))
        return lambda: lines(1 if rng.random() < 0.5 else most, most, (1, 3))
    if kind == "bullets":
        return lambda: lines(1, 4, (3, 9), "• ")
    if kind in ("mark", "unit"):
        return lambda: str(rng.choice(MARKS if kind == "mark" else UNITS))
    return _date(rng) if kind == "date" else _number(kind, rng)


def _pool(some: Callable[[int, int], str], rng: np.random.Generator) -> Writer:
    """Phrases that come again down the column; often they begin or end with the same words, which then stand under each other."""
    phrases = [some(1, 3) for _ in range(int(rng.integers(1, 6)))]
    shared = some(1, 2)
    kind = rng.random()
    phrases = [f"{shared} {p}" for p in phrases] if kind < 0.4 else [f"{p} {shared}" for p in phrases] if kind < 0.6 else phrases
    return lambda: phrases[int(rng.integers(len(phrases)))]


def _date(rng: np.random.Generator) -> Writer:
    form = int(rng.integers(10))

    def write() -> str:
        day, month, year = int(rng.integers(1, 29)), int(rng.integers(12)), int(rng.integers(1900, 2026))
        name, short = MONTHS[month], MONTHS[month][:3]
        return (f"{day} {name} {year}", f"{short} {day}", f"{name} {day}, {year}", f"{year}-{month + 1:02d}-{day:02d}", f"{day} {short}",
                f"{day} {name}", f"{name} {year}", f"{month + 1}/{day}/{year}", f"{short} {day}, {year}", f"{day} {short} {year}")[form]
    return write


def _number(kind: str, rng: np.random.Generator) -> Writer:
    """Numbers with one sign, one count of digits after the point, one range for the whole column."""
    low, most = rng.uniform(0, 2), rng.uniform(1, 6)
    digits, sign, gap = int(rng.integers(1, 4)), str(rng.choice(["$", "$ ", "€", "", "US$ "])), int(rng.integers(1, 5))
    cents = "" if rng.random() < 0.5 else ".2"
    percent = str(rng.choice(["%", " %", "", ""]))

    def big() -> float:
        return float(10 ** rng.uniform(min(low, most), most))

    def money() -> str:
        value = f"{big():,{cents}f}" if cents else f"{int(big()):,}"
        return f"({value})" if rng.random() < 0.1 else f"{sign}{value}"

    def paired() -> str:
        return f"{int(big())}\n({rng.uniform(-9, 99):.1f})"
    writers = {
        "int": lambda: f"{int(big()):,}", "tiny": lambda: str(int(rng.integers(0, 40 if gap > 2 else 10))), "money": money,
        "decimal": lambda: f"{rng.uniform(-9, 99):.{digits}f}", "percent": lambda: f"{rng.uniform(0, 100):.1f}{percent}",
        "year": lambda: str(int(rng.integers(1890, 2030))), "code": lambda: f"{chr(65 + int(rng.integers(26)))}{int(rng.integers(1, 9999))}",
        "spread": lambda: f"{rng.uniform(0, 99):.1f} ± {rng.uniform(0, 9):.1f}" if gap > 1 else f"{rng.uniform(0, 99):.1f} ({rng.uniform(0, 9):.2f})",
        "range": lambda: (lambda v: f"{v}–{v + int(big()) + 1}" if gap > 1 else f"{v} - {v + int(big()) + 1}")(int(big())), "paired": paired}
    return writers[kind]
