"""What may be set for one restoration."""

from dataclasses import dataclass

from core.exhibit import option
from core.speech.presets import AS_IT_IS, PRESETS
from core.speech.weights import FOLDER

MODELS = tuple(name for name in ("s", "m", "l") if (FOLDER / f"speech-{name}.npz").is_file()) or ("m",)
DOMAINS = ("latent", *(("stft",) if any(FOLDER.glob("speech-*-stft.npz")) else ()))


@dataclass(frozen=True)
class SpeechConfig:
    """Settings of a restoration; `spoil` takes the input for a clean recording and spoils it first."""

    spoil: str = option(AS_IT_IS, "Spoil it first", choices=(AS_IT_IS, *PRESETS), help="For a clean recording: what is restored is then known, so it can be measured.")
    snr_db: float = option(5.0, "Speech over noise (dB)", low=-5.0, high=20.0, help="For a recording that is spoilt first: lower is harder.")
    model: str = option("m" if "m" in MODELS else MODELS[0], "Model", choices=MODELS, shown=len(MODELS) > 1, help="Width of the network: s, m, l.")
    steps: int = option(1, "Steps", low=1, high=8, help="Evaluations of the network: 1 predicts at once, more follow the bridge.")
    shifts: int = option(2, "Shifts", low=1, high=4, help="The recording is restored this many times on shifted frames and averaged: dearer, and a little better.")
    strength: float = option(1.0, "Strength", low=0.0, high=1.0, help="0: as it came, 1: fully restored.")
    sampler: str = option("bridge", "Sampler", choices=("bridge", "pc"), shown=False, help="bridge: Schrodinger bridge, deterministic. pc: predictor-corrector over the mean-reverting SDE, the post's.")
    domain: str = option("latent", "Domain", choices=DOMAINS, shown=False, help="latent: LAFUFU. stft: the same network on the full spectrogram.")
    seed: int = option(0, "Seed", low=0, high=1_000_000, shown=False, help="The same seed gives the same bytes.")
    reference: str = option("", "Clean recording", shown=False, file=True, help="A clean recording of the same words, to measure against.")
    latents: bool = option(False, "Try other latents", shown=False, help="The recording, unrestored, through the autoencoders of the ablation.")
    compare: bool = option(False, "Run the other tools", shown=False, help="RNNoise, noisereduce, a Wiener filter and WPE on the same recording.")
