"""The README's measured tables are the recorded benchmarks', word for word: `python -m tests.test_readme` prints them for pasting."""

import json

import pytest

from app.registry import ROOT

RECORDS = ROOT / "assets" / "bench"


def record(slug: str) -> dict:
    path = RECORDS / f"{slug}.json"
    if not path.is_file():
        pytest.fail(f"{path.relative_to(ROOT)} is missing: launch.py bench {slug} --record writes it")
    return json.loads(path.read_text(encoding="utf8"))


def rows_of(found: dict, key: str) -> list[dict]:
    return next(s["rows"] for s in found["sections"] if s["key"] == key)


def pick(rows: list[dict], **wanted) -> dict:
    return next(r for r in rows if all(r.get(name) == value for name, value in wanted.items()))


def ratio(found: dict) -> str:
    return f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def table_lines(found: dict) -> list[str]:
    """The lines of the table exhibit's README table."""
    structure, speed, labelling = rows_of(found, "structure"), rows_of(found, "structure_speed"), rows_of(found, "labelling")
    sides = [pick(structure, name="ruled: grid + dark", side=side) for side in ("ours", "img2table", "img2table, borderless")]
    others = [pick(structure, name="all others", side=side) for side in ("ours", "img2table", "img2table, borderless")]
    lines = [f"| fully ruled tables, {sides[0]['n']} pictures: TEDS-struct | **{sides[0]['TEDS-struct']:.1f}** | {sides[1]['TEDS-struct']:.1f}; borderless mode {sides[2]['TEDS-struct']:.1f} |",
             f"| same: whole structure right (struct100) | **{sides[0]['struct100']:.1f} %** | {sides[1]['struct100']:.1f} %; borderless mode {sides[2]['struct100']:.1f} % |",
             f"| {others[0]['n']} pictures without closed cells: answered, and wrongly | **{others[0]['wrong']:.1f} %** (it abstains) | "
             f"{others[1]['wrong']:.1f} %; borderless mode {others[2]['wrong']:.1f} % |",
             f"| structure, CPU time against img2table, ruled | **{ratio(pick(speed, name='ruled', rival='img2table')['ours / rival'])}** | 1; "
             f"against its borderless mode {ratio(pick(speed, name='ruled', rival='img2table, borderless')['ours / rival'])} |"]
    for words, labeller in (("with labels", "row runs, with labels"), ("boxes only", "row runs, boxes only")):
        for name in ("1024 x 1024, real", "4096 x 4096, real"):
            row = pick(labelling, name=name, labeller=labeller)
            lines.append(f"| labelling {name.partition(',')[0]}, {words}, CPU time against OpenCV | **{ratio(row['/ OpenCV'])}** | 1 |")
    ocr, whole = rows_of(found, "ocr")[0], rows_of(found, "whole")[0]
    lines.append(f"| text of {ocr['cells']:,} real cells: characters wrong, cells exact | **{ocr['CER %']:.1f} %, {ocr['exact %']:.1f} %** ({ocr['name']}) | |")
    lines.append(f"| {whole['n']} whole ruled tables, text included: TEDS, TEDS_100 | **{whole['TEDS']:.1f}, {whole['TEDS_100']:.0f} %** | |")
    slowest = max(r["ms"] for r in rows_of(found, "teds_speed"))
    lines.append(f"| TEDS of two 30 x 10 tables, slowest of three kinds | **{slowest:.0f} ms** | |")
    return lines


def studio_lines(found: dict) -> list[str]:
    """The lines of the studio's README table."""
    start, visitors, pages = rows_of(found, "start"), rows_of(found, "visitors"), rows_of(found, "pages")
    rerun, memory = visitors
    return [f"| second start through launch.py against the bare server | {pick(start, name='ratio of medians')['seconds']:.2f}× ({pick(start, name='launch.py')['seconds']:.1f} s) |",
            f"| home page run again by 20 sessions at once | {rerun['seconds']:.2f} s, slowest round {rerun['most']:.2f} s |",
            f"| server memory before, after 20 and after 20 more visitors | {memory['before']:.0f}, {memory['after 20']:.0f}, {memory['after 20 more']:.0f} MB |",
            f"| page switch in the browser, median | {pick(pages, name='all pages')['median']:.2f} s |"]


@pytest.mark.parametrize("slug, lines", [("table", table_lines), ("studio", studio_lines)])
def test_the_readme_says_what_was_measured(slug, lines):
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    missing = [line for line in lines(record(slug)) if line not in readme]
    assert not missing


def test_the_pictures_of_the_readme_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    named = [part.partition(")")[0] for part in readme.split("](")[1:] if part.startswith("assets/")]
    assert named and all((ROOT / name).is_file() for name in named)


if __name__ == "__main__":
    print("\n".join([*table_lines(record("table")), "", *studio_lines(record("studio"))]))
