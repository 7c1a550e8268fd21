"""Makes sionna.json: demapping, LMMSE and 5G LDPC block error rates by NVIDIA Sionna 2.2 (Apache-2.0), which our own forms are tested against.

Run by hand, in an environment of its own (pip install sionna==2.2.0 torch==2.13.0; a minute to import, three to decode):

    PYTHONPATH=. python tests/golden/make_sionna.py

Sionna's LLRs are log P(1)/P(0), ours log P(0)/P(1); they are stored in our sign.
"""

import json
import sys
from pathlib import Path

import numpy as np
import sionna
import torch
from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
from sionna.phy.mapping import Demapper, Mapper
from sionna.phy.mimo import lmmse_equalizer

from core.ran.mutual_information import awgn_gmi

HERE = Path(__file__).resolve().parent
CODED_BITS, CODEWORDS, BATCH = 6336, 60, 30
ITERATIONS = 20


def demapping(rng: np.random.Generator) -> list[dict]:
    """Points, noise variance and max-log LLRs for every constellation."""
    found = []
    for qam_bits in (2, 4, 6, 8):
        received = (rng.standard_normal(10) + 1j * rng.standard_normal(10)) * 0.8
        noise_var = 0.07
        demap = Demapper("maxlog", "qam", qam_bits, precision="double")
        llrs = -demap(torch.tensor(received), torch.tensor(noise_var, dtype=torch.float64)).numpy().reshape(10, qam_bits)
        bits = (np.arange(2 ** qam_bits)[:, None] >> np.arange(qam_bits - 1, -1, -1)) & 1
        points = Mapper("qam", qam_bits, precision="double")(torch.tensor(bits, dtype=torch.float64)).numpy()[:, 0]
        found.append(dict(qam_bits=qam_bits, received=_pairs(received), noise_var=noise_var, llrs=llrs.tolist(), points=_pairs(points)))
    return found


def equalising(rng: np.random.Generator) -> dict:
    """One LMMSE: 8 antennas of unequal noise, 4 layers; the unbiased symbols and their error variance."""
    def draw(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(0.5)

    h, y, noise_var = draw(8, 4), draw(8), rng.uniform(0.05, 0.5, 8)
    symbols, error_var = lmmse_equalizer(torch.tensor(y), torch.tensor(h), torch.tensor(np.diag(noise_var).astype(complex)), precision="double")
    return dict(h=_pairs(h.ravel()), y=_pairs(y), noise_var=noise_var.tolist(), symbols=_pairs(symbols.numpy()), error_var=error_var.numpy().tolist())


def decoding() -> list[dict]:
    """Block error rates of 64QAM over white noise where the GMI exceeds the code rate by 0.02, 0.04, 0.06 and 0.08."""
    found = []
    for rate in (602 / 1024, 822 / 1024):
        information_bits = round(CODED_BITS * rate)
        encoder = LDPC5GEncoder(information_bits, CODED_BITS, num_bits_per_symbol=6)
        decoder = LDPC5GDecoder(encoder, cn_update="offset-minsum", num_iter=ITERATIONS)
        for margin in (0.02, 0.04, 0.06, 0.08):
            snr_db = _snr_of_gmi(information_bits / CODED_BITS + margin)
            errors = sum(_errors(encoder, decoder, information_bits, snr_db) for _ in range(CODEWORDS // BATCH))
            found.append(dict(qam_bits=6, code_rate=information_bits / CODED_BITS, margin=margin, snr_db=snr_db, codewords=CODEWORDS, block_errors=errors))
            print(found[-1], file=sys.stderr, flush=True)
    return found


def _errors(encoder, decoder, information_bits: int, snr_db: float) -> int:
    sent = torch.randint(0, 2, (BATCH, information_bits), dtype=torch.float32)
    noise_var = 10 ** (-snr_db / 10)
    symbols = Mapper("qam", 6)(encoder(sent))
    received = symbols + (noise_var / 2) ** 0.5 * torch.complex(torch.randn(symbols.shape), torch.randn(symbols.shape))
    decoded = decoder(Demapper("maxlog", "qam", 6)(received, torch.tensor(noise_var)))
    return int((decoded != sent).any(dim=1).sum())


def _snr_of_gmi(wanted: float) -> float:
    low, high = -10.0, 40.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if awgn_gmi(middle, 6) < wanted else (low, middle)
    return round(high, 4)


def _pairs(values: np.ndarray) -> list[list[float]]:
    return [[float(v.real), float(v.imag)] for v in values]


def main() -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    made = dict(by=f"sionna {sionna.__version__}, torch {torch.__version__}", iterations=ITERATIONS, coded_bits=CODED_BITS,
                demapping=demapping(rng), equalising=equalising(rng), decoding=decoding())
    (HERE / "sionna.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
