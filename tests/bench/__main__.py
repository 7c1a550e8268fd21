"""`launch.py bench SLUG`: an exhibit's benchmark beside what a user would pick instead, in one run."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from tests.bench import ONE_THREAD

os.environ.update(ONE_THREAD)                  # before NumPy, OpenCV and onnxruntime are loaded

from importlib import import_module  # noqa: E402
from importlib.util import find_spec  # noqa: E402

from app.execute import machine, versions  # noqa: E402
from app.registry import EXHIBITS  # noqa: E402
from cython_ext import BACKEND  # noqa: E402
from tests.bench.harness import ROOT, as_json, as_text  # noqa: E402

RECORDS = ROOT / "assets" / "bench"


def arguments(given: list[str] | None) -> argparse.Namespace:
    slugs = [*(row.slug for row in EXHIBITS if find_spec(f"tests.bench.{row.slug}")), "studio"]
    parser = argparse.ArgumentParser(prog="launch.py bench", description=__doc__)
    parser.add_argument("slug", choices=slugs, help="the exhibit, or the studio itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--data", type=Path, metavar="DIR", default=Path(os.environ.get("VITRINE_DATA") or ROOT.parent / "shared" / "data"),
                        help="the folder of measured data (default: VITRINE_DATA)")
    parser.add_argument("--quick", action="store_true", help="a few pictures and rounds: shows that it runs, its figures mean little")
    parser.add_argument("--no-rival", action="store_true", help="leave the rivals out that need an environment of their own")
    parser.add_argument("--record", action="store_true", help="write assets/bench/SLUG.json, which the studio's pages read")
    options = parser.parse_args(given)
    if options.record and options.quick:
        parser.error("--record takes the whole benchmark, not --quick.")
    return options


def main(given: list[str] | None = None) -> int:
    """Run, print, write; 0 also where data or a rival is missing: the report says so."""
    options = arguments(given)
    begun = time.perf_counter()
    report = dict(slug=options.slug, date=time.strftime("%Y-%m-%d"), machine=f"{machine()}, {os.cpu_count()} cores", kernel_backend=BACKEND,
                  versions=versions(), quick=options.quick, headline=None, sections=[])
    for section, headline in import_module(f"tests.bench.{options.slug}").sections(options, report["versions"]):
        print(as_text(section), flush=True)
        report["sections"].append(section)
        report["headline"] = headline or report["headline"]
    report["minutes"] = round((time.perf_counter() - begun) / 60, 1)
    print(f"{report['machine']}; kernels: {BACKEND}; {report['minutes']} minutes. CPU time of one thread each; ratios are ours / rival, median [10 %-90 %].")
    return write(options, as_json(report))


def write(options: argparse.Namespace, report: dict) -> int:
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text, encoding="utf8")
    if options.record and not report["headline"]:
        print("Nothing was recorded: the data for the headline figure is missing.", file=sys.stderr)
        return 1
    if options.record:
        RECORDS.mkdir(parents=True, exist_ok=True)
        (RECORDS / f"{options.slug}.json").write_text(text, encoding="utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
