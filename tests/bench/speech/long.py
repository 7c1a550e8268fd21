"""A long recording: memory, cost, and whether the borders of the chunks can be found."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import torch

from core.errors import EngineError, InputError
from core.exhibit import Source
from core.io.sounds import read_sound, to_wav
from core.speech.chunks import Cut
from core.speech.evaluation import cases
from core.speech.restore import restore
from core.speech.stft import RATE_HZ
from tests.bench.harness import ROOT, Section

CHILD = """
import io, json, resource, sys, time
import numpy as np, soundfile
from core.exhibit import Source
from core.speech.restore import restore
minutes = float(sys.argv[1])
clip, _ = soundfile.read(sys.argv[2], dtype="float32")
place = io.BytesIO()
with soundfile.SoundFile(place, "w", 48_000, 1, "PCM_16", format="FLAC") as out:
    for _ in range(int(minutes * 60 * 48_000 / len(clip)) + 1):
        out.write(clip)
data = place.getvalue()
del place
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
done = restore(Source("long.flac", data))
print(json.dumps([done.heard.samples / 48_000, done.rtf, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Memory of a long file in a process of its own; seams on a shorter one."""
    memory = Section("long", "A long recording in one process", "FLAC in, 24-bit WAV out; peak: resident memory with everything, MB; before: with the input alone")
    seam = Section("seam", "The borders between chunks", "difference between one chunk and many, in dB under the signal: within 20 ms of a border, and elsewhere")
    torch.set_num_threads(1)
    try:
        clips = [case.noisy for case in cases(options.data / "speech", "validation") if case.kind == "noise"]
        seam.rows.append(_seam(clips))
    except (InputError, EngineError, OSError) as error:
        yield memory.skip(str(error)), None
        return
    yield seam, None
    yield _memory(memory, np.concatenate(clips), (0.5,) if options.quick else (5.0, 30.0)), None


def _seam(clips: list) -> dict:
    wave = np.concatenate(clips)[:24 * RATE_HZ]
    source, cut = Source("clip.wav", to_wav(wave[None], RATE_HZ, "FLOAT")), Cut()
    one, many = (read_sound(Source("a.wav", restore(source, cut=c).wav)).samples[0] for c in (Cut(step=len(wave)), cut))
    apart, near = one - many, np.zeros(len(wave), bool)
    for border in range(cut.step, len(wave) - cut.context, cut.step):
        near[border - RATE_HZ // 50:border + RATE_HZ // 50] = True
    level = 10 * np.log10(np.mean(one ** 2))
    return dict(name="24 s, 8 s a chunk", borders=int(near.sum() // (RATE_HZ // 25)), **{"at borders dB": level - 10 * np.log10(np.mean(apart[near] ** 2) + 1e-20), "elsewhere dB": level - 10 * np.log10(np.mean(apart[~near] ** 2) + 1e-20),
                "largest step, of one chunk's": float(np.abs(np.diff(many)).max() / np.abs(np.diff(one)).max())})


def _memory(section: Section, wave: np.ndarray, minutes: tuple[float, ...]) -> Section:
    import tempfile

    import soundfile

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        soundfile.write(file.name, wave, RATE_HZ, subtype="PCM_16")
        for length in minutes:
            done = subprocess.run([sys.executable, "-c", CHILD, str(length), file.name], cwd=ROOT, capture_output=True, text=True, timeout=3600)
            if done.returncode:
                return section.skip(done.stderr.strip().splitlines()[-1])
            seconds, rtf, before, peak = json.loads(done.stdout)
            section.rows.append(dict(name=f"{length:g} minutes", rtf=rtf, **{"before MB": before, "peak MB": peak, "seconds": seconds}))
    return section
