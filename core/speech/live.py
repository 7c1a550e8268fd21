"""A stream restored while it is spoken: every block of new sound is restored with the sound before it, and handed out a moment later without a seam."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.speech.stft import RATE_HZ

Wave = NDArray[np.float32]
PAST_S, AHEAD_S, FADE_S = 1.6, 0.10, 0.02
"""What a block hears of the past, what it waits for of the future, over how much neighbours are blended."""
MOST_S = 5.0
"""The longest block that is taken at once."""


class Stream:
    """One microphone. `feed` takes blocks at its rate and gives what can be handed out, at the same rate: sample k of all that comes out belongs to sample k of all that went in.

    restore  float32[n] -> float32[n] at 48 kHz, n at most (PAST_S + MOST_S) * 48,000
    """

    def __init__(self, restore: Callable[[Wave], Wave], rate_hz: int) -> None:
        if not 8_000 <= rate_hz <= 192_000:
            raise InputError(f"The microphone gives {rate_hz:,} samples a second; 8,000 to 192,000 are read.")
        self._restore, self._rate_hz = restore, rate_hz
        self._at_48, self._back = _resampler(rate_hz, RATE_HZ), _resampler(RATE_HZ, rate_hz)
        self._heard = np.zeros(0, np.float32)
        self._done = 0
        self._tail = np.zeros(0, np.float32)

    @property
    def latency_s(self) -> float:
        """Seconds between a sample's arrival and the earliest moment it is handed out; computing, block length and resampling are not counted."""
        return AHEAD_S + FADE_S

    def feed(self, block: Wave) -> Wave:
        """float32[n] -> float32[m], m >= 0, both at the microphone's rate. Raises InputError for a block that is too long or no number."""
        block = np.asarray(block, np.float32)
        if block.ndim != 1 or len(block) > MOST_S * self._rate_hz or not np.isfinite(block).all():
            raise InputError(f"A block of a stream is one channel of at most {MOST_S:g} s of finite samples. Send shorter blocks.")
        self._heard = np.concatenate([self._heard, self._at_48(block)])
        ready = len(self._heard) - int((AHEAD_S + FADE_S) * RATE_HZ)
        if ready <= self._done:
            return np.zeros(0, np.float32)
        made = self._hand_out(self._restore(self._heard), ready)
        self._forget(ready)
        return self._back(made)

    def _hand_out(self, restored: Wave, ready: int) -> Wave:
        """The samples [done, ready), blended at their start with what the last block thought of them."""
        fade = int(FADE_S * RATE_HZ)
        new = restored[self._done:ready].copy()
        both = min(len(self._tail), len(new))
        ramp = (np.arange(both, dtype=np.float32) + 0.5) / max(both, 1)
        new[:both] = self._tail[:both] * (1 - ramp) + new[:both] * ramp
        self._tail = restored[ready:ready + fade].copy()
        return new

    def _forget(self, ready: int) -> None:
        """Keep PAST_S before what is still to be handed out."""
        drop = max(0, ready - int(PAST_S * RATE_HZ))
        self._heard, self._done = self._heard[drop:], ready - drop


def _resampler(from_hz: int, to_hz: int) -> Callable[[Wave], Wave]:
    """Blocks of a stream at another rate, in step with what went in."""
    if from_hz == to_hz:
        return lambda block: block
    import soxr

    return soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32").resample_chunk


def microphone(rate_hz: int, model: str = "m") -> Stream:
    """A stream restored by the network of this width in one step, loaded and run once. Raises InputError, EngineError."""
    from core.speech.restore import restorer
    from core.speech.sampler import Plan

    nets, plan = restorer(model), Plan()
    stream = Stream(lambda wave: nets.restore(wave, plan), rate_hz)
    nets.restore(np.full(int(PAST_S * RATE_HZ), 0.01, np.float32), plan)
    return stream
