"""Structure: the region engine and img2table on the same pictures, one after the other in one run."""

import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.table.metrics import teds
from core.table.regions import read_regions
from core.table.table import Cell, Table
from tests.bench.harness import REQUIREMENTS, RivalMissing, Section, Worker, prepare, ratio
from tests.bench.table.pictures import RULED, TablePicture

SIDES = {"img2table": False, "img2table, borderless": True}
"""The rival's two ways: lines only, and with its search for tables without lines."""
NO_PICTURES = "There is no folder tables/wiki_rendered under the data folder (--data DIR or VITRINE_DATA)."
NOTE = ("TEDS-struct and TEDS_struct100 in %, over all pictures of a style, an unanswered one counts 0; wrong: answered, but not exactly right, in %. "
        "No text was read; img2table's largest table counts, its merged cells by the box they share")


@dataclass
class Score:
    """What one side made of one picture: its table's score (nan: no answer) and its CPU seconds, the least of the repeats."""

    score: float
    seconds: float


@dataclass
class Scores:
    """One picture and every side's score."""

    style: str
    sides: dict[str, Score] = field(default_factory=dict)
    name: str = ""


def structure_sections(pictures: Sequence[TablePicture], options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Scores by style with the headline figures, what we got wrong by name, then the ratios of CPU time."""
    quality = Section("structure", "Structure by style", NOTE)
    speed = Section("structure_speed", "Structure, CPU time", "read_regions on the decoded picture against extract_tables without OCR on the decoded picture")
    if not pictures:
        yield quality.skip(NO_PICTURES), None
        return
    worker, reason = start_rival(options)
    try:
        scores, lost = measure(pictures, worker, repeats=1 if options.quick else 2)
        versions |= {f"img2table's {name}": version for name, version in worker.hello["versions"].items()} if worker else {}
    finally:
        if worker:
            worker.__exit__()
    quality.rows = quality_rows(scores)
    speed.rows = speed_rows(scores)
    for section in (quality, speed):
        section.rows += [{"name": "img2table", "reason": f"skipped: {why}"} for why in (reason, lost) if why]
    yield quality, headline(scores)
    yield Section("structure_wrong", "Structure, our own faults", "ruled pictures not exactly right, others answered wrongly", wrong_rows(scores)), None
    yield speed, None


def start_rival(options: Namespace) -> tuple[Worker | None, str]:
    """The rival's process, or None and why not."""
    if options.no_rival:
        return None, "left out (--no-rival)."
    try:
        return Worker(prepare("img2table"), REQUIREMENTS / "img2table_worker.py"), ""
    except RivalMissing as missing:
        return None, str(missing)


def measure(pictures: Sequence[TablePicture], worker: Worker | None, repeats: int) -> tuple[list[Scores], str]:
    """Every side on every picture, the order turned round with each picture; also why the rival was lost on the way, if it was."""
    read_regions(pictures[0].rgb)                # both sides load and warm up before anything is timed
    lost = ""
    found = []
    for number, picture in enumerate(pictures):
        if not lost:
            try:
                found.append(_one(picture, worker, repeats, turned=number % 2 == 1, warm=number == 0))
            except RivalMissing as missing:
                worker, lost = None, f"{missing} (picture {number + 1} of {len(pictures)})"
        if lost:
            found.append(_one(picture, None, repeats, turned=False, warm=False))
        if sys.stderr.isatty():
            print(f"\rstructure: picture {number + 1} of {len(pictures)}", end="" if number + 1 < len(pictures) else "\n", file=sys.stderr)
    return found, lost


def _one(picture: TablePicture, worker: Worker | None, repeats: int, turned: bool, warm: bool) -> Scores:
    calls = {"ours": lambda: _ours(picture)} | ({name: lambda way=way: _rival(picture, worker, way) for name, way in SIDES.items()} if worker else {})
    if warm:
        for call in calls.values():
            call()
    answers: dict[str, list[tuple[Table | None, float]]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name in list(calls)[::-1 if turned else 1]:
            answers[name].append(calls[name]())
    sides = {name: Score(_struct(timed[0][0], picture.true), min(seconds for _, seconds in timed)) for name, timed in answers.items()}
    return Scores(picture.style, sides, picture.path.name)


def _ours(picture: TablePicture) -> tuple[Table | None, float]:
    rgb = picture.rgb
    begun = time.process_time()
    reading = read_regions(rgb)
    return reading.table, time.process_time() - begun


def _rival(picture: TablePicture, worker: Worker, borderless: bool) -> tuple[Table | None, float]:
    answer = worker.ask(path=str(picture.path.resolve()), borderless=borderless)
    if "error" in answer:
        return None, float("nan")
    return largest_table(answer["tables"]), answer["seconds"]


def _struct(table: Table | None, true: Table) -> float:
    return float("nan") if table is None else teds(table, true, structure_only=True)


def largest_table(tables: Sequence[list]) -> Table | None:
    """The rival's table of most grid places, None where it found none."""
    whole = [rows for rows in tables if rows and rows[0]]
    return from_boxes(max(whole, key=lambda rows: len(rows) * len(rows[0]))) if whole else None


def from_boxes(rows: Sequence[Sequence[Sequence[float]]]) -> Table:
    """A Table from a grid of boxes [rows][cols][4] in which a merged cell repeats its box; a shape that is no rectangle falls into rectangles."""
    cols = max(map(len, rows))
    owner = {(r, c): tuple(row[c]) if c < len(row) else (r, c) for r, row in enumerate(rows) for c in range(cols)}
    cells = []
    for r, c in sorted(owner):
        if (r, c) not in owner:
            continue
        box, right, bottom = owner[r, c], c + 1, r + 1
        while owner.get((r, right)) == box:
            right += 1
        while all(owner.get((bottom, k)) == box for k in range(c, right)):
            bottom += 1
        for place in [(i, k) for i in range(r, bottom) for k in range(c, right)]:
            del owner[place]
        cells.append(Cell(r, c, bottom - r, right - c))
    return Table(len(rows), cols, tuple(cells))


# Rows

def figures(scores: Sequence[float]) -> dict[str, float]:
    """TEDS-struct, TEDS_struct100, answered and wrong, in per cent; nan is no answer."""
    values = np.array(scores)
    answered = ~np.isnan(values)
    return {"TEDS-struct": 100 * float(np.where(answered, values, 0).mean()), "struct100": 100 * float((values == 1).mean()),
            "answered": 100 * float(answered.mean()), "wrong": 100 * float((answered & (values != 1)).mean())}


def quality_rows(scores: Sequence[Scores]) -> list[dict]:
    """A row for every style and side, the ruled ones and the others together, and all."""
    styles = sorted({s.style for s in scores}, key=lambda style: (style not in RULED, style))
    groups = {style: [s for s in scores if s.style == style] for style in styles}
    groups["ruled: " + " + ".join(RULED)] = [s for s in scores if s.style in RULED]
    groups["all others"] = [s for s in scores if s.style not in RULED]
    groups["all"] = list(scores)
    return [{"name": name, "side": side, "n": len(group), **figures([s.sides[side].score for s in group if side in s.sides])}
            for name, group in groups.items() if group for side in group[0].sides]


def wrong_rows(scores: Sequence[Scores]) -> list[dict]:
    """Our pictures that are not as they should be, the worst first."""
    ours = [(s, s.sides["ours"].score) for s in scores]
    faults = [(s, score) for s, score in ours if score != 1 and (s.style in RULED or not np.isnan(score))]
    return [{"name": s.name, "style": s.style, "TEDS-struct": 100 * score} for s, score in sorted(faults, key=lambda fault: np.nan_to_num(fault[1]))]


def speed_rows(scores: Sequence[Scores]) -> list[dict]:
    rows = []
    for name, group in (("ruled", [s for s in scores if s.style in RULED]), ("all others", [s for s in scores if s.style not in RULED])):
        for side in SIDES:
            both = [s for s in group if side in s.sides and not np.isnan(s.sides[side].seconds)]
            if both:
                ours, rival = ([s.sides[k].seconds for s in both] for k in ("ours", side))
                rows.append({"name": name, "rival": side, "n": len(both), "ours / rival": ratio(ours, rival), "of the sums": sum(ours) / sum(rival),
                             "ours ms": 1e3 * float(np.median(ours)), "rival ms": 1e3 * float(np.median(rival))})
    return rows


def headline(scores: Sequence[Scores]) -> dict | None:
    """The figures of the gallery: our side on the ruled styles, in per cent."""
    ruled = [s.sides["ours"].score for s in scores if s.style in RULED]
    if not ruled:
        return None
    row = figures(ruled)
    return {"teds_struct": round(row["TEDS-struct"], 2), "struct100": round(row["struct100"], 1), "n": len(ruled)}
