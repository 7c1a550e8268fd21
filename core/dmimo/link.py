"""The link simulation: one scenario at one SNR through every combining scheme, with the throughput that its soft bits support."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.dmimo import channel, combining, cost
from core.dmimo.combining import Combined, Local
from core.dmimo.scenario import RadioConfig, Scenario
from core.errors import ConfigError
from core.ran.fixed_point import BLOCK, llr_step, quantise_llrs
from core.ran.modulation import max_log_llrs, qam_map
from core.ran.mutual_information import best_rate, gmi, pass_probability
from core.ran.numerology import Numerology
from core.ran.units import linear_to_db

SCHEMES = ("iqc", "deqc", "llrc", "deqc_local", "deqc_combined", "single_trp")
"""iqc            joint MMSE of all antennas
deqc           each radio forwards its best subspace, joint MMSE of the streams ("partial beamforming")
llrc           each radio demaps its best layers by local MMSE; their soft bits are added
deqc_local     the symbols of those layers are forwarded in place of soft bits, joint MMSE of them: a weaker choice of streams
deqc_combined  the same symbols, weighted by their SINR and added: weaker still
single_trp     every layer at the one radio that hears it best, alone
"""
COLUMNS = ("scheme", "snr_db", "throughput_bps", "throughput_low_bps", "throughput_high_bps", "spectral_efficiency", "fronthaul_bps",
           "flops_per_slot", "evm_predicted_db", "evm_measured_db", "drops", "seed",
           "code_rate", "block_error_rate", "gmi", "trp_flops_per_slot", "centre_flops_per_slot")
"""Keys of every row of `simulate_point`, one row per scheme; the first twelve are those of sweep.csv.

throughput_bps        mean over drops of all layers together, at the best of the code rates; low and high: 90 % band of that mean,
                      as if drops were independent (they cover the plan more evenly, so the band is rather wide)
spectral_efficiency   throughput over occupied bandwidth, bit/s/Hz
fronthaul_bps         payload from all radios to the centre
flops_per_slot        PUSCH, radios and centre together; trp_flops_per_slot and centre_flops_per_slot are its two parts
evm_*_db              mean squared error of the MMSE symbols relative to their power, as the receiver predicts it and as it was;
                      llrc, single_trp: of the symbols that the radios demap
code_rate             the code rate chosen, one for all layers and drops (an MCS per scheme); 0 where none is decoded
block_error_rate      share of the layers' blocks that this code rate does not carry; 1 where none is decoded
gmi                   mean generalised mutual information per coded bit, 0 to 1
"""
BLOCKS = 4
"""Resource blocks that are simulated, spread over the band; a layer's codeword goes over all of them."""
SYMBOLS = 4
"""Data symbols that are simulated of each: 4 x 48 resource elements per layer."""
MOST_DROPS = 100_000
_BATCH_SAMPLES = 400_000
"""Received samples worked on at once (6 MB of complex128 fit a core's cache best); what comes out does not depend on it."""
_NORMAL_90 = 1.6448536269514722


@dataclass(frozen=True)
class Reception:
    """Some drops as received, on P resource blocks of T elements.

    y      [drops, P, M, T, Nr];  h: channel estimates [drops, P, M, Nr, L];  noise_var [drops, 1, M]
    bits   [drops, P, T, L, Qm];  sent: their symbols [drops, P, T, L]
    """

    y: np.ndarray
    h: np.ndarray
    noise_var: np.ndarray
    bits: np.ndarray
    sent: np.ndarray
    radio: RadioConfig

    @cached_property
    def local(self) -> Local:
        """What the radios have after their own MMSE."""
        return combining.local_mmse(self.y, self.h, self.noise_var)

    @cached_property
    def scores(self) -> np.ndarray:
        """How well each radio hears each layer: mean rate over the band, [drops, M, L]."""
        return np.log2(1.0 + self.local.sinr).mean(axis=1)

    @cached_property
    def forwarded(self) -> np.ndarray:
        """bool [drops, M, L]: the layers that each radio forwards."""
        return np.array([combining.assign(scores, self.streams) for scores in self.scores])

    @property
    def streams(self) -> int:
        return min(self.radio.streams_per_trp, self.h.shape[-1])


@dataclass(frozen=True)
class SoftBits:
    """What a scheme makes of a reception: LLRs [drops, P, T, L, Qm]; mean squared error of its MMSE symbols [drops], predicted and measured."""

    llrs: np.ndarray
    predicted: np.ndarray
    measured: np.ndarray


def simulate_point(scenario: Scenario, snr_db: float, drops: int, seed: int, schemes: Sequence[str] = SCHEMES) -> list[dict]:
    """One point of a sweep: `drops` random drops of the scenario at one SNR through each scheme, all of them over the same channels, bits and noise.

    snr_db  mean SNR per antenna at the TRP that hears a UE best
    seed    drop k of a seed is the same at every SNR, whatever the number of drops
    returns  one row per scheme with the keys of COLUMNS
    Raises ConfigError for an unknown scheme, no scheme, fewer than one drop or more than MOST_DROPS.
    """
    _check(drops, schemes)
    found: dict[str, list] = {scheme: [] for scheme in schemes}
    for reception in _receptions(scenario, snr_db, drops, seed):
        for scheme in schemes:
            soft = _RECEIVERS[scheme](reception)
            found[scheme].append((gmi(soft.llrs, reception.bits, axis=(1, 2, 4)), soft.predicted, soft.measured))
    return [_row(scheme, scenario, snr_db, drops, seed, *map(np.concatenate, zip(*found[scheme]))) for scheme in schemes]


def _check(drops: int, schemes: Sequence[str]) -> None:
    unknown = [scheme for scheme in schemes if scheme not in SCHEMES]
    if unknown or not schemes:
        raise ConfigError((f"There is no scheme {unknown[0]!r}. " if unknown else "No scheme was named. ") + f"Choose of: {', '.join(SCHEMES)}.")
    if not 1 <= drops <= MOST_DROPS:
        raise ConfigError(f"drops is {drops}; it has to lie between 1 and {MOST_DROPS}.")


def _row(scheme: str, scenario: Scenario, snr_db: float, drops: int, seed: int,
         information: np.ndarray, predicted: np.ndarray, measured: np.ndarray) -> dict:
    """The row of a scheme from the GMI of every layer [drops, L] and the errors of every drop."""
    numerology, load = Numerology(scenario.radio.prbs, scenario.radio.subcarrier_spacing_hz), cost.load_of(scenario)
    rate, carried = best_rate(information)
    slots = numerology.slots_per_second
    throughput = carried.sum(axis=1) * load.qam_bits * load.subcarriers * load.data_symbols * slots
    mean = float(throughput.mean())
    half = float(_NORMAL_90 * throughput.std(ddof=1) / np.sqrt(drops)) if drops > 1 else 0.0
    work = cost.flops(scheme, load)
    values = (scheme, float(snr_db), mean, max(0.0, mean - half), mean + half, mean / numerology.bandwidth_hz,
              cost.fronthaul_bits(scheme, load) * slots, work.total,
              float(linear_to_db(predicted.mean())), float(linear_to_db(measured.mean())), drops, seed, rate,
              float(1.0 - pass_probability(information, rate).mean()) if rate else 1.0, float(information.mean()), work.trp, work.centre)
    return dict(zip(COLUMNS, values, strict=True))


# Reception

def _receptions(scenario: Scenario, snr_db: float, drops: int, seed: int) -> Iterator[Reception]:
    """The drops in batches; every drop has a random stream of its own."""
    blocks = min(BLOCKS, scenario.radio.prbs)
    samples = blocks * BLOCK * SYMBOLS * len(scenario.trps) * scenario.antennas
    size = max(1, _BATCH_SAMPLES // samples)
    root = np.random.SeedSequence(seed)
    children, middles = root.spawn(drops), _middles(root, drops)
    for begin in range(0, drops, size):
        rngs = [np.random.default_rng(child) for child in children[begin:begin + size]]
        yield receive(scenario, snr_db, blocks, rngs, middles[begin:begin + size])


def _middles(root: np.random.SeedSequence, drops: int) -> np.ndarray:
    """Where the clusters of the drops stand, [drops, 2] in [0, 1): uniform for every seed, but evenly over the plan from drop to drop.

    The additive recurrence with the powers of the plastic number (Roberts 2018), shifted at random: where a cluster stands makes most of the
    difference between drops, so some thirty of them say what twice as many independent ones would.
    """
    plastic = 1.324717957244746
    return (np.random.default_rng(root).uniform(size=2) + np.arange(drops)[:, None] / plastic ** np.array([1, 2])) % 1.0


def receive(scenario: Scenario, snr_db: float, blocks: int, rngs: Sequence[np.random.Generator], middles: np.ndarray | None = None) -> Reception:
    """One drop per random generator: draw the channel, send random bits of every layer, add noise of variance 1.

        y = H x + n

    middles  [drops, 2] as in `channel.place_ues`; None draws them
    """
    radio, elements = scenario.radio, BLOCK * SYMBOLS
    channels = [channel.draw(scenario, snr_db, blocks, rng, None if middles is None else middles[k]) for k, rng in enumerate(rngs)]
    bits = np.array([rng.integers(0, 2, (blocks, elements, scenario.layers, radio.qam_bits), dtype=np.int8) for rng in rngs])
    noise = np.array([rng.standard_normal((2, blocks, len(scenario.trps), elements, scenario.antennas)) for rng in rngs])
    sent = qam_map(bits)
    true = np.array([c.true for c in channels])
    y = sent[:, :, None] @ np.swapaxes(true, -1, -2) + np.sqrt(0.5) * (noise[:, 0] + 1j * noise[:, 1])
    return Reception(y, np.array([c.estimate for c in channels]), np.array([c.noise_var for c in channels])[:, None], bits, sent, radio)


# Receivers

def _joint(combined: Combined, reception: Reception) -> SoftBits:
    """Soft bits of symbols that were combined in the centre."""
    error = np.maximum(combined.sinr, combining.SMALLEST_SINR)[..., None, :]
    llrs = max_log_llrs(combined.symbols, 1.0 / error, reception.radio.qam_bits)
    mmse = combined.symbols * (error / (1.0 + error))
    return SoftBits(llrs, (1.0 / (1.0 + combined.sinr)).mean(axis=(1, 2)), (np.abs(mmse - reception.sent) ** 2).mean(axis=(1, 2, 3)))


def _of_radios(reception: Reception, chosen: np.ndarray) -> SoftBits:
    """Soft bits that the radios make of the chosen layers [drops, M, L], quantised, and added in the centre."""
    local, radio = reception.local, reception.radio
    total = np.zeros(reception.bits.shape)
    errors = np.zeros((2, *chosen.shape))                                         # predicted, measured
    for m in range(chosen.shape[1]):
        symbols, sinr, mask = local.symbols[:, :, m], local.sinr[:, :, m, None], chosen[:, None, None, m]
        llrs = max_log_llrs(symbols, 1.0 / np.maximum(sinr, combining.SMALLEST_SINR), radio.qam_bits)
        total += np.where(mask[..., None], quantise_llrs(llrs, radio.llr_bits), 0.0)
        errors[0, :, m] = (1.0 / (1.0 + sinr)).mean(axis=(1, 2))
        errors[1, :, m] = (np.abs(symbols * (sinr / (1.0 + sinr)) - reception.sent) ** 2).mean(axis=(1, 2))
    predicted, measured = (errors * chosen).sum(axis=(2, 3)) / chosen.sum(axis=(1, 2))
    return SoftBits(total * llr_step(radio.llr_bits), predicted, measured)


def _iqc(r: Reception) -> SoftBits:
    return _joint(combining.iq_combining(r.y, r.h, r.noise_var, r.radio.iq_bits), r)


def _deqc(r: Reception) -> SoftBits:
    return _joint(combining.distributed_combining(r.y, r.h, r.noise_var, r.streams, r.radio.stream_bits), r)


def _deqc_local(r: Reception) -> SoftBits:
    return _joint(combining.combine_local(r.local, r.h, r.noise_var, r.forwarded, r.radio.stream_bits), r)


def _deqc_combined(r: Reception) -> SoftBits:
    return _joint(combining.combine_weighted(r.local, r.forwarded, r.radio.stream_bits), r)


def _llrc(r: Reception) -> SoftBits:
    return _of_radios(r, r.forwarded)


def _single_trp(r: Reception) -> SoftBits:
    return _of_radios(r, np.array([combining.best_trp(scores) for scores in r.scores]))


_RECEIVERS: dict[str, Callable[[Reception], SoftBits]] = dict(
    iqc=_iqc, deqc=_deqc, llrc=_llrc, deqc_local=_deqc_local, deqc_combined=_deqc_combined, single_trp=_single_trp)
