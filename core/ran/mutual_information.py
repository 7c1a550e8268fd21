"""What a code can carry over soft bits: generalised mutual information of real LLRs, and the block error rate that follows from it.

The abstraction stands in for a decoder: a codeword of rate R passes where the GMI of its bits exceeds R by a margin.
"""

import numpy as np

from core.ran.modulation import max_log_llrs, qam_map

MARGIN = 0.05
"""By how much the GMI per bit has to exceed the code rate for half the blocks to pass.

A 5G LDPC code (64QAM, 6336 coded bits, min-sum, 20 iterations, by Sionna) was seen to need 0.06 at rate 0.59 and 0.04 at rate 0.80
(tests/golden/make_sionna.py).
"""
WIDTH = 0.01
"""Standard deviation of that threshold in GMI per bit: the steepness of the waterfall."""
CODE_RATES = tuple(rate / 1024 for rate in (120, 193, 308, 449, 526, 602, 679, 772, 822, 873, 948))
"""The code rates to choose from, a sample of those of the MCS tables (TS 38.214 Table 5.1.3.1-1 and -2) over their whole range."""
_SCALES = np.exp2(np.arange(-3, 3)).astype(np.float32)
_STEPS = np.exp2(np.array([-0.5, 0.5])).astype(np.float32)


def gmi(llrs: np.ndarray, bits: np.ndarray, axis=-1) -> np.ndarray:
    """Generalised mutual information per bit: max over s of 1 - E log2(1 + exp(-s (1 - 2 b) L)).

    The scale s is free because decoders of the min-sum family do not care for it; it makes saturated or mismatched LLRs count for what they tell.

    llrs     real [...], positive for bit 0
    bits     0 or 1, same shape
    axis     the axis or axes that the mean goes over
    returns  0 to 1, the other axes; 0 where the LLRs tell less than nothing
    """
    agreeing = np.where(bits, -np.asarray(llrs, dtype=np.float32), np.asarray(llrs, dtype=np.float32))
    axes = axis if isinstance(axis, tuple) else (axis,)
    rows = np.moveaxis(agreeing, axes, range(-len(axes), 0))
    rows = np.ascontiguousarray(rows).reshape(*rows.shape[:rows.ndim - len(axes)], -1)
    octaves = np.array([_information(rows, scale) for scale in _SCALES])
    nearest = _SCALES[octaves.argmax(axis=0)][..., None]
    between = [_information(rows, nearest * step) for step in _STEPS]          # concave and flat in s: half an octave is near enough
    return np.clip(np.maximum(octaves.max(axis=0), np.max(between, axis=0)), 0.0, 1.0).astype(float)


def _information(agreeing: np.ndarray, scale) -> np.ndarray:
    """1 - E log2(1 + exp(-scale x)) over the last axis, without overflow."""
    x = agreeing * scale
    return 1.0 - (np.log1p(np.exp(-np.abs(x))) - np.minimum(x, 0.0)).mean(axis=-1) / np.float32(np.log(2.0))


def awgn_gmi(snr_db: float, qam_bits: int, nodes: int = 64) -> float:
    """GMI per bit of Gray QAM with max-log LLRs over additive white Gaussian noise, by Gauss-Hermite quadrature of one axis.

    snr_db  symbol energy over the variance of the complex noise
    """
    noise_var = 10.0 ** (-snr_db / 10.0)
    points, weights = np.polynomial.hermite.hermgauss(nodes)
    half = qam_bits // 2
    axis_bits = (np.arange(2 ** half)[:, None] >> np.arange(half - 1, -1, -1)) & 1
    bits = np.repeat(axis_bits, 2, axis=1)                  # the same on both axes
    sent = qam_map(bits)
    received = sent[:, None] + np.sqrt(noise_var) * points * (1 + 1j)
    llrs = max_log_llrs(received, noise_var, qam_bits)[..., ::2]
    agreeing = llrs * (1.0 - 2.0 * axis_bits[:, None, :])
    loss = np.logaddexp(0.0, -agreeing) / np.log(2.0)
    return float(1.0 - (loss.mean(axis=(0, 2)) * weights).sum() / np.sqrt(np.pi))


def pass_probability(information: np.ndarray, code_rate: float) -> np.ndarray:
    """Probability that a block of this code rate is decoded at this GMI per bit: a step at R + MARGIN, smoothed by WIDTH (logistic)."""
    distance = (np.asarray(information, dtype=float) - code_rate - MARGIN) / WIDTH
    return 1.0 / (1.0 + np.exp(-np.clip(1.702 * distance, -60.0, 60.0)))     # 1.702: the logistic nearest to a normal distribution


def best_rate(information: np.ndarray) -> tuple[float, np.ndarray]:
    """The code rate of CODE_RATES with the largest throughput if all blocks use it, and the bits carried per coded bit, block by block.

    information  GMI per bit of every block [...]
    returns      rate (0 where none carries anything), rate x probability to pass [...]
    """
    carried = [rate * pass_probability(information, rate) for rate in CODE_RATES]
    best = int(np.argmax([c.mean() for c in carried]))
    return (CODE_RATES[best], carried[best]) if carried[best].mean() > 1e-6 else (0.0, np.zeros(np.shape(information)))
