"""Gray QAM of 5G NR (TS 38.211 sec. 5.1) and its max-log LLRs in closed form.

An axis of 2^m QAM carries m/2 bits; with levels a, 3a, 5a ... the map folds: t_0 = y, t_{j+1} = 2^{m/2-1-j} a - |t_j|, and bit j is 0 where t_j > 0.
"""

import numpy as np

QAM_BITS = (2, 4, 6, 8)


def level(qam_bits: int) -> float:
    """a: half the distance between neighbouring points at mean power 1 (1/sqrt 2, 1/sqrt 10, 1/sqrt 42, 1/sqrt 170)."""
    return float(np.sqrt(1.5 / (2 ** qam_bits - 1)))


def qam_map(bits: np.ndarray) -> np.ndarray:
    """Symbols of mean power 1; even bits are the real axis, odd bits the imaginary one (TS 38.211 sec. 5.1.3 to 5.1.6).

    bits     0 or 1 [..., Qm], Qm of QAM_BITS
    returns  complex128 [...]
    """
    qam_bits = bits.shape[-1]
    signs = 1.0 - 2.0 * bits
    real, imag = (_fold_out(signs[..., first::2]) for first in (0, 1))
    return level(qam_bits) * (real + 1j * imag)


def _fold_out(signs: np.ndarray) -> np.ndarray:
    """Odd amplitude of one axis: s0 (2^{n-1} - s1 (2^{n-2} - ... s_{n-1} ...)), n signs in the last axis."""
    count = signs.shape[-1]
    value = signs[..., -1]
    for j in range(count - 2, -1, -1):
        value = signs[..., j] * (2 ** (count - 1 - j) - value)
    return value


def max_log_llrs(symbols: np.ndarray, noise_var: np.ndarray, qam_bits: int) -> np.ndarray:
    """Max-log LLRs, (min |y-s|^2 over s with bit 1 - min over s with bit 0) / noise_var: positive where 0 is the likelier bit.

    In closed form per axis, with t_j as above:  4 a sign(t_j) sum_{k=0}^{2^{m/2-1-j}-1} max(0, |t_j| - 2 k a) / noise_var.

    symbols    complex [...], unbiased
    noise_var  real, broadcast to symbols: variance of the complex error, above 0
    returns    float64 [..., Qm], in the order of the bits of `qam_map`
    """
    half, a = qam_bits // 2, level(qam_bits)
    axes = np.stack([symbols.real, symbols.imag], axis=-1).astype(float, copy=False)
    scale = (4.0 * a / np.asarray(noise_var, dtype=float))[..., None]
    llrs = np.empty((*np.shape(symbols), half, 2))
    folded = axes
    for j in range(half):
        size = np.abs(folded)
        total = size.copy()
        for k in range(1, 2 ** (half - 1 - j)):
            total += np.maximum(size - 2 * k * a, 0.0)
        llrs[..., j, :] = scale * np.copysign(total, folded)
        folded = 2 ** (half - 1 - j) * a - size
    return llrs.reshape(*np.shape(symbols), qam_bits)
