"""One-page report: a single HTML file with the result, its numbers and its provenance; nothing in it is fetched from anywhere."""

from html import escape
from importlib import import_module

from app import recorded
from app.registry import Exhibit

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 "Atkinson Hyperlegible Next", "Source Sans 3", system-ui, sans-serif; color: #0B1114; background: #F8FAFA; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem }} h2 {{ font-size: 1.15rem; margin: 1.6rem 0 .4rem }}
.muted {{ color: #4E5B60; font-size: .9rem }} .here {{ color: #00606D }} .paper {{ color: #7E4B00 }}
table {{ border-collapse: collapse; font-size: .85rem; margin: .4rem 0 }} td, th {{ border: 1px solid #CBD4D6; padding: .2rem .5rem; text-align: left; vertical-align: top; white-space: pre-line }}
code {{ font-family: "Atkinson Hyperlegible Mono", ui-monospace, monospace; font-size: .85em; background: #E9EEEE; padding: 0 .25em; overflow-wrap: anywhere }}
svg, img {{ max-width: 100%; height: auto }} @media print {{ body {{ background: none; margin: 0 }} h2 {{ break-after: avoid }} }}
</style></head><body>
<p class="muted">Vitrine · {name}</p><h1>{finding}</h1><p>{sentence}</p>
<p><span class="here">here {here}</span>{paper} <span class="muted">{unit}. {differs}</span></p>
{notes}{body}
<h2>Where the time went</h2><table>{seconds}</table>
<h2>Settings and provenance</h2><table>{facts}</table>
<p class="muted">Made by Vitrine on the machine named above; nothing left it.</p>
</body></html>
"""


def one_page(row: Exhibit, view) -> bytes:
    """The report of one saved run as HTML bytes (UTF-8)."""
    figures, record = import_module(row.figures), view.record
    here, _ = recorded.headline(row.slug, row.headline)
    paper = f' <span class="paper">paper {escape(row.headline.paper_text)}</span>' if row.headline.paper_text else ""
    return PAGE.format(
        title=escape(f"{row.name}: {figures.finding(view)}"), name=escape(row.name), finding=escape(figures.finding(view)), sentence=escape(row.sentence),
        here=escape(here), paper=paper, unit=escape(row.headline.unit), differs=escape(row.headline.differs),
        notes="".join(f"<p>{escape(note)}</p>" for note in record["notes"]), body=figures.report(view),
        seconds="".join(_line(stage, f"{value:.3f} s") for stage, value in record["seconds"].items()), facts=_facts(view)).encode()


def _line(word: str, value: str) -> str:
    return f"<tr><td>{escape(word)}</td><td>{value}</td></tr>"


def _facts(view) -> str:
    record = view.record
    lines = [("run", view.id or "not saved")]
    lines += [("input", f"{i['name']}  sha256 {i['sha256']}") for i in record["inputs"]]
    lines += [(key, str(value)) for part in ("config", "versions", "models", "metrics") for key, value in record[part].items()]
    lines += [("kernels", record["kernel_backend"]), ("seed", str(record["seed"])), ("machine", record["machine"]), ("made", record["created"])]
    return "".join(_line(word, f"<code>{escape(value)}</code>") for word, value in lines)
