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
    """The lines of the table exhibit's README tables: structure, the model's own figures, speed and text."""
    return [*structure_lines(rows_of(found, "structure")), *model_lines(found), *speed_lines(found), *text_lines(found)]


def structure_lines(rows: list[dict]) -> list[str]:
    """TEDS-struct and struct100 of the system, its parts and the rival, by group of pictures."""
    lines = []
    for words, name in (("fully ruled", "ruled: grid + dark"), ("partly ruled", next(r["name"] for r in rows if r["name"].startswith("partly"))),
                        ("without rules", "borderless"), ("all Wikipedia tables", "all"), ("PubTabNet sample", "pubtabnet"), ("ICDAR 2013, US part", "icdar2013")):
        sides = {r["side"]: r for r in rows if r["name"] == name}
        said = [f"{sides[k]['TEDS-struct']:.1f} / {sides[k]['struct100']:.0f} %" for k in ("ours", "heads", "decoder", "mobile", "img2table", "img2table, borderless")]
        lines.append(f"| {words}, {sides['ours']['n']} | **{said[0]}** | " + " | ".join(said[1:]) + " |")
    return lines


def model_lines(found: dict) -> list[str]:
    """Speculative decoding, latency, the mobile model and the hybrid choice."""
    drafts = {r["draft"]: r for r in rows_of(found, "speculative") if r["name"] == "all"}
    rules, heads = drafts["rules"], drafts["heads"]
    ours, mobile = (pick(rows_of(found, "latency"), name="all", side=side) for side in ("ours", "mobile"))
    against = pick(rows_of(found, "mobile"), name="all")
    worst = max(r["below"] for r in rows_of(found, "hybrid"))
    return [f"| speculative decoding, {rules['n']} pictures: the same tokens as greedy | **{min(rules['identical'], heads['identical'])}** |",
            f"| tokens per decoder call, the post's rules, the heads' grid as the draft | **{rules['tokens per call']:.2f}, {heads['tokens per call']:.2f}** |",
            f"| times faster than greedy, wall time, rules | **{ratio(rules['times faster, wall'])}** |",
            f"| times faster than greedy, wall time, heads' grid | **{ratio(heads['times faster, wall'])}** |",
            f"| structure of one picture on one core, full system: median, 95 % | **{ours['median']:.0f} ms, {ours['p95']:.0f} ms** |",
            f"| mobile model (8 bits, ONNX Runtime) against the full one: times faster | **{ratio(against['times faster'])}** ({mobile['median']:.0f} ms) |",
            f"| the same: TEDS-struct, full and mobile | {against['full']:.1f}, {against['mobile']:.1f} |",
            f"| hybrid choice: most points under the better of its two paths, any group | **{max(worst, 0):.2f}** |"]


def speed_lines(found: dict) -> list[str]:
    """CPU time of the regions and of labelling against what a user would take."""
    speed, labelling = rows_of(found, "structure_speed"), rows_of(found, "labelling")
    lines = [f"| regions alone against img2table, ruled, CPU time | **{ratio(pick(speed, name='ruled', side='regions', rival='img2table')['ours / rival'])}** | 1; "
             f"against its borderless mode {ratio(pick(speed, name='ruled', side='regions', rival='img2table, borderless')['ours / rival'])} |"]
    for words, labeller in (("with labels", "row runs, with labels"), ("boxes only", "row runs, boxes only")):
        for name in ("1024 x 1024, real", "4096 x 4096, real"):
            row = pick(labelling, name=name, labeller=labeller)
            lines.append(f"| labelling {name.partition(',')[0]}, {words}, CPU time against OpenCV | **{ratio(row['/ OpenCV'])}** | 1 |")
    return lines


def text_lines(found: dict) -> list[str]:
    """Reading, and TEDS with text."""
    ocr, whole = rows_of(found, "ocr")[0], rows_of(found, "whole")
    slowest = max(r["ms"] for r in rows_of(found, "teds_speed"))
    return [f"| text of {ocr['cells']:,} real cells: characters wrong, cells exact | **{ocr['CER %']:.1f} %, {ocr['exact %']:.1f} %** ({ocr['name']}) | |",
            *(f"| {row['n']} whole {'ruled tables' if row['name'] != 'all others' else 'other tables'}, text included: TEDS, TEDS_100 | "
              f"**{row['TEDS']:.1f}, {row['TEDS_100']:.0f} %** | |" for row in whole),
            f"| TEDS of two 30 x 10 tables, slowest of three kinds | **{slowest:.0f} ms** | |"]


def band(found: dict) -> str:
    return f"{found['mean']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def dmimo_lines(found: dict) -> list[str]:
    """The lines of the radio exhibit's README tables: the post's figures, kernels, sweeps and moving users."""
    return [*post_lines(rows_of(found, "post")), *untold_lines(found), *kernel_lines(found), *moving_lines(found)]


def post_lines(rows: list[dict]) -> list[str]:
    """Each scheme in per cent of IQC beside the post's figure."""
    lines = []
    for row in rows[1:]:
        stated = [f" (post {row[key]:g})" if row.get(key) not in (None, "") else "" for key in ("post: throughput", "fronthaul", "FLOPS")]
        if row["scheme"] == "llrc":
            stated[0] = stated[0].replace("post", "post: below")
        lines.append(f"| {row['scheme']} | **{row['throughput %']:.1f} ± {row['+-']:.1f}**{stated[0]} | {row['fronthaul %']:.1f}{stated[1]} | {row['FLOPS %']:.1f}{stated[2]} |")
    return lines


def untold_lines(found: dict) -> list[str]:
    """What the post does not tell, in words."""
    none, layer, _, whole = rows_of(found, "post_untold")[:4]
    spread = pick(rows_of(found, "regimes"), preset="spread")
    return [f"with MMSE weights in the layer domain `deqc` needs {layer['FLOPS %']:.0f} % of the arithmetic instead of {none['FLOPS %']:.0f} %;",
            f"forwarding as many streams as layers gives {whole['throughput %']:.0f} % of IQC at {whole['fronthaul %']:.0f} % of the fronthaul;",
            f"users spread out: `deqc` {spread['deqc']:.0f}, `llrc` {spread['llrc']:.0f}, best single radio {spread['single_trp']:.0f}"]


def kernel_lines(found: dict) -> list[str]:
    """Times faster than the fastest tuned NumPy."""
    lines = []
    for row in rows_of(found, "combining"):
        lines.append(f"| combine {row['name']}: complex rows; planes | **{row['NumPy / rows']['median']:.1f}×; {row['NumPy / planes']['median']:.1f}×** | "
                     f"{100 * row['share of peak']:.0f} % |")
    chain = rows_of(found, "chain")
    names, times = (", ".join(words) for words in zip(*((row["name"], f"{row['NumPy / chain']['median']:.1f}×") for row in chain)))
    lines.append(f"| fronthaul bytes to 4-bit LLRs, {names} | **{times}** | |")
    return lines + [f"| {row['name']} | **{row['NumPy / kernel']['median']:.1f}×** | |" for row in rows_of(found, "small_kernels")]


def moving_lines(found: dict) -> list[str]:
    """Sweeps, link adaptation and schedulers."""
    cold, warm, repeat = rows_of(found, "sweep")
    overhead = rows_of(found, "sweep_overhead")[1]["overhead_percent"]
    lines = [f"| 20 points of 30 drops on two cores: first point, all points (pool already there) | **{warm['first_point_s']:.1f} s, {warm['all_points_s']:.1f} s** |",
             f"| the same where the pool starts with the sweep | {cold['first_point_s']:.1f} s, {cold['all_points_s']:.1f} s |",
             f"| the same again, from the cache | **{repeat['all_points_s']:.2f} s** |", f"| what the runner adds to the work | **{overhead:.1f} %** |"]
    for row in rows_of(found, "adaptation"):
        lines.append(f"| link adaptation, {row['name']}: of the genie; over the adapter blind to TRP changes | {band(row['predicted'])}; **{band(row['predicted_over_blind'])}** |")
    joint = [row for row in rows_of(found, "scheduling") if row["name"].endswith(": joint")]
    return lines + [f"| joint over two-stage scheduling, {row['name'].partition(':')[0]}: throughput | {band(row['throughput'])} |" for row in joint]


def times_of(value) -> str:
    """How many times longer: a ratio of paired rounds, a plain ratio, or a dash where it was not measured."""
    number = value["median"] if isinstance(value, dict) else value
    return "-" if number is None else f"{number:.2f}×" if number < 9.95 else f"{number:.0f}×"


def compiler_lines(found: dict) -> list[str]:
    """The lines of the compiler's README tables: the six models beside everybody else, models not in the set, conformance, single calls, turnaround."""
    lines, first = [], found["headline"]
    for row in rows_of(found, "summary"):
        others = " | ".join(times_of(row.get(name)) for name in ("hand", "plain hand", "naive -Ofast", "onnxruntime C", "OpenVINO", "ncnn", "IREE"))
        lines.append(f"| {row['name']} | **{row['ours_us']:.3g}** | {row['over_limit']:.2f} | {others} | {row['error']} |")
    unseen = [row for row in rows_of(found, "unseen") if "ours_us" in row]
    lines.append(f"| {len(unseen)} models not in the set: faster than ONNX Runtime called from C++; times longer it takes, geometric mean | "
                 f"**{first['unseen_faster']} of {first['unseen_models']}**; {first['unseen_over_onnxruntime']:.2f}× |")
    for row in (r for r in rows_of(found, "conformance") if "tests" in r):
        lines.append(f"| {row['name']}: passed, refused with a sentence, wrong | **{row['passed']} of {row['tests']}**, {row['refused']}, **{row['wrong']}** |")
    calls = rows_of(found, "real_time")
    lines.append(f"| single calls: 99.9 % over the best block, of the six; allocations and locks inside; system calls | {min(r['p999_over_best'] for r in calls):.2f} to "
                 f"{max(r['p999_over_best'] for r in calls):.2f}; {sum(r['allocations_and_locks'] for r in calls)}; {'none' if all(r['strict'] == 'kept' for r in calls) else 'some'} |")
    turn = [row for row in rows_of(found, "turnaround") if "cold_s" in row]
    lines.append("| model to verified bundle, seconds: first time; again | " + ", ".join(f"{r['name']} {r['cold_s']:.0f}" for r in turn) + f"; {max(r['cached_s'] for r in turn):.0f} at most |")
    return lines


def handwriting_lines(found: dict) -> list[str]:
    """The lines of the handwriting exhibit's README table."""
    first, batch = found["headline"], rows_of(found, "batch")
    pooled = next(row for row in rows_of(found, "joins") if row["hand"] == "all hands")
    many, weaker = next(row for row in batch if row["points"] == 20), pick(rows_of(found, "rules"), **{"isolated below": "0.3"})
    lines = [f"| one system of 20 points, two right-hand sides, against LAPACK's dgtsv called raw | **{times_of(first['solver_over_dgtsv'])}** |",
             f"| 10,000 systems of 20 points: times faster than a loop over solve_banded, than vectorised NumPy | **{times_of(many['solve_banded / ours'])}, {times_of(many['NumPy / ours'])}** |",
             f"| solves of a page of 1,000 joins | **{first['page_solve_ms']:.2f} ms** |",
             f"| {pooled['pairs']:,} pairs of letters, all hands: joins without a new crossing or spike | **{pooled['clean %']:.1f} %** |",
             f"| largest gap left; largest movement of a point, in x-heights | **{pooled['largest gap']:.1g}**; {pooled['largest moved']:.2f} |",
             f"| text to ink, {pick(rows_of(found, 'pipeline'), hand='allure')['hand']}, everything in memory: milliseconds a letter | **{first['ms_per_letter']:.2f}** |",
             f"| point classifier, writers never seen, uniform labels: macro F1; within one point | **{first['macro_f1']:.3f}; {first['macro_f1_within_one']:.3f}** |",
             f"| the turning-point rule on the same points: as strong as we could make it; as the study's | {first['rule_macro_f1']:.3f}; {weaker['all writers']:.3f} |",
             f"| the same on ligatures that people marked: head and tail F1; within one point | **{first['people_head_f1']:.2f}, {first['people_tail_f1']:.2f}; "
             f"{first['people_head_f1_within_one']:.2f}, {first['people_tail_f1_within_one']:.2f}** |",
             f"| characters no longer read once letters are joined, points, mean of six hands (three are print): RapidOCR; Tesseract | **{first['crr_drop_rapidocr']:.1f}**; {first['crr_drop_tesseract']:.1f} |",
             f"| five real writers nobody tuned on: characters read in their own ink more than in ours joined, points: RapidOCR; Tesseract | {first['crr_real_minus_joined_rapidocr']:.1f}; "
             f"{first['crr_real_minus_joined_tesseract']:.1f} |",
             f"| style distance to the writer's real words: unjoined, joined; joined is nearer for | {first['style_apart']:.2f}, **{first['style_joined']:.2f}; {first['style_nearer']} writers** |",
             f"| {first['unseen_hands']} joining hands of people nobody looked at: joins without a new crossing or spike; largest movement | {first['unseen_clean_percent']:.1f} %; "
             f"{first['unseen_largest_moved']:.2f} |",
             f"| slider to picture under the lens, milliseconds, median, " + ", ".join(f"{row['joins']} joins" for row in rows_of(found, "lens")) + " | "
             + ", ".join(f"**{row['picture, median']:.0f}**" for row in rows_of(found, "lens")) + " |"]
    return lines


def speech_lines(found: dict) -> list[str]:
    """The lines of the speech exhibit's README tables: quality beside the other tools, rooms, cost in both domains, a long recording."""
    def cells(row: dict, names: tuple[str, ...]) -> str:
        return " | ".join("-" if row.get(name) is None else f"{row[name]:.3f}" if name == "rtf" else f"{row[name]:.2f}" for name in names)

    lines = [f"| {row['name']} | {cells(row, ('si_sdr', 'pesq', 'estoi', 'ovrl', 'sig', 'bak', 'lsd_high', 'rtf'))} |" for row in rows_of(found, "quality")]
    lines += [f"| {row['name']}, rooms | {cells(row, ('estoi', 'ovrl', 'lsd_high'))} |" for row in rows_of(found, "rooms")]
    lines += [f"| one evaluation, {row['name']}: times cheaper than on the full spectrogram | **{row['times cheaper']:.1f}×** |" for row in rows_of(found, "evaluation")]
    lines.append("| one evaluation, width m, ms a second of sound: " + "; ".join(f"{row['name']} {1000 * row['seconds']:.0f}" for row in rows_of(found, "runtimes")) + " | |")
    lines += [f"| a whole restoration, {row['name']}: times cheaper than on the full spectrogram | **{row['times cheaper']:.1f}×** |" for row in rows_of(found, "end_to_end")]
    return lines + [f"| {row['name']}: seconds a second of sound; peak memory | {row['rtf']:.3f}; {row['peak MB']:.0f} MB |" for row in rows_of(found, "long")]


def studio_lines(found: dict) -> list[str]:
    """The lines of the studio's README table."""
    start, visitors, pages = rows_of(found, "start"), rows_of(found, "visitors"), rows_of(found, "pages")
    rerun, memory = visitors
    return [f"| second start through launch.py against the bare server | {pick(start, name='ratio of medians')['seconds']:.2f}× ({pick(start, name='launch.py')['seconds']:.1f} s) |",
            f"| home page run again by 20 sessions at once | {rerun['seconds']:.2f} s, slowest round {rerun['most']:.2f} s |",
            f"| server memory before, after 20 and after 20 more visitors | {memory['before']:.0f}, {memory['after 20']:.0f}, {memory['after 20 more']:.0f} MB |",
            f"| page switch in the browser, median | {pick(pages, name='all pages')['median']:.2f} s |"]


@pytest.mark.parametrize("slug, lines", [("table", table_lines), ("dmimo", dmimo_lines), ("speech", speech_lines), ("compiler", compiler_lines), ("handwriting", handwriting_lines), ("studio", studio_lines)])
def test_the_readme_says_what_was_measured(slug, lines):
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    missing = [line for line in lines(record(slug)) if line not in readme]
    assert not missing


def test_the_pictures_of_the_readme_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    named = [part.partition(")")[0] for part in readme.split("](")[1:] if part.startswith("assets/")]
    assert named and all((ROOT / name).is_file() for name in named)


if __name__ == "__main__":
    print("\n".join([*table_lines(record("table")), "", *dmimo_lines(record("dmimo")), "", *speech_lines(record("speech")), "", *compiler_lines(record("compiler")), "", *handwriting_lines(record("handwriting")), "", *studio_lines(record("studio"))]))
