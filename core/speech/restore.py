"""A recording of any length and rate restored in constant memory: decoded in blocks, restored in overlapping chunks, written as it comes (LAFUFU, section 3)."""

import io
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import ConfigError, InputError
from core.exhibit import Progress, Source, silent
from core.io.sounds import SoundInfo, blocks, inspect, resampled
from core.speech.chunks import Cut, chunks_of, in_chunks
from core.speech.config import SpeechConfig
from core.speech.sampler import Plan, Restorer
from core.speech.score import SIZES
from core.speech.stft import RATE_HZ
from core.speech.weights import FOLDER, load_autoencoder, load_network

Wave = NDArray[np.float32]
SILENCE = 1e-6
CLIPPED_SHARE = 1e-3


@lru_cache(maxsize=4)
def restorer(model: str, domain: str = "latent", sampler: str = "bridge") -> Restorer:
    """The nets of one width, loaded once; they run on one thread. Raises ConfigError for a width that was not trained so, EngineError where weights do not fit."""
    torch.set_num_threads(1)
    end = "-stft" * (domain == "stft") + "-ouve" * (sampler == "pc")  # the bridge's network never saw the states of the SDE
    path, trained = FOLDER / f"speech-{model}{end}.npz", [size for size in SIZES if (FOLDER / f"speech-{size}{end}.npz").is_file()]
    if trained and model not in trained:
        raise ConfigError(f"Size {model} was not trained for domain={domain} with sampler={sampler}. Take model={' or '.join(trained)}.")
    return Restorer(load_network(path), load_autoencoder() if domain == "latent" else None)


def plan_of(config: SpeechConfig) -> Plan:
    """The sampling that a config asks for. Raises ConfigError."""
    return Plan(config.sampler, config.steps, config.seed, shifts=config.shifts)


@dataclass(frozen=True)
class Heard:
    """What a first pass over a recording found: its samples at 48 kHz, its largest magnitude, the share of samples that stand at it."""

    info: SoundInfo
    samples: int
    peak: float
    clipped: float


@dataclass(frozen=True)
class Restored:
    """wav: the restored recording, 24 bits at 48 kHz; start: the beginning of input and outcome [channels, n]; seconds of thread time per stage."""

    wav: bytes
    heard: Heard
    before: Wave
    after: Wave
    seconds: dict[str, float]
    notes: tuple[str, ...] = field(default=())

    @property
    def rtf(self) -> float:
        """Seconds of one core per second of sound: decoding, STFT, autoencoder and network."""
        return self.seconds["restore"] / max(self.heard.samples / RATE_HZ, 1e-9)


def listen(source: Source) -> Heard:
    """One pass in constant memory. Raises what `core.io.sounds.blocks` raises, InputError for less than 10 ms."""
    info, count, peak, loud = inspect(source), 0, 0.0, 0
    for part in blocks(source):
        count += part.shape[1]
        top = float(np.abs(part).max(initial=0.0))
        loud = loud * (top <= peak * 1.0001) + int((np.abs(part) >= 0.9999 * max(top, peak)).sum()) * (top >= peak * 0.9999)
        peak = max(peak, top)
    if count < 0.01 * info.rate_hz:
        raise InputError(f"{source.name} lasts {1000 * count / info.rate_hz:.1f} ms; at least 10 ms are needed. Record a little longer.")
    return Heard(info, round(count * RATE_HZ / info.rate_hz), peak, loud / (count * info.channels))


def restore(source: Source, config: SpeechConfig = SpeechConfig(), progress: Progress = silent, keep_s: float = 12.0, cut: Cut = Cut()) -> Restored:
    """Restore a recording.

    source  any sound `core.io.sounds` reads; every channel is restored
    keep_s  seconds of input and outcome that are kept as arrays, from the start
    Length, channels and level of what comes out are those of what went in. Raises InputError, LimitError, EngineError, ConfigError, and what `progress` raises.
    """
    progress(0.0, f"Listening to {source.name}")
    plan, begun = plan_of(config), time.thread_time()
    heard = listen(source)
    nets, done, total = restorer(config.model, config.domain, config.sampler), 0, chunks_of(heard.samples, cut)
    kept: dict[str, list[Wave]] = {"before": [], "after": []}

    def run(chunk: Wave) -> Wave:
        nonlocal done
        progress(done / total, f"Restoring {source.name}, part {min(done + 1, total)} of {total}")
        made = np.stack([nets.restore(channel, plan, _watched(progress, done, total), heard.peak) for channel in chunk])
        done += 1
        return made

    with _Writer(heard) as out:
        dry = _Tap(_exact(resampled(blocks(source), heard.info.rate_hz, RATE_HZ, heard.info.channels), heard.samples))
        for made in in_chunks(dry, run, cut):
            original = dry.take(made.shape[1])
            mixed = made if config.strength == 1 else config.strength * made + (1 - config.strength) * original
            _keep(kept["before"], original, keep_s)
            _keep(kept["after"], mixed, keep_s)
            out.write(mixed)
        wav = out.bytes()
    before, after = (np.concatenate(kept[name], axis=1) for name in ("before", "after"))
    return Restored(wav, heard, before, after, {"restore": time.thread_time() - begun}, _notes(heard, out.over))


def _watched(progress: Progress, done: int, total: int):
    """What the sampler tells after each step, as a share of the whole."""
    return lambda step, steps, _: progress((done + step / steps) / total, f"Part {min(done + 1, total)} of {total}, step {step} of {steps}")


def _keep(parts: list[Wave], new: Wave, seconds: float) -> None:
    room = int(seconds * RATE_HZ) - sum(part.shape[1] for part in parts)
    if room > 0 or not parts:
        parts.append(new[:, :max(room, 0)].astype(np.float32))


def _exact(parts: Iterator[Wave], samples: int) -> Iterator[Wave]:
    """Exactly this many samples: a resampler gives one more or less."""
    left = samples
    for part in parts:
        part, left = part[:, :left], left - min(left, part.shape[1])
        if part.shape[1]:
            yield part
    if left:
        yield np.zeros((part.shape[0], left), np.float32)


class _Tap:
    """Hands blocks on and keeps them until the restored ones arrive."""

    def __init__(self, parts: Iterator[Wave]) -> None:
        self._parts, self._held = parts, []

    def __iter__(self) -> Iterator[Wave]:
        for part in self._parts:
            self._held.append(part)
            yield part

    def take(self, count: int) -> Wave:
        """The next `count` samples that went through."""
        got, need = [], count
        while need:
            head = self._held[0]
            got.append(head[:, :need])
            need -= got[-1].shape[1]
            self._held[0] = head[:, got[-1].shape[1]:]
            if not self._held[0].shape[1]:
                self._held.pop(0)
        return np.concatenate(got, axis=1) if got else np.zeros((self._held[0].shape[0] if self._held else 1, 0), np.float32)


class _Writer:
    """A WAV file on disk that grows block by block; what is over full scale is counted and cut."""

    def __init__(self, heard: Heard) -> None:
        self._heard, self.over = heard, 0

    def __enter__(self) -> "_Writer":
        import soundfile

        self._place = tempfile.TemporaryFile()
        self._file = soundfile.SoundFile(self._place, "w", RATE_HZ, self._heard.info.channels, "PCM_24", format="WAV")
        return self

    def write(self, part: Wave) -> None:
        self.over += int((np.abs(part) > 1).sum())
        self._file.write(np.clip(part.T, -1, 1))

    def bytes(self) -> bytes:
        """The finished file."""
        self._file.close()
        self._place.seek(0, io.SEEK_SET)
        return self._place.read(os.fstat(self._place.fileno()).st_size)

    def __exit__(self, *_) -> None:
        self._file.close()
        self._place.close()


def _notes(heard: Heard, over: int) -> tuple[str, ...]:
    notes = []
    if heard.info.video:
        notes.append("The sound track of the video was read.")
    if heard.peak < SILENCE:
        notes.append("The recording is silent; silence came back.")
    elif heard.clipped > CLIPPED_SHARE:
        notes.append(f"{100 * heard.clipped:.1f} % of the samples stand at the highest level: the recording is clipped, and what was cut off is guessed at best.")
    if over:
        notes.append(f"{over:,} samples would have been louder than a WAV file can hold; they were cut at full scale.")
    return tuple(notes)
