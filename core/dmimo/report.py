"""report.html: one self-contained page of a run with its curves, costs, findings and formulas; nothing in it is fetched from anywhere."""

from collections.abc import Mapping, Sequence
from html import escape

from core.dmimo.findings import PAPER, SCHEMES, WORDS, caveat, headline, percent, untold
from core.dmimo.scenario import Scenario

INK = {"iqc": "#171D20", "deqc": "#00707F", "llrc": "#7C1A42", "deqc_local": "#2A2F8F", "deqc_combined": "#6B777C", "single_trp": "#839095"}
DASH = {"iqc": "", "deqc": "", "llrc": "2 4", "deqc_local": "8 4", "deqc_combined": "8 3 2 3", "single_trp": "8 3 2 3"}
STYLE = """body { font: 15px/1.5 "Atkinson Hyperlegible Next", system-ui, sans-serif; color: #0B1114; background: #F8FAFA; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.9rem; line-height: 1.2 } h2 { font-size: 1.15rem; margin: 1.6rem 0 .4rem } .muted { color: #4E5B60; font-size: .9rem } .paper { color: #7E4B00 }
table { border-collapse: collapse; font-size: .85rem } td, th { border: 1px solid #CBD4D6; padding: .2rem .5rem; text-align: right } td:first-child, th:first-child { text-align: left }
svg { max-width: 100%; height: auto } code { background: #E9EEEE; padding: 0 .25em } pre { background: #E9EEEE; padding: .6rem; overflow-x: auto }"""
FORMULAS = """Fronthaul, bits per slot (payload; M radios of Nr antennas, L layers, Ls streams a radio, D of S = 14 symbols carry data)
  IQC   M Nr S (2 Nsc b_iq + 8 PRB)
  DEQC  M Ls D (2 Nsc b_eq + 8 PRB) + M (PRB/2)(2 Ls L + Ls^2) 16
  LLRC  M Ls D Nsc Qm b_llr
Arithmetic, real operations per slot (N = M Nr)
  W     (Nsc/G) (4 N^2 L + 4/3 N^3 + 8 N^2 L) over antennas, (Nsc/G) (4 N L^2 + 4/3 L^3 + 8 N L^2) over layers
  IQC   CE + W(N) + EQ(N, L) + DEMAP + LDPC
  DEQC  CE + M W(Nr) + W(M Ls) + M EQ(Nr, Ls) + EQ(M Ls, L) + DEMAP + LDPC
  LLRC  CE + M W(Nr) + M EQ(Nr, Ls) + M DEMAP(Ls) + adds + LDPC
Throughput  max over code rates R of Qm R P(GMI >= R + margin), one rate per scheme and point; GMI from the soft bits themselves
Combining   A = (H^H R^-1 H + I)^-1,  x = A H^H R^-1 y,  SINR_k = 1/A_kk - 1"""


def page(scenario: Scenario, story: Mapping, metrics: Mapping) -> str:
    """The whole page; what stands between <!--result--> and <!--end--> is also the body of the studio's one-page report."""
    parts = [f"<p>{escape(caveat(story))}</p>", plan_svg(scenario), "<h2>Throughput over SNR</h2>", curve_svg(story["rows"]),
             "<p class='muted'>Line: all layers together. Band: 90 % of the mean over the random placements.</p>", _shares(metrics)]
    parts += [f"<h2>{escape(head)}</h2><p>{escape(text)}</p>" for head, text in untold(story)]
    parts += [_regime(story["regime"])] if story.get("regime") else []
    parts += [_rows(words, story[name]["rows"]) for name, words in (("schedulers", "Schedulers"), ("adaptation", "Link adaptation")) if story.get(name)]
    parts += [f"<h2>Formulas</h2><pre>{escape(FORMULAS)}</pre>"]
    return (f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(headline(metrics))}</title><style>{STYLE}</style></head><body>"
            f"<p class='muted'>Vitrine · Uplink D-MIMO · {escape(scenario.name)}</p><h1>{escape(headline(metrics))}</h1><!--result-->{''.join(parts)}<!--end--></body></html>\n")


def curve_svg(rows: Sequence[Mapping], width: int = 720, height: int = 320) -> str:
    """Throughput of every scheme over SNR with its band."""
    snrs = sorted({r["snr_db"] for r in rows})
    top = max((r["throughput_high_bps"] for r in rows), default=0) or 1.0
    span = (snrs[-1] - snrs[0]) or 1.0

    def at(snr: float, value: float) -> str:
        return f"{60 + (snr - snrs[0]) / span * (width - 220):.1f},{height - 40 - value / top * (height - 60):.1f}"

    body = _axes(snrs, top, at, width, height)
    for scheme in [s for s in SCHEMES if any(r["scheme"] == s for r in rows)]:
        line = sorted((r for r in rows if r["scheme"] == scheme), key=lambda r: r["snr_db"])
        band = [at(r["snr_db"], r["throughput_high_bps"]) for r in line] + [at(r["snr_db"], r["throughput_low_bps"]) for r in reversed(line)]
        body += f'<polygon points="{" ".join(band)}" fill="{INK[scheme]}" opacity=".12"/>'
        body += (f'<polyline points="{" ".join(at(r["snr_db"], r["throughput_bps"]) for r in line)}" fill="none" stroke="{INK[scheme]}" stroke-width="2.2" '
                 f'stroke-dasharray="{DASH[scheme]}"/>')
    body += _key(rows, width)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="Throughput over SNR">{body}</svg>'


def _axes(snrs: Sequence[float], top: float, at, width: int, height: int) -> str:
    body = ""
    for part in range(5):
        x, y = at(snrs[0], top * part / 4).split(",")
        body += f'<path d="M{x} {y}H{width - 160}" stroke="#DCE3E4"/><text x="{float(x) - 8}" y="{float(y) + 5}" text-anchor="end" font-size="13" fill="#4E5B60">{top * part / 4e9:.2f}</text>'
    for snr in snrs:
        x, y = at(snr, 0).split(",")
        body += f'<text x="{x}" y="{float(y) + 18}" text-anchor="middle" font-size="13" fill="#4E5B60">{snr:g}</text>'
    return body + f'<text x="60" y="14" font-size="13" fill="#4E5B60">Gb/s</text><text x="{width - 160}" y="{height - 4}" text-anchor="end" font-size="13" fill="#4E5B60">SNR (dB)</text>'


def _key(rows: Sequence[Mapping], width: int) -> str:
    there = [s for s in SCHEMES if any(r["scheme"] == s for r in rows)]
    return "".join(f'<path d="M{width - 150} {40 + 22 * n}h22" stroke="{INK[s]}" stroke-width="2.2" stroke-dasharray="{DASH[s]}"/>'
                   f'<text x="{width - 122}" y="{45 + 22 * n}" font-size="13" fill="{INK[s]}">{SCHEMES[s]}</text>' for n, s in enumerate(there))


def plan_svg(scenario: Scenario, width: int = 480) -> str:
    """The floor plan: walls, radios as numbered squares, users as dots."""
    scale = width / scenario.width_m
    height = scenario.depth_m * scale
    body = f'<rect width="{width}" height="{height:.0f}" fill="none" stroke="#8A989D"/>'
    body += "".join(f'<path d="M{w.x0_m * scale:.1f} {height - w.y0_m * scale:.1f}L{w.x1_m * scale:.1f} {height - w.y1_m * scale:.1f}" stroke="#4E5B60" stroke-width="2"/>' for w in scenario.walls)
    body += "".join(f'<circle cx="{u.x_m * scale:.1f}" cy="{height - u.y_m * scale:.1f}" r="4" fill="#0B1114"/>' for u in scenario.ues)
    for number, trp in enumerate(scenario.trps, 1):
        x, y = trp.x_m * scale, height - trp.y_m * scale
        body += f'<rect x="{x - 9:.1f}" y="{y - 9:.1f}" width="18" height="18" fill="#fff" stroke="#00707F" stroke-width="2"/><text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" font-size="13">{number}</text>'
    said = f"Floor plan, {scenario.width_m:g} by {scenario.depth_m:g} metres, {len(scenario.trps)} radios, {len(scenario.ues)} users"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -10 {width + 20} {height + 20:.0f}" width="{width}" role="img" aria-label="{said}">{body}</svg>'


def _shares(metrics: Mapping) -> str:
    lines = "".join(f"<tr><td>{SCHEMES[s]} {words}</td><td>{percent(metrics[key][s], 1)}</td><td class='paper'>paper {PAPER[key][s][1]}</td></tr>"
                    for key, words in WORDS.items() for s in ("deqc", "llrc"))
    return f"<h2>Share of IQC at {metrics['reference_snr_db']:g} dB</h2><table><tr><th></th><th>here</th><th>the post</th></tr>{lines}</table>"


def _regime(regime: Mapping) -> str:
    head = "".join(f"<th>{s}</th>" for s in regime["streams"])
    lines = "".join(f"<tr><td>{a:g}°</td>{''.join(f'<td>{percent(v)}</td>' for v in row)}</tr>" for a, row in zip(regime["spreads_deg"], regime["ratio"]))
    return (f"<h2>Where it holds: DEQC’s throughput, of IQC</h2><table><tr><th>angular spread \\ streams a radio</th>{head}</tr>{lines}</table>"
            f"<p class='muted'>At {regime['snr_db']:g} dB, {regime['drops']} random placements a cell.</p>")


def _rows(words: str, rows: Sequence[Mapping]) -> str:
    head = "".join(f"<th>{escape(str(c)).replace('_', ' ')}</th>" for c in rows[0])
    lines = "".join(f"<tr>{''.join(f'<td>{_cell(v)}</td>' for v in row.values())}</tr>" for row in rows)
    return f"<h2>{escape(words)}</h2><table><tr>{head}</tr>{lines}</table>"


def _cell(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
