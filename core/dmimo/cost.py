"""Fronthaul bits and floating-point operations of one slot of uplink D-MIMO, counted scheme by scheme, radios and centre apart.

Letters: M TRPs of Nr antennas, N = M Nr, L layers, Ls streams a TRP forwards, Nsc subcarriers in PRB resource blocks, S = 14 symbols,
D = S - DMRS symbols, Qm bits per symbol, G subcarriers per MMSE weight. A complex multiply-add is 8 operations.
Fronthaul is payload only: no eCPRI or Ethernet headers.
"""

import math
from dataclasses import dataclass

from core.dmimo.scenario import Scenario
from core.ran.fixed_point import EXPONENT_BITS
from core.ran.numerology import SUBCARRIERS_PER_PRB, SYMBOLS_PER_SLOT

SIDE_BITS = 16
"""Bits per real number of the side information (effective channel and noise covariance)."""
PRG = 2
"""Resource blocks that share one set of side information."""
INTERPOLATION_TAPS = 8
LDPC_ITERATIONS = 10
CODE_RATE = 0.59
"""The code rate at which the decoder is counted: the same for every scheme, as its hardware is."""


@dataclass(frozen=True)
class Load:
    """What the counts depend on; the letters in the head of this module. `weight_form` as in `mmse_flops`."""

    trps: int
    antennas: int
    layers: int
    streams: int
    prbs: int = 273
    qam_bits: int = 6
    iq_bits: int = 9
    stream_bits: int = 12
    llr_bits: int = 3
    dmrs_symbols: int = 2
    weight_subcarriers: int = 6
    weight_form: str = "antenna"
    code_rate: float = CODE_RATE

    @property
    def subcarriers(self) -> int:
        return SUBCARRIERS_PER_PRB * self.prbs

    @property
    def data_symbols(self) -> int:
        return SYMBOLS_PER_SLOT - self.dmrs_symbols


@dataclass(frozen=True)
class Flops:
    """Operations per slot in all radios together and in the centre."""

    trp: float
    centre: float

    @property
    def total(self) -> float:
        return self.trp + self.centre


def load_of(scenario: Scenario) -> Load:
    """The counts' view of a scenario; a TRP forwards no more streams than there are layers."""
    radio = scenario.radio
    return Load(len(scenario.trps), scenario.antennas, scenario.layers, min(radio.streams_per_trp, scenario.layers), radio.prbs, radio.qam_bits,
                radio.iq_bits, radio.stream_bits, radio.llr_bits, radio.dmrs_symbols, radio.weight_subcarriers, radio.weight_form)


# Fronthaul

def fronthaul_bits(scheme: str, load: Load) -> float:
    """Payload of one slot from all TRPs to the centre, bits.

        iqc   M Nr S (2 Nsc b_iq + 8 PRB)
        deqc  M Ls D (2 Nsc b_eq + 8 PRB) + M (PRB/PRG) (2 Ls L + Ls^2) b_side    (deqc_local the same; deqc_combined sends Ls SINRs instead)
        llrc  M Ls D Nsc Qm b_llr;  single_trp: L in place of M Ls, as every layer comes from one radio
    """
    if scheme == "iqc":
        return load.trps * load.antennas * SYMBOLS_PER_SLOT * _block_float_bits(load, load.iq_bits)
    if scheme in ("llrc", "single_trp"):
        reported = load.layers if scheme == "single_trp" else load.trps * load.streams
        return reported * load.data_symbols * load.subcarriers * load.qam_bits * load.llr_bits
    side = load.streams if scheme == "deqc_combined" else 2 * load.streams * load.layers + load.streams ** 2
    streams = load.trps * load.streams * load.data_symbols * _block_float_bits(load, load.stream_bits)
    return streams + load.trps * (load.prbs / PRG) * side * SIDE_BITS


def _block_float_bits(load: Load, bits: int) -> int:
    """One port, one symbol: two components per subcarrier and an exponent per resource block."""
    return load.subcarriers * 2 * bits + EXPONENT_BITS * load.prbs


# Operations

def flops(scheme: str, load: Load) -> Flops:
    """Real operations of one PUSCH slot.

        iqc   CE + W(N, L) + EQ(N, L) + DEMAP(L) + LDPC                                                                      all in the centre
        deqc  [CE + M W(Nr, L) + M EQ(Nr, Ls)] + W(M Ls, L) + EQ(M Ls, L) + DEMAP(L) + LDPC                          radios in brackets
        llrc  [CE + M W(Nr, L) + M EQ(Nr, Ls) + M DEMAP(Ls)] + adds + LDPC

    with CE = N L Nsc (3 DMRS + 8 taps), W(n, l) = (Nsc/G) w(n, l), EQ(n, l) = 8 n l Nsc D, DEMAP(l) = 10 Qm l Nsc D. The search for the best subspace
    of a radio is counted as its local MMSE (Gram and eigenvectors of a like size). deqc_combined has 6 operations per stream sample in place of the
    second MMSE, single_trp equalises and demaps every layer at one radio.
    """
    antennas = load.trps * load.antennas
    estimate = antennas * load.layers * load.subcarriers * (3 * load.dmrs_symbols + 8 * INTERPOLATION_TAPS)
    decode = ldpc_flops(load)
    if scheme == "iqc":
        joint = weight_flops(antennas, load) + equalise_flops(antennas, load.layers, load)
        return Flops(0.0, estimate + joint + demap_flops(load.layers, load) + decode)
    reported = load.trps * load.streams
    outputs = load.layers if scheme == "single_trp" else reported
    local = estimate + load.trps * weight_flops(load.antennas, load) + equalise_flops(load.antennas, outputs, load)
    if scheme == "single_trp":
        return Flops(local + demap_flops(load.layers, load), decode)
    if scheme == "llrc":
        adds = reported * load.subcarriers * load.data_symbols * load.qam_bits
        return Flops(local + demap_flops(reported, load), adds + decode)
    if scheme == "deqc_combined":
        combine = 6 * reported * load.subcarriers * load.data_symbols
    else:
        combine = weight_flops(reported, load) + equalise_flops(reported, load.layers, load)
    return Flops(local, combine + demap_flops(load.layers, load) + decode)


def mmse_flops(antennas: int, layers: int, form: str) -> float:
    """w(N, L), one weight matrix.

        antenna  4 N^2 L + (4/3) N^3 + 8 N^2 L    N x N covariance, factorised and solved;  inverse: 4 N^3 in place of (4/3) N^3
        layer    4 N L^2 + (4/3) L^3 + 8 N L^2    the same weights through the L x L matrix (Woodbury)
    """
    n, l = (layers, antennas) if form == "layer" else (antennas, layers)
    return 4 * n * n * l + (4 if form == "inverse" else 4 / 3) * n ** 3 + 8 * n * n * l


def weight_flops(antennas: int, load: Load) -> float:
    """W: the weights of a slot, one per G subcarriers, for all layers."""
    return load.subcarriers / load.weight_subcarriers * mmse_flops(antennas, load.layers, load.weight_form)


def equalise_flops(antennas: int, outputs: int, load: Load) -> float:
    """EQ: the weights applied to every data symbol."""
    return 8 * antennas * outputs * load.subcarriers * load.data_symbols


def demap_flops(outputs: int, load: Load) -> float:
    """DEMAP: ten operations per soft bit."""
    return 10 * load.qam_bits * outputs * load.subcarriers * load.data_symbols


def ldpc_flops(load: Load) -> float:
    """LDPC: information bits x (edges / 22) x iterations x 6, min-sum over base graph 1 (TS 38.212 sec. 5.3.2).

    edges = 76 + 5.7 (rows - 4), rows = ceil(22 / R + 2 - 22), at least 4
    """
    rows = max(4, math.ceil(22 / load.code_rate + 2 - 22))
    edges = 76 + 5.7 * (rows - 4)
    information = load.layers * load.subcarriers * load.data_symbols * load.qam_bits * load.code_rate
    return information * edges / 22 * LDPC_ITERATIONS * 6
