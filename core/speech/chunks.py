"""A long recording in overlapping chunks: constant memory, no seam, every sample once. Knows no model."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """Lengths in samples: `step` of new sound per chunk, `context` that a chunk hears on either side, `fade` over which neighbours are blended (at most 2 * context)."""

    step: int = 384_000
    context: int = 48_000
    fade: int = 12_000

    def __post_init__(self) -> None:
        if not (self.step > 0 and 0 <= self.fade <= 2 * self.context and self.fade <= self.step):
            raise ValueError(f"A cut takes step > 0 and fade <= 2 * context, fade <= step, not {self}.")


def in_chunks(parts: Iterable[Wave], run: Callable[[Wave], Wave], cut: Cut = Cut()) -> Iterator[Wave]:
    """Run over a recording of any length: as many samples out as in, in order.

    parts  blocks float32[..., n] of any sizes
    run    float32[..., n] -> the same shape, called on chunks of at most 1.5 * step + 2 * context samples; a recording that fits into one chunk is one call
    A chunk [a - context, b + context] speaks for [a, b]; round each border the two neighbours are blended linearly over `fade` samples.
    """
    half, tail = cut.fade // 2, None
    for chunk, before, new, last in _windows(parts, cut):
        made = run(chunk)
        own = made[..., max(before - half, 0):made.shape[-1] if last else before + new + half]
        if tail is not None:
            both = tail.shape[-1]
            ramp = (np.arange(both, dtype=np.float32) + 0.5) / max(both, 1)
            own = np.concatenate([tail * (1 - ramp) + own[..., :both] * ramp, own[..., both:]], axis=-1)
        keep = own.shape[-1] - (0 if last else 2 * half)
        yield own[..., :keep]
        tail = own[..., keep:]


def _windows(parts: Iterable[Wave], cut: Cut) -> Iterator[tuple[Wave, int, int, bool]]:
    """(chunk, samples of context before, new samples, whether it is the last). The last chunk takes what is left when that is less than half a step."""
    held, before = None, 0
    for part in parts:
        held = part if held is None else np.concatenate([held, part], axis=-1)
        while held.shape[-1] >= before + cut.step + cut.context + cut.step // 2:
            yield held[..., :before + cut.step + cut.context], before, cut.step, False
            drop = before + cut.step - cut.context
            held, before = held[..., max(drop, 0):], min(before + cut.step, cut.context)
    if held is not None and held.shape[-1] > before:
        yield held, before, held.shape[-1] - before, True


def chunks_of(samples: int, cut: Cut = Cut()) -> int:
    """How many chunks a recording of this length makes, for progress."""
    return max(1, -(-(samples - cut.context - cut.step // 2) // cut.step))
