"""Spectrograms as small grey pictures: level over time and frequency, for the page to colour and the report to embed."""

import io

import numpy as np

WINDOW, BINS, FLOOR_DB = 2048, 256, -84.0


def spectrogram(samples: np.ndarray, rate_hz: int, columns: int = 900, top_hz: float = 24_000.0) -> np.ndarray:
    """Level of samples float[n] in dB re full scale: float32[BINS, columns], top row = top_hz, linear in frequency; each cell the mean power it covers."""
    count = min(columns, max(1, len(samples) // 64))
    hop = max(1, len(samples) // (2 * count))
    padded = np.pad(samples.astype(np.float32), (WINDOW // 2, WINDOW))
    starts = np.arange(0, len(samples), hop)[:2 * count]
    window = np.hanning(WINDOW).astype(np.float32)
    power = np.empty((len(starts), WINDOW // 2), np.float32)
    for k in range(0, len(starts), 256):                                   # a few hundred windows at a time: memory stays small
        frames = padded[starts[k:k + 256, None] + np.arange(WINDOW)] * window
        power[k:k + 256] = np.abs(np.fft.rfft(frames, axis=1)[:, 1:]) ** 2
    used = min(max(1, round(top_hz / rate_hz * WINDOW)), WINDOW // 2)
    power = _pooled(_pooled(power[:, :used], count, 0), BINS, 1)
    return (10 * np.log10(power.T[::-1] / (window.sum() / 2) ** 2 + 1e-12)).astype(np.float32)


def _pooled(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Means of `count` nearly equal runs along the axis; where there are fewer values than runs, the nearest one stands for each."""
    size = values.shape[axis]
    if size <= count:
        return np.take(values, np.arange(count) * size // count, axis=axis)
    edges = np.arange(count) * size // count
    return np.add.reduceat(values, edges, axis=axis) / np.diff(np.append(edges, size)).reshape((-1, 1) if axis == 0 else (1, -1))


def as_png(level_db: np.ndarray, floor_db: float = FLOOR_DB, top_db: float = -12.0) -> bytes:
    """The level as an 8-bit grey PNG: floor black, top white."""
    from PIL import Image

    grey = np.clip((level_db - floor_db) / (top_db - floor_db), 0, 1) * 255
    buffer = io.BytesIO()
    Image.fromarray(np.round(grey).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
