"""What numbers look like on the fronthaul: block floating point for samples and streams, a few bits for LLRs.

Forms in NumPy that tell the loss; packed bytes are the work of the kernels.
"""

import numpy as np

SMALLEST_STEP = 2.0 ** -500
"""Below this samples count as zero: the square of the step must not vanish."""
BLOCK = 12
"""Complex samples that share an exponent: one resource block of one symbol of one port (O-RAN WG4 CUS, block floating point)."""
EXPONENT_BITS = 8
"""What the exponent costs on the wire, with its reserved bits."""
LLR_FULL_SCALE_PER_BIT = 2.0
"""A quantised LLR of b bits saturates at 2 b. With 3 or 4 bits that is within 0.01 of the mutual information of the best choice, QPSK to 64QAM."""


def block_float(samples: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples after block floating point: per block the smallest power-of-two step with which every rounded component fits in `bits`, sign included.

    samples  complex [..., 12]: the last axis is one block
    bits     per real component, 2 to 16
    returns  rounded samples [..., 12], variance of the rounding error of a complex sample, step^2 / 6 [...]
    """
    peak = np.maximum(np.abs(samples.real), np.abs(samples.imag)).max(axis=-1)
    largest = 2.0 ** (bits - 1) - 0.5                      # just below, the rounded value still fits; -2^(bits-1) is not used
    step = np.maximum(np.exp2(np.ceil(np.log2(np.maximum(peak, SMALLEST_STEP) / largest))), SMALLEST_STEP)
    scaled = samples / step[..., None]
    top = 2.0 ** (bits - 1) - 1.0
    rounded = np.clip(np.rint(scaled.real), -top, top) + 1j * np.clip(np.rint(scaled.imag), -top, top)
    return rounded * step[..., None], step ** 2 / 6.0


def llr_step(bits: int) -> float:
    """What one unit of a quantised LLR of b bits is worth: 2 b / (2^(b-1) - 1), and 2 for one bit, which is the sign alone."""
    return LLR_FULL_SCALE_PER_BIT * bits / max(1.0, 2.0 ** (bits - 1) - 1.0)


def quantise_llrs(llrs: np.ndarray, bits: int) -> np.ndarray:
    """LLRs as integers: rounded to units of `llr_step`, saturated symmetrically; one bit is the sign alone.

    returns  integers as float64, same shape, within +-(2^(bits-1) - 1), or +-1 for one bit
    """
    if bits == 1:
        return np.where(np.signbit(llrs), -1.0, 1.0)
    top = 2.0 ** (bits - 1) - 1.0
    return np.clip(np.rint(np.asarray(llrs) / llr_step(bits)), -top, top)
