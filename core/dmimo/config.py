"""Settings of the D-MIMO exhibit: one frozen dataclass from which the form, the command line and the HTTP endpoint are derived."""

from dataclasses import dataclass, replace

from core.dmimo.scenario import RadioConfig, Scenario
from core.errors import ConfigError
from core.exhibit import option

PRESETS = ("post", "spread", "iid", "cell_edge", "office")
AS_THE_SCENE = "scene"
"""The choice that leaves a radio setting as the scenario has it; for whole numbers that is 0."""


@dataclass(frozen=True)
class Config:
    """What is swept, and how the scenario's radio settings are changed first."""

    preset: str = option("post", "Scenario", choices=PRESETS, shown=False, help="The built-in scenario that runs when no scenario file is given.")
    streams: str = option(AS_THE_SCENE, "Streams a radio forwards", choices=(AS_THE_SCENE, "1", "2", "4", "8"),
                          help="Ls: what DEQC and LLRC send per radio, against one stream per antenna for IQC. As many streams as layers lose nothing.")
    angular_spread: str = option(AS_THE_SCENE, "Angular spread", choices=(AS_THE_SCENE, "2", "10", "45"),
                                 help="Degrees over which the rays of one user arrive. Small: users near each other look alike to a radio.")
    weight_form: str = option(AS_THE_SCENE, "MMSE weights formed over", choices=(AS_THE_SCENE, "antenna", "layer"),
                              help="The result is the same, the arithmetic is not: cubic in the antennas or in the layers.")
    drops: int = option(30, "Random placements per point", low=2, high=200, help="More placements, narrower bands, longer runs.")
    extras: bool = option(True, "Map of regimes, moving users", help="Also compute where the trade-off holds and what happens when users move.")
    snr_low_db: float = option(0.0, "Lowest SNR (dB)", low=-20.0, high=50.0, shown=False)
    snr_high_db: float = option(30.0, "Highest SNR (dB)", low=-20.0, high=50.0, shown=False)
    snr_points: int = option(7, "SNR points", low=1, high=1_000_000, shown=False, help="The scenario's own SNR is added to them.")
    map_drops: int = option(6, "Placements per point of the regime map", low=1, high=200, shown=False)
    seed: int = option(1, "Seed", low=0, high=2**31 - 1, shown=False)
    qam_bits: int = option(0, "Bits per QAM symbol", low=0, high=8, shown=False, help="Qm: 2, 4, 6 or 8; 0 as the scenario says.")
    iq_bits: int = option(0, "Bits per IQ component", low=0, high=16, shown=False, help="b_iq; 0 as the scenario says.")
    stream_bits: int = option(0, "Bits per stream component", low=0, high=16, shown=False, help="b_eq; 0 as the scenario says.")
    llr_bits: int = option(0, "Bits per LLR", low=0, high=16, shown=False, help="b_llr; 0 as the scenario says.")
    weight_subcarriers: int = option(0, "Subcarriers per weight", low=0, high=3300, shown=False, help="G; 0 as the scenario says.")
    dmrs_symbols: int = option(0, "DMRS symbols per slot", low=0, high=4, shown=False, help="0 as the scenario says.")
    most_points: int = option(500, "Points that run without asking", low=1, high=10_000_000, shown=False,
                              help="A longer sweep is refused with an estimate of how long it would take.")


WHOLE = ("qam_bits", "iq_bits", "stream_bits", "llr_bits", "weight_subcarriers", "dmrs_symbols")


def changed(scenario: Scenario, config: Config) -> Scenario:
    """The scenario with the radio settings this config asks for. Raises InputError where they do not fit it."""
    new: dict[str, object] = {name: getattr(config, name) for name in WHOLE if getattr(config, name)}
    if config.streams != AS_THE_SCENE:
        new["streams_per_trp"] = int(config.streams)
    if config.angular_spread != AS_THE_SCENE:
        new["angular_spread_deg"] = float(config.angular_spread)
    if config.weight_form != AS_THE_SCENE:
        new["weight_form"] = config.weight_form
    return with_radio(scenario, **new) if new else scenario


def with_radio(scenario: Scenario, **values: object) -> Scenario:
    """The scenario with some radio settings replaced."""
    radio: RadioConfig = replace(scenario.radio, **values)
    return replace(scenario, radio=radio)


def snr_grid(config: Config, reference_db: float) -> list[float]:
    """SNR points in dB, the scenario's own first, then both ends and what lies between: the curve's outline comes early.

    Raises ConfigError for a range that is empty.
    """
    low, high, many = config.snr_low_db, config.snr_high_db, config.snr_points
    if low > high:
        raise ConfigError(f"The lowest SNR, {low:g} dB, lies above the highest, {high:g} dB. Swap them.")
    step = (high - low) / max(many - 1, 1)
    points = [round(low + n * step, 6) for n in range(many)]
    halves = dict.fromkeys([float(reference_db), points[-1], points[0], *points[::2], *points])
    return list(halves)
