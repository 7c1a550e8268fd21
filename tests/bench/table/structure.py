"""Structure: the system, its parts, the mobile model and img2table on the same pictures; scores, faults, CPU time, the hybrid choice."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np

from tests.bench.harness import Section, ratio
from tests.bench.table import sides
from tests.bench.table.model import latency_rows, mobile_rows, speculative_rows
from tests.bench.table.pictures import DRAWN, PARTLY, REAL, RULED, TablePicture
from tests.bench.table.sides import RIVALS, Nets, Scores

NO_PICTURES = "There is no folder tables/wiki_rendered under the data folder (--data DIR or VITRINE_DATA)."
NOTES = {
    "structure": ("Structure by style and set", "TEDS-struct and TEDS_struct100 in %, an unanswered picture counts 0; wrong: answered, but not exactly right. No text was "
                  "read. ours: the system (engine=auto); regions and model: its two paths; heads, decoder: of the full net, each alone; mobile: heads in 8 bits. "
                  "img2table's largest table counts, its merged cells by the box they share. Wikipedia tables by style, PubTabNet and ICDAR 2013 samples below"),
    "structure_wrong": ("Structure, our own faults", "ruled pictures the system did not read exactly; others the regions answered wrongly"),
    "structure_speed": ("Structure, CPU time", "on the decoded picture; ours and regions against extract_tables without OCR"),
    "hybrid": ("Hybrid choice", "TEDS-struct in %; below: how far the system is under the better of its two paths (goal: 0.5 at most, by style)"),
    "speculative": ("Speculative decoding", "fp32, decoding alone on the same encoding, drafts in turn on each picture; identical: pictures on which every draft wrote greedy's "
                    "tokens; times faster: greedy / draft, paired"),
    "latency": ("Structure of one table", "one core, CPU ms; ours: turn, regions, straightening, model, choice (goal: under 500); mobile: the net alone"),
    "mobile": ("Mobile against full", "full: what the system's model path said; CPU ms of the nets alone, full: encoder, heads and decoder with the heads' draft; "
               "mobile: encoder and heads in 8 bits; same: tables read as the full model's heads read them, %"),
}


def structure_sections(pictures: Sequence[TablePicture], options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Scores with the headline figures, faults by name, CPU time, hybrid, speculative decoding, latency, mobile."""
    made = {key: Section(key, *words) for key, words in NOTES.items()}
    if not any(picture.set == DRAWN for picture in pictures):
        yield made["structure"].skip(NO_PICTURES), None
        return
    worker, reason = sides.start_rival(options)
    nets = Nets.load()
    try:
        scores, lost = sides.measure(pictures, worker, nets)
        versions |= {f"img2table's {name}": version for name, version in worker.hello["versions"].items()} if worker else {}
    finally:
        if worker:
            worker.__exit__()
    for key, rows in (("structure", quality_rows), ("structure_wrong", wrong_rows), ("structure_speed", speed_rows), ("hybrid", hybrid_rows),
                      ("speculative", speculative_rows), ("latency", latency_rows), ("mobile", mobile_rows)):
        made[key].rows = rows(scores)
    for key in ("structure", "structure_speed"):
        made[key].rows += [{"name": "img2table", "reason": f"skipped: {why}"} for why in (reason, lost) if why]
    for key in ("hybrid", "speculative", "mobile"):
        made[key].rows += [{"name": "model", "reason": f"skipped: {nets.reason}"}] if nets.reason else []
    yield made["structure"], headline(scores)
    yield from ((section, None) for key, section in made.items() if key != "structure")


# Rows

def figures(scores: Sequence[float]) -> dict[str, float]:
    """TEDS-struct, TEDS_struct100, answered and wrong, in per cent; nan is no answer."""
    values = np.array(scores)
    answered = ~np.isnan(values)
    return {"TEDS-struct": 100 * float(np.where(answered, values, 0).mean()), "struct100": 100 * float((values == 1).mean()),
            "answered": 100 * float(answered.mean()), "wrong": 100 * float((answered & (values != 1)).mean())}


def grouped(scores: Sequence[Scores]) -> dict[str, list[Scores]]:
    """The pictures by style, by how much of them is ruled, all drawn ones, and the real sets; groups without pictures are left out."""
    drawn = [s for s in scores if s.set == DRAWN]
    styles = sorted({s.style for s in drawn}, key=lambda style: (style not in RULED, style))
    groups = {style: [s for s in drawn if s.style == style] for style in styles}
    groups["ruled: " + " + ".join(RULED)] = [s for s in drawn if s.style in RULED]
    groups["partly ruled: " + " + ".join(PARTLY)] = [s for s in drawn if s.style in PARTLY]
    groups["borderless"] = [s for s in drawn if s.style not in RULED + PARTLY]
    groups["all others"] = [s for s in drawn if s.style not in RULED]
    groups["all"] = drawn
    groups |= {name: [s for s in scores if s.set == name] for name in REAL}
    return {name: group for name, group in groups.items() if group}


def quality_rows(scores: Sequence[Scores]) -> list[dict]:
    """A row for every group and side."""
    return [{"name": name, "side": side, "n": len(group), **figures([s.sides[side].score for s in group if side in s.sides])}
            for name, group in grouped(scores).items() for side in group[0].sides]


def wrong_rows(scores: Sequence[Scores]) -> list[dict]:
    """Drawn pictures that are not as they should be, the worst first: ruled ones by the system, others answered wrongly by the regions."""
    faults = [(s, s.sides["ours" if s.style in RULED else "regions"].score) for s in scores if s.set == DRAWN]
    faults = [(s, score) for s, score in faults if score != 1 and (s.style in RULED or not np.isnan(score))]
    return [{"name": s.name, "style": s.style, "TEDS-struct": 100 * score} for s, score in sorted(faults, key=lambda fault: np.nan_to_num(fault[1]))]


def speed_rows(scores: Sequence[Scores]) -> list[dict]:
    """Paired CPU times against the rival's: the system's, and the regions' alone."""
    rows = []
    groups = [("ruled", [s for s in scores if s.set == DRAWN and s.style in RULED]),
              ("all others", [s for s in scores if s.set == DRAWN and s.style not in RULED]), *((name, [s for s in scores if s.set == name]) for name in REAL)]
    for name, group in groups:
        for side, rival in ((side, rival) for side in ("ours", "regions") for rival in RIVALS):
            both = [s for s in group if side in s.sides and rival in s.sides and not np.isnan(s.sides[rival].seconds)]
            if both:
                own, theirs = ([s.sides[k].seconds for s in both] for k in (side, rival))
                rows.append({"name": name, "side": side, "rival": rival, "n": len(both), "ours / rival": ratio(own, theirs), "of the sums": sum(own) / sum(theirs),
                             "ours ms": 1e3 * float(np.median(own)), "rival ms": 1e3 * float(np.median(theirs))})
    return rows


def hybrid_rows(scores: Sequence[Scores]) -> list[dict]:
    """The system beside its two paths, by group."""
    rows = []
    for name, group in grouped(scores).items():
        if all("model" in s.sides for s in group):
            own, regions, model = (figures([s.sides[side].score for s in group])["TEDS-struct"] for side in ("ours", "regions", "model"))
            rows.append({"name": name, "n": len(group), "ours": own, "regions": regions, "model": model, "below": max(regions, model) - own})
    return rows


def headline(scores: Sequence[Scores]) -> dict | None:
    """The figures of the gallery (see the package's first lines), in per cent."""
    groups = grouped(scores)
    ruled = groups.get("ruled: " + " + ".join(RULED))
    if not ruled:
        return None
    found = _pair(ruled, "ours", "")
    for prefix, name, side in (("system_", "all", "ours"), ("open_", "all others", "ours"), ("pubtabnet_", "pubtabnet", "ours"), ("icdar2013_", "icdar2013", "ours"),
                               ("mobile_", "all", "mobile")):
        found |= _pair(groups.get(name, []), side, prefix)
    return found


def _pair(group: Sequence[Scores], side: str, prefix: str) -> dict:
    scores = [s.sides[side].score for s in group if side in s.sides]
    if not scores:
        return {}
    row = figures(scores)
    return {f"{prefix}teds_struct": round(row["TEDS-struct"], 2), f"{prefix}struct100": round(row["struct100"], 1), f"{prefix}n": len(scores)}
