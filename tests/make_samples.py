"""Makes the built-in table samples and their ground truths again: `python -m tests.make_samples` (needs Chromium and the shared data; the photograph is simulated)."""

import gzip
import html
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from core.table.markup import to_html_page
from core.table.table import Cell, Table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "tables"
OUT = ROOT / "assets" / "samples"
DRAWN = {"superbike-1990": "204-253", "brel-songs": "202-173", "ambassadors": "203-778"}
"""Sample -> id in the set of drawn Wikipedia tables. These tables were kept out of the model's training."""
COPIES = {f"{name}.png": f"wiki_rendered/images/{number}.png" for name, number in DRAWN.items()} | {
    "data-gov.png": "icdar2013/images/us-010_t1_p2_0.png", "item-format.png": "icdar2013/images/us-021_t2_p2_0.png"}
COINS = "203/96"
STYLE = """body { margin: 60px 70px; background: #fff; font: 17px 'Liberation Serif', serif; width: 860px } h1 { font-size: 22px; font-weight: normal }
table { border-collapse: collapse; width: 100% } td { border: 1.4px solid #222; padding: 7px 10px; vertical-align: middle } td.head { font-weight: bold; text-align: center }"""


def page(record: dict) -> str:
    """A table of the Wikipedia set as a printed page."""
    rows: list[list[str]] = [[] for _ in range(record["n_rows"])]
    for cell in record["cells"]:
        head = " class=head" if cell["head"] else ""
        rows[cell["row"]].append(f"<td rowspan={cell['rs']} colspan={cell['cs']}{head}>{html.escape(cell['text'])}</td>")
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<style>{STYLE}</style><h1>{html.escape(record['title'])}</h1><table>{body}</table>"


def photograph(paper: np.ndarray) -> np.ndarray:
    """The page as a hand-held picture: turned 1.8 degrees, warm uneven light, a soft shadow, lens blur, sensor noise. uint8 [H, W, 3] RGB."""
    height, width = paper.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 1.8, 0.97)
    desk = cv2.warpAffine(paper, turn, (width, height), flags=cv2.INTER_AREA, borderValue=(142, 120, 98)).astype(np.float32)
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    light = 0.80 + 0.20 * (1 - 0.9 * x) * (1 - 0.4 * y)
    shadow = 1 - 0.22 / (1 + np.exp(-(x + 0.55 * y - 1.05) * 14))
    warm = np.array([1.0, 0.965, 0.88], np.float32)
    lit = cv2.GaussianBlur(desk * (light * shadow)[..., None].astype(np.float32) * warm, (0, 0), 0.9)
    noise = np.random.default_rng(0).normal(0, 2.2, lit.shape)
    return np.clip(lit + noise, 0, 255).astype(np.uint8)


def truth(record: dict, title: str) -> str:
    """The true table of a record as an HTML file."""
    cells = tuple(Cell(c["row"], c["col"], c["rs"], c["cs"], c["text"]) for c in record["cells"])
    return to_html_page(Table(record["n_rows"], record["n_cols"], cells), title)


def write_truths(coins: dict) -> None:
    """The ground truths of the samples that were drawn from Wikipedia's tables."""
    with (DATA / "wiki_rendered" / "cells.jsonl").open(encoding="utf8") as lines:
        drawn = {r["id"]: r for r in map(json.loads, lines)}
    for name, record in {**{name: drawn[number] for name, number in DRAWN.items()}, "coins-photo": coins}.items():
        (OUT / f"{name}.html").write_text(truth(record, name), encoding="utf8")


def main() -> None:
    """Write every sample."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, source in COPIES.items():
        shutil.copyfile(DATA / source, OUT / name)
    with gzip.open(DATA / "wikitables.jsonl.gz", "rt", encoding="utf8") as lines:
        coins = next(r for r in map(json.loads, lines) if r["id"] == COINS)
    write_truths(coins)
    with sync_playwright() as browsers:
        chromium = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": 1000, "height": 620}, device_scale_factor=1.5)
        tab.set_content(page(coins))
        shot = tab.screenshot(full_page=True)
        chromium.close()
    paper = cv2.cvtColor(cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    cv2.imwrite(str(OUT / "coins-photo.jpg"), cv2.cvtColor(photograph(paper), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
