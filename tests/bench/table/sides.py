"""Every way to read a picture's structure, ours and the rival's, one after the other on each picture in one run."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import EngineError
from core.table.config import TableConfig
from core.table.heads import fitting
from core.table.metrics import teds
from core.table.recognise import read_structure
from core.table.regions import read_regions
from core.table.table import Cell, Table
from tests.bench.harness import REQUIREMENTS, RivalMissing, Worker, prepare
from tests.bench.table.pictures import DRAWN, TablePicture

RIVALS = {"img2table": False, "img2table, borderless": True}
"""The rival's two ways: lines only, and with its search for tables without lines."""
DRAFTS = ("greedy", "rules", "heads")
UNTIMED = float("nan")

Answer = tuple[Table | None, float]
"""A table (None: no answer) and the CPU seconds it took."""


@dataclass
class Score:
    """What one side made of one picture: its table's score (nan: no answer) and its CPU seconds (nan: not timed by itself)."""

    score: float
    seconds: float


@dataclass
class Drafts:
    """One picture decoded by every draft: tokens written, decoder calls, CPU and wall seconds of decoding alone, and whether all wrote the same."""

    tokens: int
    calls: dict[str, int]
    cpu: dict[str, float]
    wall: dict[str, float]
    identical: bool


@dataclass
class Scores:
    """One picture and every side's score. same_heads: the mobile model said what the full model's heads said."""

    style: str
    sides: dict[str, Score] = field(default_factory=dict)
    name: str = ""
    set: str = DRAWN
    drafts: Drafts | None = None
    same_heads: bool | None = None


@dataclass
class Nets:
    """The full and the mobile model, None where they are missing here, and why."""

    full: Any = None
    mobile: Any = None
    reason: str = ""

    @classmethod
    def load(cls) -> "Nets":
        from core.table.reader import full_net, mobile_net

        found = cls()
        for name, loader in (("full", full_net), ("mobile", mobile_net)):
            try:
                setattr(found, name, loader())
            except EngineError as error:
                found.reason = f"{found.reason} {error}".strip()
        return found


def start_rival(options: Namespace) -> tuple[Worker | None, str]:
    """The rival's process, or None and why not."""
    if options.no_rival:
        return None, "left out (--no-rival)."
    try:
        return Worker(prepare("img2table"), REQUIREMENTS / "img2table_worker.py"), ""
    except RivalMissing as missing:
        return None, str(missing)


def measure(pictures: Sequence[TablePicture], worker: Worker | None, nets: Nets) -> tuple[list[Scores], str]:
    """Every side on every picture, the order turned round with each picture; also why the rival was lost on the way, if it was."""
    one_picture(pictures[0], worker, nets, 0)                 # everything loads and warms up before anything is timed;
    system(np.ascontiguousarray(pictures[0].rgb[::-1, ::-1]))  # upside down: what only a suspect picture is asked of loads, too
    lost, found = "", []
    for number, picture in enumerate(pictures):
        try:
            found.append(one_picture(picture, worker, nets, number))
        except RivalMissing as missing:
            worker, lost = None, f"{missing} (picture {number + 1} of {len(pictures)})"
            found.append(one_picture(picture, None, nets, number))
        if sys.stderr.isatty():
            print(f"\rstructure: picture {number + 1} of {len(pictures)}", end="" if number + 1 < len(pictures) else "\n", file=sys.stderr)
    return found, lost


def one_picture(picture: TablePicture, worker: Worker | None, nets: Nets, number: int) -> Scores:
    """What every side says of one picture; `number` turns the order round."""
    scores = Scores(picture.style, name=picture.path.name, set=picture.set)
    rgb = picture.rgb
    grey = _grey(rgb)
    answers: dict[str, Answer] = {}

    def model() -> None:
        more, scores.drafts = read_net(nets.full, grey, number)
        answers.update(more)
    calls: dict[str, Callable[[], object]] = {"ours": lambda: answers.update(system(rgb)), "regions": lambda: answers.update(regions=regions(rgb))}
    calls |= {"model": model} if nets.full else {}
    calls |= {"mobile": lambda: answers.update(mobile=timed(lambda: nets.mobile.read(grey).table))} if nets.mobile else {}
    calls |= {name: lambda name=name, way=way: answers.update({name: rival(picture, worker, way)}) for name, way in RIVALS.items()} if worker else {}
    for name in list(calls)[::-1 if number % 2 else 1]:
        calls[name]()
    if nets.full and nets.mobile:
        scores.same_heads = answers["heads"][0] == answers["mobile"][0]
    scores.sides = {name: Score(struct(answers[name][0], picture.true), answers[name][1]) for name in ORDER if name in answers}
    return scores


ORDER = ("ours", "regions", "model", "heads", "decoder", "mobile", *RIVALS)
"""The sides: ours = the system (engine=auto); regions = flood fill alone; model = what the system's model path said; heads and decoder of the full net,
each alone; the mobile net; the rival's two ways."""


def _grey(rgb: np.ndarray) -> np.ndarray:
    from core.table.binarise import to_grey

    return to_grey(rgb)


def timed(call: Callable[[], Table | None]) -> Answer:
    begun = time.process_time()
    table = call()
    return table, time.process_time() - begun


def system(rgb: np.ndarray) -> dict[str, Answer]:
    """The system's table, structure only, and what its model path alone would have said."""
    begun = time.process_time()
    found = read_structure(rgb, TableConfig())
    seconds = time.process_time() - begun
    return {"ours": (found.table, seconds)} | ({"model": (found.model.table, UNTIMED)} if found.model else {})


def regions(rgb: np.ndarray) -> Answer:
    """The region engine alone."""
    return timed(lambda: read_regions(rgb).table)


def rival(picture: TablePicture, worker: Worker, borderless: bool) -> Answer:
    """img2table's largest table, timed in its own process."""
    answer = worker.ask(path=str(picture.path.resolve()), borderless=borderless)
    return (None, UNTIMED) if "error" in answer else (largest_table(answer["tables"]), answer["seconds"])


def read_net(net, grey: np.ndarray, number: int) -> tuple[dict[str, Answer], Drafts]:
    """The full net's heads, its decoder with the heads' draft, and all drafts on the same encoding; `number` says which draft comes first."""
    import torch

    from core.table.decode import by_heads, by_rules, decode, heads_answer, no_draft, to_input
    from core.table.reader import DECODED_CELLS, SCALE

    with torch.inference_mode():
        begun = time.process_time()
        seen = net.encoder(to_input(grey, fitting(*grey.shape, SCALE)))
        answer = heads_answer(net, seen)
        before = time.process_time() - begun
        rules = dict(zip(DRAFTS, (no_draft, by_rules, by_heads(answer.tokens))))
        made, cpu, wall = {}, {}, {}
        for name in [*DRAFTS, *DRAFTS][number % 3:][:3]:
            cpu[name], wall[name] = time.process_time(), time.perf_counter()
            made[name] = decode(net, seen, rules[name], max_cells=DECODED_CELLS)
            cpu[name], wall[name] = time.process_time() - cpu[name], time.perf_counter() - wall[name]
    drafts = Drafts(len(made["greedy"].tokens), {name: len(m.calls) for name, m in made.items()}, cpu, wall, len({m.tokens for m in made.values()}) == 1)
    return {"heads": (answer.table, before), "decoder": (made["heads"].layout().table, before + cpu["heads"])}, drafts


def struct(table: Table | None, true: Table) -> float:
    """TEDS-struct, nan without an answer."""
    return float("nan") if table is None else teds(table, true, structure_only=True)


# The rival's tables

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
