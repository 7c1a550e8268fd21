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
from core.speech.metrics import si_sdr
from core.speech.restore import restore
from core.speech.stft import RATE_HZ
from tests.bench.harness import ROOT, Section

CHILD = """
import io, json, re, sys
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
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024    # getrusage would count what the parent held when it forked
before = peak()
done = restore(Source("long.flac", data))
print(json.dumps([done.heard.samples / 48_000, done.rtf, before, peak()]))
"""


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Memory of a long file in a process of its own; seams on a shorter one."""
    memory = Section("long", "A long recording in one process", "FLAC in, 24-bit WAV out; peak: resident memory with everything, MB; before: with the input alone")
    seam = Section("seam", "The borders between chunks", "SI-SDR in dB of the same recording restored as one chunk and as many, against the clean one; difference of the two in dB under the "
                   "signal, window by window of 40 ms: over the borders, and all windows with speech")
    torch.set_num_threads(1)
    try:
        found = [case for split in ("validation", "test")[:1 if options.quick else 2] for case in cases(options.data / "speech", split) if case.kind == "noise"]
        clips = [case.noisy for case in found]
        seam.rows.append(_seam(np.concatenate(clips), np.concatenate([case.clean for case in found])))
    except (InputError, EngineError, OSError) as error:
        yield memory.skip(str(error)), None
        return
    yield seam, None
    yield _memory(memory, np.concatenate(clips), (0.5,) if options.quick else (5.0, 30.0)), None


def _seam(noisy: np.ndarray, clean: np.ndarray) -> dict:
    source, cut, window = Source("clip.wav", to_wav(noisy[None], RATE_HZ, "FLOAT")), Cut(), RATE_HZ // 25
    one, many = (read_sound(Source("a.wav", restore(source, cut=c).wav)).samples[0] for c in (Cut(step=len(noisy)), cut))
    power, apart = (np.square(wave[:len(wave) // window * window]).reshape(-1, window).mean(1) for wave in (one, one - many))
    under, spoken = 10 * np.log10((power + 1e-12) / (apart + 1e-12)), power > 1e-4 * power.max()
    borders = np.arange(cut.step, len(noisy) - cut.context, cut.step) // window
    return dict(name=f"{len(noisy) / RATE_HZ:.0f} s, 8 s a chunk", borders=len(borders), **{"one chunk dB": si_sdr(one, clean), "many dB": si_sdr(many, clean)},
                **{"at borders, median dB": float(np.median(under[borders][spoken[borders]])), "all, median dB": float(np.median(under[spoken])),
                   "all, 5 % dB": float(np.percentile(under[spoken], 5)), "largest step, of one chunk's": float(np.abs(np.diff(many)).max() / np.abs(np.diff(one)).max())})


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
