"""The speech exhibit as the studio runs it: recordings in, restored recordings and their measures out; takes, spectrograms and steps for the page."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import EngineError, InputError, LimitError
from core.exhibit import Outcome, Progress, Source, part, silent, stems, timed
from core.io.sounds import inspect, read_sound, resampled, to_wav
from core.speech.config import SpeechConfig
from core.speech.degrade import spoil
from core.speech.latents import autoencoders, kept, loudest
from core.speech.metrics import measure
from core.speech.peers import PEERS
from core.speech.pictures import as_png, spectrogram
from core.speech.presets import AS_IT_IS, PRESETS, WORDS, sources
from core.speech.restore import Restored, plan_of, restore, restorer
from core.speech.sampler import LEVEL, fast, sample
from core.speech.score import scaled
from core.speech.stft import RATE_HZ, istft, stft

__all__ = ["Config", "inspect", "run", "warm"]

Config = SpeechConfig
Wave = NDArray[np.float32]
EXCERPT_S, STEPS_S, SPOIL_S = 12.0, 6.0, 60.0
"""What the page plays and measures, what it draws step by step, how long a recording may be that is spoilt first."""


@dataclass(frozen=True)
class Take:
    """One version of the excerpt: float32 [n] at 48 kHz, seconds of one core per second of sound (None: nothing was computed)."""

    key: str
    name: str
    wave: Wave
    rtf: float | None = None


def warm() -> None:
    """Load what the first run would otherwise wait for: the nets of the default model, and a second of noise through them."""
    try:
        restorer(SpeechConfig().model).restore(0.01 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32))
    except EngineError:
        return  # a run says what is missing


def run(given: Sequence[Source], config: SpeechConfig = SpeechConfig(), progress: Progress = silent) -> Outcome:
    """Restore every recording.

    files    STEM.restored.wav (48 kHz, 24 bits, the length, channels and level that came in) and STEM.json (measures, seconds, rtf)
    trace    STEM/KEY.flac and STEM/KEY.png for every take of the first seconds, STEM/step-N.png, trace.json; with `latents` the same for STEM/latent-NAME
    metrics  recordings, seconds, rtf, and the measures of the first recording before and after
    Raises InputError, LimitError, EngineError, ConfigError, and whatever `progress` raises to stop.
    """
    recordings, reference = _apart(given, config)
    files, trace, told, seconds, notes = {}, {}, {}, {"open": 0.0}, []
    names = stems(recordings, "recording")
    for index, (source, stem) in enumerate(zip(recordings, names)):
        share = part(progress, index / len(names), (index + 1) / len(names))
        one = _one(source, stem, config, reference, share, seconds)
        files |= one["files"]
        trace |= one["trace"]
        told[stem] = one["told"]
        notes += one["notes"]
    trace["trace.json"] = json.dumps({"clips": told}).encode()
    return Outcome(files, trace, _metrics(told), seconds, tuple(dict.fromkeys(notes)), _models(config), config.seed)


def _apart(given: Sequence[Source], config: SpeechConfig) -> tuple[list[Source], Source | None]:
    """The recordings, and the clean one that the config names. Raises InputError where that is not among them."""
    if not config.reference:
        return list(given), None
    found = [s for s in given if s.name == config.reference]
    rest = [s for s in given if s is not (found[-1] if found else None)]
    if not found or not rest:
        raise InputError(f"The clean recording {config.reference} was not brought along with a recording to restore. Give both.")
    return rest, found[-1]


def _one(source: Source, stem: str, config: SpeechConfig, reference: Source | None, progress: Progress, seconds: dict[str, float]) -> dict:
    clean = None
    if config.spoil != AS_IT_IS:
        with timed(seconds, "spoil"):
            source, clean = _spoilt(source, config)
    with timed(seconds, "restore"):
        done = restore(source, config, part(progress, 0.0, 0.6), EXCERPT_S)
    notes = [note if note.startswith(source.name) else f"{source.name}: {note}" for note in done.notes]
    if reference is not None:
        clean, note = _fitted(reference, done)
        notes += note
    takes, missing = _takes(done, clean, config, part(progress, 0.6, 0.8), seconds)
    with timed(seconds, "measure"):
        measures = {t.key: measure(t.wave, clean if t.key != "clean" else None) if np.abs(t.wave).max(initial=0) > 1e-5 else {} for t in _told(takes, progress)}
    with timed(seconds, "pictures"):
        trace, steps = _pictures(done, takes, config, stem)
    lesson, more = _lesson(done.before.mean(axis=0), clean, stem, part(progress, 0.95, 1.0), seconds) if config.latents else (None, {})
    trace |= more
    ours = next(t for t in takes if t.key == "ours")
    record = dict(name=source.name, seconds=round(done.heard.samples / RATE_HZ, 3), rate_hz=done.heard.info.rate_hz, channels=done.heard.info.channels, rtf=ours.rtf,
                  seconds_per_stage=done.seconds, measures=measures)
    told = record | dict(excerpt_s=[0.0, len(ours.wave) / RATE_HZ], words=_words(done, config), method=METHOD, steps=steps, steps_words=_steps_words(config), latents=lesson,
                         takes=[dict(key=t.key, name=t.name, rtf=t.rtf, measures=measures[t.key], sound=f"{stem}/{t.key}.flac", picture=f"{stem}/{t.key}.png") for t in takes])
    made = {f"{stem}.restored.wav": done.wav, f"{stem}.json": json.dumps(record, indent=1).encode()}
    return dict(files=made, trace=trace, told=told, notes=notes + missing)


def _told(takes: Sequence[Take], progress: Progress):
    for n, take in enumerate(takes):
        progress(0.8 + 0.15 * n / len(takes), f"Measuring {take.name}")
        yield take


def _spoilt(source: Source, config: SpeechConfig) -> tuple[Source, Wave]:
    """The recording as one channel, spoilt as the preset says; and what restoration aims at."""
    info = inspect(source)
    if info.seconds is not None and info.seconds > SPOIL_S:
        raise LimitError(f"{source.name} lasts {info.seconds:.0f} s; recordings of up to {SPOIL_S:.0f} s are spoilt first. Cut it, or restore it as it is.")
    wave = np.concatenate(list(resampled([read_sound(source).samples.mean(axis=0, keepdims=True)], info.rate_hz, RATE_HZ, 1)), axis=1)[0]
    made = spoil(wave, PRESETS[config.spoil](config.snr_db, config.seed), sources())
    gain = min(1.0, 0.98 / max(float(np.abs(made.noisy).max()), 1e-9))
    return Source(source.name, to_wav(gain * made.noisy[None], RATE_HZ, "FLOAT")), (gain * made.target)[:int(EXCERPT_S * RATE_HZ)].astype(np.float32)


def _fitted(reference: Source, done: Restored) -> tuple[Wave, list[str]]:
    """The clean recording at 48 kHz, as long as the excerpt."""
    sound = read_sound(reference)
    wave = np.concatenate(list(resampled([sound.samples.mean(axis=0, keepdims=True)], sound.rate_hz, RATE_HZ, 1)), axis=1)[0]
    apart = abs(len(wave) - done.heard.samples) / RATE_HZ
    note = [f"{reference.name} is {apart:.2f} s longer or shorter than the recording: the measures hold only where both run in step."] if apart > 0.02 else []
    length = done.after.shape[1]
    return np.pad(wave[:length], (0, max(0, length - len(wave)))).astype(np.float32), note


def _takes(done: Restored, clean: Wave | None, config: SpeechConfig, progress: Progress, seconds: dict[str, float]) -> tuple[list[Take], list[str]]:
    """The excerpt as it came, restored, clean where that is known, and by the other tools; and why one of them is missing."""
    noisy = done.before.mean(axis=0)
    takes, missing = [Take("noisy", "As it was", noisy), Take("ours", "Restored", done.after.mean(axis=0), done.rtf)], []
    for n, rival in enumerate(PEERS if config.compare else ()):
        progress(n / len(PEERS), f"Running {rival.name}")
        with timed(seconds, "peers"):
            begun = time.thread_time()
            try:
                wave = rival.call(noisy)
            except EngineError as reason:
                missing.append(str(reason))
                continue
            takes.append(Take(rival.key, rival.name, wave, (time.thread_time() - begun) / max(len(noisy) / RATE_HZ, 1e-9)))
    return takes + ([Take("clean", "Clean", clean)] if clean is not None else []), missing


def _lesson(noisy: Wave, clean: Wave | None, stem: str, progress: Progress, seconds: dict[str, float]) -> tuple[dict | None, dict[str, bytes]]:
    """The loudest seconds through the autoencoders of the ablation, unrestored: what the page says of each, sounds and pictures. None for silence, or without weights."""
    there = loudest(noisy if clean is None else clean)
    noisy, clean = noisy[there], clean if clean is None else clean[there]
    if not autoencoders() or np.abs(noisy).max(initial=0) < 1e-5:
        return None, {}
    trace: dict[str, bytes] = {}

    def stored(name: str, wave: Wave) -> dict[str, str]:
        trace[f"{stem}/latent-{name}.flac"] = to_wav(wave[None], RATE_HZ, "PCM_16", "FLAC")
        trace[f"{stem}/latent-{name}.png"] = as_png(spectrogram(wave, RATE_HZ, 600))
        return dict(sound=f"{stem}/latent-{name}.flac", picture=f"{stem}/latent-{name}.png")

    rows = []
    with timed(seconds, "latents"):
        for n, one in enumerate(kept(noisy, clean)):
            progress(n / len(autoencoders()), f"Trying a latent {one.width.latent} numbers wide")
            rows.append(dict(latent=one.width.latent, start=one.width.start, hidden=one.width.hidden, numbers_per_second=one.width.numbers_per_second,
                             si_sdr=one.si_sdr, lsd_high=one.lsd_high, rtf=one.rtf, **stored(one.width.name, one.wave)))
        came = {"noisy": stored("noisy", noisy)} | ({"clean": stored("clean", clean)} if clean is not None else {})
    return dict(start_s=there.start / RATE_HZ, seconds=len(noisy) / RATE_HZ, samples_per_second=RATE_HZ, came=came, rows=rows), trace


def _pictures(done: Restored, takes: Sequence[Take], config: SpeechConfig, stem: str) -> tuple[dict[str, bytes], list[dict]]:
    """Sound and spectrogram of every take, and the steps."""
    trace = {}
    for take in takes:
        trace[f"{stem}/{take.key}.flac"] = to_wav(take.wave[None], RATE_HZ, "PCM_16", "FLAC")
        trace[f"{stem}/{take.key}.png"] = as_png(spectrogram(take.wave, RATE_HZ))
    steps = []
    for n, (at, wave) in enumerate(_states(done, config)):
        trace[f"{stem}/step-{n}.png"] = as_png(spectrogram(wave, RATE_HZ, 480))
        steps.append(dict(time=at, picture=f"{stem}/step-{n}.png"))
    return trace, steps


def _states(done: Restored, config: SpeechConfig) -> list[tuple[float, Wave]]:
    """What the network takes for the clean sound after each step, decoded; the first entry is the input."""
    import torch

    wave, plan, nets, found = done.before.mean(axis=0)[:int(STEPS_S * RATE_HZ)], plan_of(config), restorer(config.model, config.domain, config.sampler), []
    peak = float(np.abs(wave).max(initial=0))
    if peak < 1e-6:
        return [(1.0, wave)]
    with torch.inference_mode(), fast():
        parts = stft(torch.from_numpy(wave * (LEVEL / peak))[None])
        state, hidden = nets.autoencoder.encode(parts) if nets.autoencoder else (parts, None)
        state, factor = scaled(state.float())

        def seen(step: int, steps: int, clean) -> None:
            back = nets.autoencoder.decode(clean / factor, hidden).float() if nets.autoencoder else clean / factor
            found.append((1 - step / steps, istft(back, len(wave))[0].numpy() * (peak / LEVEL)))

        sample(nets.network, state, plan, seen=seen)
    return [(1.0, wave), *found]


def _metrics(told: dict) -> dict:
    """Counts, cost, and the first recording's measures before and after."""
    first = next(iter(told.values()))
    total = sum(one["seconds"] for one in told.values())
    return {"recordings": len(told), "seconds": round(total, 3), "rtf": round(sum(one["rtf"] * one["seconds"] for one in told.values()) / max(total, 1e-9), 4),
            "before": first["measures"]["noisy"], "after": first["measures"]["ours"]}


def _models(config: SpeechConfig) -> dict[str, str]:
    rivals = {}
    for rival in PEERS if config.compare else ():
        try:
            rivals[rival.name] = rival.version
        except ImportError:
            continue
    end = "-stft" * (config.domain == "stft") + "-ouve" * (config.sampler == "pc")
    return {"network": f"speech-{config.model}{end}.npz"} | ({"autoencoder": "speech-ae.npz"} if config.domain == "latent" else {}) | rivals


def _words(done: Restored, config: SpeechConfig) -> str:
    heard = done.heard
    what = f"{heard.samples / RATE_HZ:.1f} s, {heard.info.channels} channel{'s' if heard.info.channels > 1 else ''} at {heard.info.rate_hz:,} Hz"
    spoilt = "" if config.spoil == AS_IT_IS else f" The clean recording was spoilt here: {WORDS[config.spoil]}."
    beginning = "" if heard.samples <= EXCERPT_S * RATE_HZ else f" The player has the first {EXCERPT_S:.0f} s; the file has all of it."
    return f"{what}; restored in {done.rtf:.3f} s of one core per second of sound.{spoilt}{beginning}"


def _steps_words(config: SpeechConfig) -> str:
    if config.sampler == "pc":
        return ("Predictor and corrector over the mean-reverting SDE, the post's sampler: each picture is what the network takes for the clean sound at that time. Its network was only trained on "
                "for a few minutes from the bridge's, so this shows the process, not its quality.")
    return ("One evaluation at t = 1 gives the whole answer; the bridge starts exactly at the input and adds no noise." if config.steps == 1 else
            "Each picture is what the network takes for the clean sound at that time; the bridge moves a part of the way and asks again.")


METHOD = ("The STFT (1534 samples, hop 384) with compressed magnitudes is cut into patches of 4 × 4 bins; an autoencoder that starts from their Karhunen-Loeve transform brings each to 16 numbers, "
          "a sixteenth of the points. A network estimates the clean latent, as a complex mask on the bins applied through that transform; the decoder puts it together with hidden features of the "
          "input. The transform, the mask and the recurrent bottom are ours; autoencoder with hidden connections, latent replacement, MRSTFT and Reg-Loss follow the post. Measures are taken on the first 12 s.")
