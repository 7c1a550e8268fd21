"""Figures that stand on pages come from the bench's recorded results in assets/bench, never from the page."""

import json
from functools import lru_cache

from app.registry import ROOT, Headline


@lru_cache
def _record(slug: str) -> dict:
    path = ROOT / "assets" / "bench" / f"{slug}.json"
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}


def value(slug: str, key: str):
    """The recorded value at a dotted path ("headline.teds_struct"), None where nothing was recorded."""
    found = _record(slug)
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def rows(slug: str, section: str) -> list[dict]:
    """The rows of one section of the recorded result, none where it was not recorded."""
    return next((s["rows"] for s in _record(slug).get("sections", ()) if s["key"] == section), [])


def headline(slug: str, row: Headline) -> tuple[str, float | None]:
    """Our headline figure in words and as a number; "not yet" and None where the bench has not been recorded."""
    here = value(slug, row.bench_key)
    return (row.form.format(here), float(here)) if here is not None else ("not yet", None)
