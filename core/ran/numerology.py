"""CP-OFDM of 5G NR (3GPP TS 38.211 sec. 4 and 5.3.1): slots, subcarriers, cyclic prefixes, and the waveform itself."""

from dataclasses import dataclass

import numpy as np

SYMBOLS_PER_SLOT = 14
SUBCARRIERS_PER_PRB = 12
_T_C_PER_SAMPLE_OF_2048 = 64          # kappa = T_s / T_c
_T_C_HZ = 480e3 * 4096                # 1 / T_c, TS 38.211 sec. 4.1


@dataclass(frozen=True)
class Numerology:
    """A carrier's grid: how many resource blocks of 12 subcarriers, and their spacing (15 kHz x 2^mu)."""

    prbs: int
    subcarrier_spacing_hz: float

    @property
    def subcarriers(self) -> int:
        return SUBCARRIERS_PER_PRB * self.prbs

    @property
    def bandwidth_hz(self) -> float:
        """Occupied bandwidth, without guard bands."""
        return self.subcarriers * self.subcarrier_spacing_hz

    @property
    def slots_per_second(self) -> float:
        """1000 x 2^mu (TS 38.211 Table 4.3.2-1)."""
        return 1000.0 * self.subcarrier_spacing_hz / 15e3

    @property
    def fft_size(self) -> int:
        """The next power of two above the subcarriers."""
        return 1 << max(0, self.subcarriers - 1).bit_length()

    @property
    def sample_rate_hz(self) -> float:
        return self.fft_size * self.subcarrier_spacing_hz

    def prefix_samples(self, symbol: int) -> int:
        """Length of the normal cyclic prefix of a symbol of the slot, in samples (TS 38.211 sec. 5.3.1): 144 kappa 2^-mu T_c, and 16 kappa T_c
        more for the first symbol of each half millisecond (the slot is taken to begin on one)."""
        mu = int(round(np.log2(self.subcarrier_spacing_hz / 15e3)))
        t_c = 144 * _T_C_PER_SAMPLE_OF_2048 / 2 ** mu + (16 * _T_C_PER_SAMPLE_OF_2048 if symbol % (7 * 2 ** mu) == 0 else 0)
        return int(round(t_c * self.sample_rate_hz / _T_C_HZ))

    def subcarrier_hz(self) -> np.ndarray:
        """Baseband frequency of every subcarrier, [subcarriers], symmetric about 0."""
        return (np.arange(self.subcarriers) - (self.subcarriers - 1) / 2) * self.subcarrier_spacing_hz


def modulate(grid: np.ndarray, numerology: Numerology) -> np.ndarray:
    """The samples of one slot: inverse FFT and cyclic prefix of every symbol; power is kept.

    grid     complex [symbols, subcarriers]
    returns  complex [samples]
    """
    size = numerology.fft_size
    bins = np.zeros((len(grid), size), dtype=complex)
    bins[:, _bins(numerology)] = grid
    waves = np.fft.ifft(bins, axis=1, norm="ortho")
    return np.concatenate([np.concatenate([wave[size - numerology.prefix_samples(k):], wave]) for k, wave in enumerate(waves)])


def demodulate(samples: np.ndarray, numerology: Numerology, symbols: int = SYMBOLS_PER_SLOT) -> np.ndarray:
    """The grid [symbols, subcarriers] out of a slot's samples: each symbol without its prefix through the FFT.

    A channel shorter than the prefix has become one factor per subcarrier.
    """
    grid, begin, size = [], 0, numerology.fft_size
    for k in range(symbols):
        begin += numerology.prefix_samples(k)
        grid.append(np.fft.fft(samples[begin:begin + size], norm="ortho")[_bins(numerology)])
        begin += size
    return np.array(grid)


def _bins(numerology: Numerology) -> np.ndarray:
    """FFT bin of every subcarrier: the lower half of the band lies in the upper bins."""
    return (np.arange(numerology.subcarriers) - numerology.subcarriers // 2) % numerology.fft_size
