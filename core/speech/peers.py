"""What a visitor would use today, behind one call each: RNNoise, noisereduce, nara_wpe, a Wiener filter of our own. 48 kHz mono in, the same length out, in step with the input."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from core.errors import EngineError

RATE_HZ = 48_000
RNNOISE_DELAY = 960
"""Samples by which RNNoise's answer comes late (measured by a test)."""
WPE_HZ, WPE_WINDOW, WPE_HOP, WPE_TAPS, WPE_DELAY = 16_000, 512, 128, 10, 3


@dataclass(frozen=True)
class Peer:
    """One rival: the key of settings and records, its name, what it is for (noise or rooms), its package, its call."""

    key: str
    name: str
    against: str
    package: str
    call: Callable[[np.ndarray], np.ndarray]

    @property
    def version(self) -> str:
        return "this repository" if self.package == "vitrine" else version(self.package)


def rnnoise(noisy: np.ndarray) -> np.ndarray:
    """RNNoise (Valin 2018, its large model) on float32[n] at 48 kHz; its delay is taken out. Raises EngineError where its library does not load."""
    try:
        from pyrnnoise.rnnoise import FRAME_SIZE, create, destroy, lib
    except (ImportError, OSError) as error:
        raise EngineError("RNNoise is not installed here: its package has no library for this system. The other tools go on without it.") from error
    import ctypes

    frames = -(-(len(noisy) + RNNOISE_DELAY) // FRAME_SIZE)
    buffer = np.zeros(frames * FRAME_SIZE, np.float32)
    buffer[:len(noisy)] = np.clip(noisy, -1, 1) * 32768
    pointer = ctypes.POINTER(ctypes.c_float)
    state = create()
    try:
        for start in range(0, len(buffer), FRAME_SIZE):
            frame = buffer[start:].ctypes.data_as(pointer)
            lib.rnnoise_process_frame(state, frame, frame)
    finally:
        destroy(state)
    return buffer[RNNOISE_DELAY:RNNOISE_DELAY + len(noisy)] / 32768


def spectral_gate(noisy: np.ndarray) -> np.ndarray:
    """noisereduce's non-stationary spectral gating (Sainburg), its own settings."""
    import noisereduce

    return noisereduce.reduce_noise(y=noisy, sr=RATE_HZ, stationary=False).astype(np.float32)


def weighted_prediction(reverberant: np.ndarray) -> np.ndarray:
    """Weighted prediction error (Nakatani 2010) by nara_wpe on one channel below 8 kHz, 10 taps; what lies above passes as it is."""
    import soxr
    from nara_wpe.utils import istft, stft
    from nara_wpe.wpe import wpe_v8

    low = soxr.resample(reverberant, RATE_HZ, WPE_HZ, quality="VHQ")
    spectrum = stft(low[None], size=WPE_WINDOW, shift=WPE_HOP).transpose(2, 0, 1)          # [bins, channels, frames]
    dry = istft(wpe_v8(spectrum, taps=WPE_TAPS, delay=WPE_DELAY, iterations=3).transpose(1, 2, 0), size=WPE_WINDOW, shift=WPE_HOP)[0]
    change = _fit(dry, len(low)).astype(np.float32) - low
    return reverberant + _fit(soxr.resample(change, WPE_HZ, RATE_HZ, quality="VHQ"), len(reverberant))


def _fit(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))


def classical(noisy: np.ndarray) -> np.ndarray:
    """Our decision-directed Wiener filter, what textbooks do."""
    from core.speech.wiener import wiener

    return wiener(noisy)


PEERS: tuple[Peer, ...] = (
    Peer("rnnoise", "RNNoise", "noise", "pyrnnoise", rnnoise),
    Peer("noisereduce", "noisereduce", "noise", "noisereduce", spectral_gate),
    Peer("wiener", "Wiener", "noise", "vitrine", classical),
    Peer("nara_wpe", "WPE", "rooms", "nara_wpe", weighted_prediction),
)


def peer(key: str) -> Peer:
    """The rival of this key. Raises EngineError that lists those there are."""
    for row in PEERS:
        if row.key == key:
            return row
    raise EngineError(f"There is no tool {key!r} to compare with. There is: {', '.join(p.key for p in PEERS)}.")
