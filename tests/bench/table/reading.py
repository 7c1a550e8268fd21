"""Reading: the text of the cells by themselves, and whole pictures of ruled tables from structure to text."""

import time
from collections.abc import Callable, Iterator, Sequence

from core.errors import VitrineError
from core.io.pictures import read_picture
from core.exhibit import Source
from core.table.cells import read_cells
from core.table.config import TableConfig
from core.table.metrics import summary
from core.table.ocr import engine
from core.table.recognise import recognise
from core.table.table import Table
from tests.bench.harness import Section
from tests.bench.table.pictures import TablePicture

CELL_STEP, WHOLE_STEP, OPEN_STEP = 14, 7, 20
"""Of the ruled pictures, every 14th has its true cells read, every 7th is read whole; of the others, every 20th: a fixed sample that fits the time."""


def reading_sections(pictures: Sequence[TablePicture], quick: bool) -> Iterator[Section]:
    """Cells cut by their true boxes; whole pictures."""
    ruled = [picture for picture in pictures if picture.ruled]
    cells = Section("ocr", "Text of single cells", f"ruled pictures, every {CELL_STEP}th; cells cut by their true boxes, white space collapsed; CER over cells with text")
    whole = Section("whole", "Whole tables, structure and text", f"ruled pictures, every {WHOLE_STEP}th, others, every {OPEN_STEP}th, by the exhibit's own settings; "
                    "in %, an abstention counts 0")
    open_ = [picture for picture in pictures if not picture.ruled]
    yield _guarded(cells, ruled[:1] if quick else ruled[::CELL_STEP], cell_rows)
    groups = {"grid + dark": ruled[:1] if quick else ruled[::WHOLE_STEP], "all others": open_[:1] if quick else open_[::OPEN_STEP]}
    yield _guarded(whole, [picture for group in groups.values() for picture in group],
                   lambda _: [row for name, group in groups.items() if group for row in whole_rows(group, name)])


def _guarded(section: Section, pictures: Sequence[TablePicture], rows: Callable[[Sequence[TablePicture]], list[dict]]) -> Section:
    if not pictures:
        return section.skip("There are no pictures under the data folder (--data DIR or VITRINE_DATA).")
    try:
        section.rows += rows(pictures)
    except VitrineError as error:
        section.skip(str(error))
    return section


def cell_rows(pictures: Sequence[TablePicture]) -> list[dict]:
    """One row for the default engine: character error rate, share of exact cells, cost."""
    reader = engine(TableConfig())
    pairs: list[tuple[str, str]] = []
    begun = time.process_time()
    for picture in pictures:
        read, _ = read_cells(picture.rgb, picture.true, [cell.box for cell in picture.true.cells], reader)
        pairs += zip(texts(read), texts(picture.true), strict=True)
    seconds = time.process_time() - begun
    filled = [(read, true) for read, true in pairs if true]
    return [{"name": f"{reader.name} {reader.version}", "pictures": len(pictures), "cells": len(filled), "CER %": 100 * error_rate(filled),
             "exact %": 100 * sum(read == true for read, true in filled) / len(filled), "empty cells": len(pairs) - len(filled),
             "read empty %": 100 * sum(not read for read, true in pairs if not true) / max(1, len(pairs) - len(filled)), "ms a cell": 1e3 * seconds / len(pairs)}]


def whole_rows(pictures: Sequence[TablePicture], name: str) -> list[dict]:
    """TEDS and its kin of the exhibit's own result, and where the CPU time goes."""
    config = TableConfig()
    pairs, seconds = [], 0.0
    stages: dict[str, float] = {}
    for picture in pictures:
        decoded = read_picture(Source(picture.path.name, picture.path.read_bytes()), 1)
        begun = time.process_time()
        result = recognise(decoded, config)
        seconds += time.process_time() - begun
        stages = {stage: stages.get(stage, 0.0) + spent for stage, spent in result.seconds.items()}
        pairs.append((result.table, picture.true))
    scores = summary(pairs)
    structure = sum(spent for stage, spent in stages.items() if stage != "ocr")
    return [{"name": name, "n": scores["n"], "TEDS": 100 * scores["teds"], "TEDS_100": 100 * scores["teds_100"], "TEDS-struct": 100 * scores["teds_struct"],
             "struct100": 100 * scores["teds_struct100"], "CPU s a table": seconds / len(pictures), "structure ms (wall)": 1e3 * structure / len(pictures)}]


def texts(table: Table) -> list[str]:
    """The cells' texts, white space collapsed."""
    return [" ".join(cell.text.split()) for cell in table.cells]


def error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Edits over characters of the truth."""
    return sum(levenshtein(read, true) for read, true in pairs) / max(1, sum(len(true) for _, true in pairs))


def levenshtein(a: str, b: str) -> int:
    if a == b:
        return 0
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (x != y)))
    return row[-1]
