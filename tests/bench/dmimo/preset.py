"""The presets on seeds that no choice was made on: the post's six figures, its trend over SNR, what the post does not tell, and the other regimes."""

import dataclasses
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.dmimo import cost
from core.dmimo.link import SCHEMES, simulate_point
from core.dmimo.presets import PRESETS
from core.dmimo.scenario import Scenario
from tests.bench.harness import Section

SEEDS = tuple(range(7001, 7011))
"""The SNR of the preset was chosen on the seeds 1 to 4."""
POST = {"deqc": (72.0, 15.0, 64.8), "llrc": (30.0, 10.0, 64.0)}
"""What the post states for throughput ("less than" for llrc), fronthaul and FLOPS, in per cent of IQC."""
MAIN = ("iqc", "deqc", "llrc")


@dataclass(frozen=True)
class Effort:
    """Seeds and drops per seed."""

    seeds: tuple[int, ...]
    drops: int

    def __str__(self) -> str:
        return f"{len(self.seeds)} fresh seeds x {self.drops} drops"


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Five sections, about a minute of CPU; the headline is the post's figures as measured here."""
    whole, part = (Effort(SEEDS[:2], 10),) * 2 if options.quick else (Effort(SEEDS, 150), Effort(SEEDS[:3], 80))
    scores = throughputs(PRESETS["post"], PRESETS["post"].radio.snr_db, whole)
    yield post_section(scores, whole), headline(scores)
    yield trend_section(part), None
    yield untold_section(part), None
    yield regimes_section(part), None
    yield speed_section(part), None


def throughputs(scenario: Scenario, snr_db: float, effort: Effort, schemes: Sequence[str] = SCHEMES) -> dict[str, np.ndarray]:
    """Per scheme the throughput of every seed, bit/s."""
    rows = [simulate_point(scenario, snr_db, effort.drops, seed, schemes) for seed in effort.seeds]
    return {scheme: np.array([row[k]["throughput_bps"] for row in rows]) for k, scheme in enumerate(schemes)}


def shares(scenario: Scenario, scheme: str) -> dict[str, float]:
    """Fronthaul, FLOPS and FLOPS in the centre, in per cent of IQC's."""
    load = cost.load_of(scenario)
    joint, work = cost.flops("iqc", load).total, cost.flops(scheme, load)
    return {"fronthaul %": 100 * cost.fronthaul_bits(scheme, load) / cost.fronthaul_bits("iqc", load),
            "FLOPS %": 100 * work.total / joint, "of them in the centre": 100 * work.centre / joint}


def percent(scores: dict[str, np.ndarray], scheme: str) -> tuple[float, float]:
    """Mean and standard deviation over seeds of the throughput in per cent of IQC."""
    ratios = 100 * scores[scheme] / scores["iqc"]
    return float(ratios.mean()), float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0


def post_section(scores: dict[str, np.ndarray], effort: Effort) -> Section:
    """The six figures beside the post's."""
    section = Section("post", "The post's regime, found and not printed: in per cent of IQC",
                      f"{effort} at {PRESETS['post'].radio.snr_db:g} dB; +-: standard deviation over seeds; "
                      "costs are counted, throughput is simulated; the post's throughput of llrc is an upper bound")
    for scheme in scores:
        mean, deviation = percent(scores, scheme)
        stated = dict(zip(("post: throughput", "fronthaul", "FLOPS"), POST.get(scheme, ())))
        section.rows.append({"scheme": scheme, "Gb/s": float(scores[scheme].mean() / 1e9), "throughput %": mean, "+-": deviation,
                             **shares(PRESETS["post"], scheme), **stated})
    return section


def headline(scores: dict[str, np.ndarray]) -> dict:
    """The figures of the gallery."""
    found = {}
    for scheme in ("deqc", "llrc"):
        mean, deviation = percent(scores, scheme)
        costs = shares(PRESETS["post"], scheme)
        found |= {f"{scheme}_throughput_percent": round(mean, 1), f"{scheme}_throughput_deviation": round(deviation, 1),
                  f"{scheme}_fronthaul_percent": round(costs["fronthaul %"], 1), f"{scheme}_flops_percent": round(costs["FLOPS %"], 1)}
    return found


def trend_section(effort: Effort) -> Section:
    """Throughput ratios over SNR."""
    section = Section("post_trend", "The post's regime over SNR", f"throughput in per cent of IQC, {effort}")
    for snr_db in (10, 15, 20, 26, 30):
        scores = throughputs(PRESETS["post"], snr_db, effort, MAIN)
        row = {"SNR dB": snr_db, "IQC Gb/s": float(scores["iqc"].mean() / 1e9)}
        for scheme in MAIN[1:]:
            row[f"{scheme} %"], row[f"+- {scheme}"] = percent(scores, scheme)
        section.rows.append(row)
    return section


def untold_section(effort: Effort) -> Section:
    """The three findings: the layer form, as many streams as layers, other streams at the same fronthaul."""
    section = Section("post_untold", "What the post does not tell", "the post's regime with one thing changed; in per cent of IQC")
    post = PRESETS["post"]
    for change, scheme, changed in (("none", "deqc", {}), ("MMSE in layer form", "deqc", dict(weight_form="layer")),
                                    ("4 streams per TRP", "deqc", dict(streams_per_trp=4)),
                                    ("a stream per layer (8)", "deqc", dict(streams_per_trp=8)),
                                    ("best layers by local MMSE", "deqc_local", {}), ("the same, added by SINR", "deqc_combined", {})):
        scenario = dataclasses.replace(post, radio=dataclasses.replace(post.radio, **changed))
        mean, deviation = percent(throughputs(scenario, post.radio.snr_db, effort, ("iqc", scheme)), scheme)
        section.rows.append({"changed": change, "throughput %": mean, "+-": deviation, **shares(scenario, scheme)})
    return section


def regimes_section(effort: Effort) -> Section:
    """Every preset."""
    section = Section("regimes", "Other regimes", f"throughput in per cent of IQC at the preset's SNR, {effort}; fronthaul of deqc")
    for name, scenario in PRESETS.items():
        scores = throughputs(scenario, scenario.radio.snr_db, effort)
        ratios = {scheme: percent(scores, scheme)[0] for scheme in SCHEMES[1:]}
        section.rows.append({"preset": name, "SNR dB": scenario.radio.snr_db, "IQC Gb/s": float(scores["iqc"].mean() / 1e9), **ratios,
                             "fronthaul %": shares(scenario, "deqc")["fronthaul %"]})
    return section


def speed_section(effort: Effort) -> Section:
    """CPU time of a drop."""
    section = Section("link_speed", "The link simulation, CPU time", f"one thread, {effort.drops} drops at one SNR, best of 3")
    for schemes in (MAIN, SCHEMES):
        times = []
        for _ in range(3):
            begun = time.process_time()
            simulate_point(PRESETS["post"], 20.0, effort.drops, SEEDS[0], schemes)
            times.append(1e3 * (time.process_time() - begun) / effort.drops)
        section.rows.append({"schemes": len(schemes), "ms per drop": min(times)})
    return section
