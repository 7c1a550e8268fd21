"""What a run says in words: the result in one sentence, the post's figures beside it, and three things the post does not tell, each with this run's numbers."""

from collections.abc import Mapping

PAPER = {
    "throughput_ratio": {"deqc": (0.72, "72 %"), "llrc": (0.30, "below 30 %")},
    "fronthaul_ratio": {"deqc": (0.15, "15 %"), "llrc": (0.10, "10 %")},
    "flops_ratio": {"deqc": (0.648, "64.8 %"), "llrc": (0.64, "64 %")},
}
"""What the post states in its sec. 3, all of IQC: the number and its words. It prints no configuration and no table."""
WORDS = {"throughput_ratio": "throughput", "fronthaul_ratio": "fronthaul", "flops_ratio": "arithmetic"}
SCHEMES = {
    "iqc": "IQC", "deqc": "DEQC", "llrc": "LLRC", "deqc_local": "DEQC, best layers", "deqc_combined": "DEQC, added by SINR", "single_trp": "one radio alone"}
"""How schemes are named where people read, in the order in which they are listed."""


def percent(share: float | None, digits: int = 0) -> str:
    """0.7412 -> "74 %" with a no-break space; "none" where there is nothing."""
    return "none" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def headline(metrics: Mapping) -> str:
    """The run in one sentence."""
    kept, added, sent = metrics["throughput_ratio"]["deqc"], metrics["throughput_ratio"]["llrc"], metrics["fronthaul_ratio"]["deqc"]
    if kept is None:
        return f"At {metrics['reference_snr_db']:g} dB not even IQC gets anything through, so there is nothing to compare"
    if added is not None and added > kept + 0.02:
        return f"Here adding soft bits is enough: LLRC keeps {percent(added)} of the throughput, DEQC {percent(kept)}"
    return f"DEQC keeps {percent(kept)} of the throughput and sends {percent(sent)} of the bits"


def caveat(story: Mapping) -> str:
    """How the post's figures and this run's relate."""
    if story["is_post"]:
        return ("Simulated. The post prints no configuration: this scenario is a regime we searched for in which its six figures come out together, "
                "so agreement shows that they fit together, not that this is its setting.")
    return "Simulated. The post’s figures belong to its own, unprinted scenario and not to this one; they stand here to show how far a scenario moves them."


def untold(story: Mapping) -> list[tuple[str, str]]:
    """The three findings with this run's numbers, as (headline, explanation); those that need what was not computed are left out."""
    return [found for found in (weights(story), sufficient(story), choice(story)) if found]


def weights(story: Mapping) -> tuple[str, str]:
    """How much arithmetic is saved hangs on the form of the MMSE."""
    form = story["forms"]
    antenna, layer = (1 - form[f]["deqc"]["flops"] / form[f]["iqc"]["flops"] for f in ("antenna", "layer"))
    smaller = form["layer"]["iqc"]["flops"] / form["antenna"]["iqc"]["flops"]
    if layer >= 0:
        head = f"DEQC saves {percent(antenna)} of the arithmetic, or {percent(layer)}: it depends on how the weights are formed"
    else:
        head = f"DEQC saves {percent(antenna)} of the arithmetic, or costs {percent(-layer)} more: it depends on how the weights are formed"
    return head, ("The same MMSE weights can be solved over antennas (cubic in all of them) or over layers (cubic in those). "
                  f"Over layers IQC itself needs {percent(smaller)} of its arithmetic over antennas, so there is less to save.")


def sufficient(story: Mapping) -> tuple[str, str] | None:
    """As many streams as layers lose nothing."""
    exact = story.get("exact")
    if not exact:
        return None
    return (f"With {exact['streams']} streams a radio DEQC gives {percent(exact['ratio'], 1)} of IQC",
            "As many streams as layers are a sufficient statistic: nothing is lost but the rounding of the streams. The whole loss comes from streams left out "
            f"(here a radio forwards {story['streams_per_trp']}); sending all of them takes {percent(exact['fronthaul_ratio'])} of IQC’s fronthaul.")


def choice(story: Mapping) -> tuple[str, str] | None:
    """Which streams are forwarded decides everything."""
    at = {r["scheme"]: r["throughput_bps"] for r in story["rows"] if r["snr_db"] == story["reference_snr_db"]}
    if not at.get("iqc") or not {"deqc", "deqc_local", "deqc_combined"} <= at.keys():
        return None
    best, local, added = (percent(at[s] / at["iqc"]) for s in ("deqc", "deqc_local", "deqc_combined"))
    return (f"Which streams a radio forwards decides: {best}, {local} or {added} of IQC",
            f"{best}: the best subspace of what the radio hears. {local}: the outputs of its best layers by local MMSE, joined at the centre. {added}: the same outputs, added by "
            "their SINR. The fronthaul is nearly the same. The post says “partial beamforming or local pre-equalization”, which leaves open which one it means.")
