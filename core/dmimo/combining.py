"""Ways to combine the signals of several TRPs (the post's sec. 3), each with the SINR that it predicts for its output.

All take what the TRPs received and know, y[..., M, T, Nr], h[..., M, Nr, L] and noise_var[..., M]; leading axes are resource blocks (and drops),
T resource elements share a channel. LMMSE throughout, in its layer form (Kay 1993, sec. 12.5), unbiased:

    A = (H^H R^-1 H + I)^-1,  x_mmse = A H^H R^-1 y,  SINR_k = 1 / A_kk - 1,  x_k = x_mmse,k / (1 - A_kk)
"""

from dataclasses import dataclass

import numpy as np

from core.ran.fixed_point import BLOCK, block_float

SMALLEST_SINR = 1e-9


@dataclass(frozen=True)
class Combined:
    """Unbiased symbols [..., T, L] and the SINR predicted for them [..., L]; the error variance predicted is 1 / sinr."""

    symbols: np.ndarray
    sinr: np.ndarray


@dataclass(frozen=True)
class Local:
    """What the TRPs have after a local MMSE of all layers.

    symbols  unbiased, [..., M, T, L];  sinr [..., M, L]
    weights  [..., M, L, Nr]: of the unbiased outputs, symbols = weights y
    """

    symbols: np.ndarray
    sinr: np.ndarray
    weights: np.ndarray


def mmse_weights(h: np.ndarray, noise_var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unbiased LMMSE weights and their SINR.

    h          complex [..., N, L]; noise_var real [..., N]
    returns    weights [..., L, N], SINR [..., L]
    """
    matched = np.conj(np.swapaxes(h, -1, -2)) / noise_var[..., None, :]
    layers = h.shape[-1]
    inverse = np.linalg.inv(matched @ h + np.eye(layers))
    left = np.clip(np.diagonal(inverse, axis1=-2, axis2=-1).real, SMALLEST_SINR, 1.0 - SMALLEST_SINR)
    return (inverse / (1.0 - left)[..., None]) @ matched, 1.0 / left - 1.0


def iq_combining(y: np.ndarray, h: np.ndarray, noise_var: np.ndarray, iq_bits: int | None = None) -> Combined:
    """IQC: joint MMSE of all antennas of all TRPs.

    iq_bits  block floating point of the samples on the fronthaul; its error is reckoned with as noise. None: as they are
    """
    noise = np.broadcast_to(noise_var[..., None], h.shape[:-1])
    if iq_bits is not None:
        y, error_var = _on_fronthaul(y, iq_bits)
        noise = noise + error_var
    return _joint_mmse(y, h, noise)


def best_subspace(h: np.ndarray, streams: int) -> np.ndarray:
    """The orthonormal beams of each TRP that hold most of the received power: left singular vectors of its channel.

    h  [..., M, Nr, L]; returns [..., M, Nr, Ls], Ls = streams, but no more than the rank can be
    """
    left = np.linalg.svd(h, full_matrices=False)[0]
    return left[..., :min(streams, left.shape[-1])]


def distributed_combining(y: np.ndarray, h: np.ndarray, noise_var: np.ndarray, streams: int, stream_bits: int | None = None) -> Combined:
    """DEQC with partial beamforming: every TRP forwards its best subspace, z = F^H y; joint MMSE of all streams with the effective channel F^H H.

    As many streams as layers hold all that a TRP received of them (a sufficient statistic): the result is then that of IQC.
    The noise of a TRP stays white, as its beams are orthonormal.
    """
    beams = np.conj(np.swapaxes(best_subspace(h, streams), -1, -2))                              # [..., M, Ls, Nr]
    z, effective = y @ np.swapaxes(beams, -1, -2), beams @ h                                     # [..., M, T, Ls], [..., M, Ls, L]
    noise = np.broadcast_to(noise_var[..., None], effective.shape[:-1])
    if stream_bits is not None:
        z, error_var = _on_fronthaul(z, stream_bits)
        noise = noise + error_var
    return _joint_mmse(z, effective, noise)


def local_mmse(y: np.ndarray, h: np.ndarray, noise_var: np.ndarray) -> Local:
    """MMSE of all layers at every TRP by itself: the local pre-equalisation that the weaker schemes start from."""
    weights, sinr = mmse_weights(h, np.broadcast_to(noise_var[..., None], h.shape[:-1]))
    return Local(y @ np.swapaxes(weights, -1, -2), sinr, weights)


def assign(scores: np.ndarray, streams: int) -> np.ndarray:
    """Which layers each TRP forwards: the best-heard ones, but every layer by at least one TRP as long as there is room.

    scores   [M, L], larger is better
    returns  bool [M, L], at most `streams` per TRP
    """
    trps, layers = scores.shape
    chosen, room = np.zeros((trps, layers), dtype=bool), np.full(trps, streams)
    order = np.argsort(-scores, axis=None, kind="stable")
    for once in (True, False):                               # first every layer once, then what is best of the rest
        for m, k in zip(*np.unravel_index(order, scores.shape)):
            if room[m] and not chosen[m, k] and not (once and chosen[:, k].any()):
                chosen[m, k], room[m] = True, room[m] - 1
    return chosen


def best_trp(scores: np.ndarray) -> np.ndarray:
    """Every layer at the one TRP that scores best for it: bool [M, L]."""
    return np.arange(len(scores))[:, None] == scores.argmax(axis=0)


def combine_local(local: Local, h: np.ndarray, noise_var: np.ndarray, chosen: np.ndarray, stream_bits: int | None = None) -> Combined:
    """DEQC of local MMSE outputs: the streams are the chosen layers' outputs; joint MMSE with their effective channel W H and coloured noise W W^H.

    h, noise_var  as in the other schemes
    chosen        bool [..., M, L] without the axis of resource blocks: [drops, M, L] for y of [drops, P, M, T, Nr]
    """
    index = _streams(chosen)                                                                     # [drops, 1, M, Ls]
    weights = np.take_along_axis(local.weights, index[..., None], axis=-2)                       # [drops, P, M, Ls, Nr]
    z = np.take_along_axis(local.symbols, index[..., None, :], axis=-1)
    live = np.take_along_axis(chosen[..., None, :, :], index, axis=-1)                           # padding where a TRP forwards fewer
    weights, z = weights * live[..., None], z * live[..., None, :]
    covariance = noise_var[..., None, None] * (weights @ np.conj(np.swapaxes(weights, -1, -2)))
    if stream_bits is not None:
        z, error_var = _on_fronthaul(z, stream_bits)
        covariance = covariance + error_var[..., None] * np.eye(z.shape[-1])
    white, effective = _whitened(covariance, z, weights @ h)
    return _joint_mmse(white, effective, np.ones(effective.shape[:-1]))


def combine_weighted(local: Local, chosen: np.ndarray, stream_bits: int | None = None) -> Combined:
    """DEQC by weights: the chosen local outputs of a layer are added in proportion to their SINR, as if their errors were independent.

    The SINR predicted is the sum of theirs.

    They are not where TRPs are hit by the same interferer, so this prediction is optimistic. A layer nobody forwards has SINR 0.
    """
    symbols = local.symbols if stream_bits is None else _on_fronthaul(local.symbols, stream_bits)[0]
    share = np.where(chosen[..., None, :, :], local.sinr, 0.0)
    total = share.sum(axis=-2)
    share = share / np.maximum(total, SMALLEST_SINR)[..., None, :]
    return Combined((symbols * share[..., None, :]).sum(axis=-3), total)


def _joint_mmse(y: np.ndarray, h: np.ndarray, noise_var: np.ndarray) -> Combined:
    """MMSE of everything that arrives at the centre: y [..., M, T, n], h [..., M, n, L], noise_var [..., M, n]."""
    *lead, trps, ports, layers = h.shape
    weights, sinr = mmse_weights(h.reshape(*lead, trps * ports, layers), noise_var.reshape(*lead, trps * ports))
    of_trp = weights.reshape(*lead, layers, trps, ports).swapaxes(-3, -2).swapaxes(-2, -1)       # [..., M, n, L]
    return Combined((y @ of_trp).sum(axis=-3), sinr)


def _on_fronthaul(samples: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples [..., T, n] through block floating point over 12 subcarriers of one port, and the mean error variance per port [..., n]."""
    ports_first = np.swapaxes(samples, -1, -2)
    blocks = ports_first.reshape(*ports_first.shape[:-1], -1, BLOCK)
    rounded, error_var = block_float(blocks, bits)
    return np.swapaxes(rounded.reshape(ports_first.shape), -1, -2), error_var.mean(axis=-1)


def _streams(chosen: np.ndarray) -> np.ndarray:
    """Indices of the chosen layers [..., 1, M, Ls], the rest filled up with layers not chosen; Ls is the largest count."""
    most = int(chosen.sum(axis=-1).max())
    return np.argsort(~chosen, axis=-1, kind="stable")[..., None, :, :most]


def _whitened(covariance: np.ndarray, z: np.ndarray, effective: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Streams [..., M, T, Ls] and effective channel [..., M, Ls, L] with the noise of each TRP made white.

    Streams of clustered users are nearly dependent: where an eigenvalue of the covariance is a matter of rounding, it is given no weight.
    """
    values, vectors = np.linalg.eigh(covariance)
    floor = values[..., -1:] * 1e-13
    scale = np.where(values > floor, 1.0 / np.sqrt(np.maximum(values, np.finfo(float).tiny)), 0.0)
    whitener = scale[..., :, None] * np.conj(np.swapaxes(vectors, -1, -2))
    return z @ np.swapaxes(whitener, -1, -2), whitener @ effective
