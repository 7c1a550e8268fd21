"""Measures of restored speech: SI-SDR, ESTOI, PESQ (where it is installed), DNSMOS, and two that see what these miss above 8 kHz."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from core.errors import EngineError
from core.speech.stft import RATE_HZ

Wave = NDArray[np.float32]
DNSMOS_HZ, DNSMOS_SAMPLES = 16_000, 144_160
"""DNSMOS looks at windows of 9.01 s: clips are tiled (or cut) to exactly one."""


def si_sdr(found: Wave, clean: Wave) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019)."""
    found, clean = (np.asarray(wave, np.float64) - np.mean(wave) for wave in (found, clean))
    part = found @ clean / max(clean @ clean, 1e-20) * clean
    return float(10 * np.log10(max(part @ part, 1e-20) / max(np.sum((found - part) ** 2), 1e-20)))


def estoi(found: Wave, clean: Wave) -> float:
    """Extended short-time objective intelligibility, 0 to 1; blind above 5 kHz (Jensen and Taal 2016)."""
    from pystoi import stoi
    return float(stoi(clean, found, RATE_HZ, extended=True))


def pesq(found: Wave, clean: Wave) -> float | None:
    """Wide-band PESQ (ITU-T P.862.2), 1.04 to 4.64; blind above 8 kHz. None where the package is not installed (it needs a compiler) or there is no speech."""
    try:
        from pesq import NoUtterancesError
        from pesq import pesq as score
    except ImportError:
        return None
    try:
        return float(score(16_000, *(soxr.resample(wave, RATE_HZ, 16_000) for wave in (clean, found)), "wb"))
    except NoUtterancesError:
        return None


@lru_cache
def _opinions():
    """The net of P.835 opinions that speechmos carries, on one thread. Raises EngineError without the package."""
    import onnxruntime
    found = find_spec("speechmos")
    if found is None:
        raise EngineError("DNSMOS needs the package speechmos, which is not installed. Install the requirements of the studio.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(Path(found.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"), options, providers=["CPUExecutionProvider"])


def dnsmos(wave: Wave) -> dict[str, float]:
    """OVRL, SIG, BAK of P.835, 1 to 5, by Microsoft's net (Reddy et al. 2022); needs no reference; blind above 8 kHz.

    The net and its calibration polynomials are those of speechmos, run without that package's loader: it takes another net's mel spectrum along.
    """
    low = soxr.resample(np.asarray(wave, np.float32), RATE_HZ, DNSMOS_HZ)
    low = np.resize(low, DNSMOS_SAMPLES)[None] / max(1.0, float(np.abs(low).max(initial=0)))
    sig, bak, ovrl = _opinions().run(None, {"input_1": low.astype(np.float32)})[0][0]
    return dict(ovrl=float(np.polyval((-0.06766283, 1.11546468, 0.04602535), ovrl)), sig=float(np.polyval((-0.08397278, 1.22083953, 0.0052439), sig)),
                bak=float(np.polyval((-0.13166888, 1.60915514, -0.39604546), bak)))


def spectral_distance_db(found: Wave, clean: Wave, low_hz: float = 8_000, high_hz: float = 20_000, floor_db: float = -50.0) -> float:
    """Log-spectral distance above 8 kHz in dB: per frame root mean square over the bins, mean over frames; levels under floor_db of the clean peak do not count."""
    a, b = (_power(wave, 2048)[int(low_hz / RATE_HZ * 2048):int(high_hz / RATE_HZ * 2048)] for wave in (found, clean))
    floor = _power(clean, 2048).max() * 10 ** (floor_db / 10) * 1e-2 + 1e-12
    apart = 10 * np.log10((a + floor) / (b + floor))
    return float(np.sqrt((apart ** 2).mean(0)).mean())


def high_mrstft(found: Wave, clean: Wave, low_hz: float = 8_000) -> float:
    """MRSTFT distance above 8 kHz: spectral convergence, mean over windows of 512, 1024 and 2048."""
    def one(size: int) -> float:
        a, b = (np.sqrt(_power(wave, size)[int(low_hz / RATE_HZ * size):]) for wave in (found, clean))
        return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-9))
    return float(np.mean([one(size) for size in (512, 1024, 2048)]))


def measure(found: Wave, clean: Wave | None = None, quick: bool = False) -> dict[str, float]:
    """Every measure that can be taken; those with a reference only where there is one. quick leaves DNSMOS out."""
    made: dict[str, float | None] = {} if quick else dict(dnsmos(found))
    if clean is not None:
        made |= dict(si_sdr=si_sdr(found, clean), estoi=estoi(found, clean), pesq=pesq(found, clean), lsd_high=spectral_distance_db(found, clean),
                     mrstft_high=high_mrstft(found, clean))
    return {name: value for name, value in made.items() if value is not None}


def mean_of(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Means over the rows that hold each measure."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def _power(wave: Wave, size: int) -> NDArray:
    parts = torch.stft(torch.from_numpy(np.asarray(wave, np.float32)), size, size // 4, window=torch.hann_window(size), return_complex=True)
    return parts.abs().square().numpy()
