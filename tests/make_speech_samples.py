"""Makes the built-in speech samples again: `python -m tests.make_speech_samples` (needs the shared data). Voices are cut together; the babble is mixed from four voices."""

from pathlib import Path

import numpy as np
import soundfile

from core.speech import noises
from core.speech.stft import RATE_HZ

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "speech"
OUT = ROOT / "assets" / "samples" / "speech"
VOICES = {"kerstin": ("clean_8khz_band/kerstin/de_rhasspy-0141", "clean_8khz_band/kerstin/de_rhasspy-0726"),
          "kathleen": ("clean/kathleen/arctic_a0013", "clean/kathleen/arctic_a0017")}
TALKERS = ("clean/nathalie", "clean/kathleen", "clean_24k/flemishguy", "clean_44k_vorbis/gcompris_gd")
SECONDS = 14.0


def spoken(clips: tuple[str, ...]) -> np.ndarray:
    """Clips one after the other with 0.4 s between them, peak 0.7."""
    parts = [part for clip in clips for part in (noises.read(DATA / f"{clip}.flac"), np.zeros(int(0.4 * RATE_HZ), np.float32))]
    wave = np.concatenate(parts[:-1])
    return 0.7 * (wave - wave.mean()) / np.abs(wave).max()


def babble() -> np.ndarray:
    """Eight people talking at once: two streams of each of the four voices, at other levels, peak 0.7."""
    rng, total = np.random.default_rng(5), np.zeros(int(SECONDS * RATE_HZ), np.float32)
    for folder in TALKERS:
        files = sorted(path for path in (DATA / folder).iterdir() if path.suffix in (".flac", ".ogg"))
        for _ in range(2):
            stream = np.concatenate([noises.read(files[k]) for k in rng.choice(len(files), 14, replace=False)])[:len(total)]
            total[:len(stream)] += rng.uniform(0.5, 1.0) * stream / np.std(stream)
    return 0.7 * total / np.abs(total).max()


def street() -> np.ndarray:
    """A street, from the recording that training never used."""
    wave = noises.read(DATA / "noise" / "city.ogg")[:int(SECONDS * RATE_HZ)]
    return 0.7 * wave / np.abs(wave).max()


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for name, clips in VOICES.items():
        soundfile.write(OUT / f"{name}.flac", spoken(clips), RATE_HZ, subtype="PCM_16")
    for name, wave in (("babble", babble()), ("street", street())):
        soundfile.write(OUT / f"{name}.ogg", wave, RATE_HZ, format="OGG", subtype="VORBIS")
    tunnel = noises.read(DATA / "rir" / "PurnodesRailroadTunnel.flac")
    soundfile.write(OUT / "tunnel.flac", 0.9 * tunnel / np.abs(tunnel).max(), RATE_HZ, subtype="PCM_24")


if __name__ == "__main__":
    main()
