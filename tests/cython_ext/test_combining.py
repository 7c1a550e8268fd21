"""IQ combining: compiled rows and planes against the twin and against a complex128 oracle, well- and ill-conditioned, of any shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cython_ext
from cython_ext import reference

KERNELS = [pytest.param(cython_ext, id="kernel"), pytest.param(reference, id="twin")]
DIGITS = 1e-5
"""Relative, in the root mean square over a group: what float32 groups keep. Groups computed again in float64 keep more."""


def slot(seed, symbols=2, groups=5, span=1, antennas=6, layers=3, spread=1.0, noise=0.1):
    """y, h, noise_var; spread 1: independent channels of the layers, 0: all the same (users in one place)."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: ((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)).astype(np.complex64)  # noqa: E731
    h = np.sqrt(1 - spread) * normal(groups, antennas, 1) + np.sqrt(spread) * normal(groups, antennas, layers)
    noise_var = rng.uniform(0.5 * noise, 1.5 * noise, antennas).astype(np.float32)
    x = np.sign(rng.standard_normal((symbols, groups, span, layers, 1))) + 0j
    y = (h[:, None] @ x)[..., 0] + np.sqrt(noise_var) * normal(symbols, groups, span, antennas)
    return y.reshape(symbols, groups * span, antennas).astype(np.complex64), h.astype(np.complex64), noise_var


def oracle(y, h, noise_var):
    """Symbols, SINR and cond(G) by solving the antenna form R_yy w = h in complex128, layer by layer: no step is shared with the kernel."""
    y, h = y.astype(complex), h.astype(complex)
    symbols, sinr = np.empty((*y.shape[:2], h.shape[2]), complex), np.empty((len(h), h.shape[2]))
    covariance = h @ h.conj().swapaxes(1, 2) + np.diag(noise_var.astype(float))
    columns = y.reshape(len(y), len(h), -1, y.shape[2])
    for k in range(h.shape[2]):
        own = h[:, :, k]
        rest = covariance - own[:, :, None] * own[:, None].conj()
        filtered = np.linalg.solve(rest, own[..., None])[..., 0]
        sinr[:, k] = np.einsum("gn,gn->g", own.conj(), filtered).real
        weight = filtered.conj() / np.where(sinr[:, k] > 0, sinr[:, k], 1)[:, None]
        symbols[..., k] = np.einsum("gn,sgjn->sgj", weight, columns).reshape(y.shape[:2])
    gram = np.eye(h.shape[2]) + (h.conj().swapaxes(1, 2) / noise_var.astype(float)) @ h
    return symbols, sinr, np.linalg.cond(gram)


def rows(kernels, y, h, noise_var):
    symbols, sinr = np.full((*y.shape[:2], h.shape[2]), np.nan, np.complex64), np.full((len(h), h.shape[2]), np.nan, np.float32)
    return symbols, sinr, kernels.combine_iq(y, h, noise_var, symbols, sinr)


def blocks(array, axis):
    """Complex array -> planes: the axis of groups split in 16s (the last repeated) and moved to the end behind real and imaginary part."""
    groups = array.shape[axis]
    array = np.moveaxis(np.take(array, np.minimum(np.arange(-(-groups // 16) * 16), groups - 1), axis), axis, -1)
    array = np.moveaxis(array.reshape(*array.shape[:-1], -1, 16), -2, axis)
    return np.ascontiguousarray(np.stack([array.real, array.imag], -2).astype(np.float32))


def planes(kernels, y, h, noise_var):
    """The same answer as `rows` by way of planes."""
    grouped = y.reshape(len(y), len(h), -1, y.shape[2])
    py, ph = blocks(grouped, 1), blocks(h, 0)
    px, ps = np.full((*py.shape[:3], h.shape[2], 2, 16), np.nan, np.float32), np.full((len(ph), h.shape[2], 16), np.nan, np.float32)
    recomputed = kernels.combine_planes(py, ph, noise_var, len(h), px, ps)
    symbols = np.moveaxis(px[..., 0, :] + 1j * px[..., 1, :], -1, 2).reshape(len(y), -1, grouped.shape[2], h.shape[2])[:, :len(h)]
    return symbols.reshape(*y.shape[:2], -1), np.moveaxis(ps, -1, 1).reshape(-1, h.shape[2])[:len(h)], recomputed


def error(found, wanted, groups):
    """Root mean square over each group, relative to that of the group's symbols: float[groups]."""
    def power(values):
        return (np.abs(values) ** 2).reshape(len(values), groups, -1).mean(axis=(0, 2))
    return np.sqrt(power(found - wanted) / np.maximum(power(wanted), 1e-30))


@given(seed=st.integers(0, 2 ** 32 - 1), symbols=st.integers(1, 14), groups=st.integers(1, 35), span=st.integers(1, 7), antennas=st.integers(1, 17),
       layers=st.integers(1, 9), noise=st.sampled_from([1.0, 0.1, 0.01]))
@settings(max_examples=40, deadline=None)
def test_kernel_and_twin_agree_in_any_shape(seed, symbols, groups, span, antennas, layers, noise):
    given_slot = slot(seed, symbols, groups, span, antennas, layers, noise=noise)
    wanted, wanted_sinr, _ = rows(reference, *given_slot)
    fine = oracle(*given_slot)[2] <= 1e3
    for way in (rows, planes):
        symbols_found, sinr, recomputed = way(cython_ext, *given_slot)
        assert np.all(error(symbols_found, wanted, groups)[fine] <= 2 * DIGITS)
        np.testing.assert_allclose(sinr[fine], wanted_sinr[fine], rtol=5 * DIGITS)
        assert 0 <= recomputed <= groups


@pytest.mark.parametrize("antennas, layers", [(16, 8), (32, 8), (64, 8), (64, 4)])
@pytest.mark.parametrize("span", [1, 6])
@pytest.mark.parametrize("way", [rows, planes])
def test_independent_channels_keep_the_stated_digits(antennas, layers, span, way):
    given_slot = slot(3, 13, 34, span, antennas, layers)
    wanted, wanted_sinr, _ = oracle(*given_slot)
    symbols, sinr, recomputed = way(cython_ext, *given_slot)
    assert error(symbols, wanted, 34).max() <= DIGITS and np.abs(sinr / wanted_sinr - 1).max() <= DIGITS
    assert recomputed <= 2


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("way", [rows, planes])
@pytest.mark.parametrize("spread, noise", [(1e-2, 0.03), (1e-3, 0.01), (1e-5, 1e-3), (0.0, 1e-3)])
def test_ill_conditioned_groups_are_computed_again(kernels, way, spread, noise):
    """Users in one place, at up to 30 dB: float32 alone loses all digits here."""
    given_slot = slot(5, 4, 20, 1, 16, 8, spread, noise)
    wanted, wanted_sinr, condition = oracle(*given_slot)
    assert condition.min() > 1e3
    symbols, sinr, recomputed = way(kernels, *given_slot)
    assert recomputed == 20
    assert error(symbols, wanted, 20).max() <= 5 * DIGITS
    np.testing.assert_allclose(sinr, wanted_sinr, rtol=1e-6)


def test_one_ill_conditioned_group_is_found_among_others():
    y, h, noise_var = slot(7, 2, 40, 1, 16, 4)
    h[21] = h[21, :, :1] * np.array([1, 1, 1, 1 + 1e-4])
    found, sinr, recomputed = rows(cython_ext, y, h, noise_var)
    wanted, wanted_sinr, _ = oracle(y, h, noise_var)
    assert recomputed == 1 == rows(reference, y, h, noise_var)[2]
    assert error(found, wanted, 40).max() <= DIGITS
    np.testing.assert_allclose(sinr, wanted_sinr, rtol=DIGITS)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("way", [rows, planes])
def test_a_weak_layer_keeps_its_digits(kernels, way):
    """1 - A_kk of a layer at -60 dB has no digits left in float32 when it is taken as a difference."""
    y, h, noise_var = slot(9, 3, 17, 1, 8, 3)
    h[:, :, 1] *= np.float32(1e-4)
    wanted, wanted_sinr, _ = oracle(y, h, noise_var)
    found, sinr, _ = way(kernels, y, h, noise_var)
    np.testing.assert_allclose(sinr, wanted_sinr, rtol=1e-4)
    np.testing.assert_allclose(found[..., 1], wanted[..., 1], rtol=1e-3, atol=1e-4 * np.abs(wanted[..., 1]).max())


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("way", [rows, planes])
def test_a_layer_nobody_hears_gives_zeros(kernels, way):
    y, h, noise_var = slot(11, 2, 3, 2, 5, 4)
    h[:, :, 2] = 0
    symbols, sinr, _ = way(kernels, y, h, noise_var)
    assert not symbols[..., 2].any() and not sinr[:, 2].any()
    assert np.isfinite(symbols).all() and sinr[:, [0, 1, 3]].all()


@pytest.mark.parametrize("kernels", KERNELS)
def test_one_antenna_and_one_layer_is_a_division(kernels):
    y, h = np.array([[[3 + 4j]]], np.complex64), np.array([[[2j]]], np.complex64)
    symbols, sinr, recomputed = rows(kernels, y, h, np.array([0.5], np.float32))
    assert symbols[0, 0, 0] == pytest.approx((3 + 4j) / 2j, rel=1e-6) and sinr[0, 0] == pytest.approx(8.0, rel=1e-6) and recomputed == 0


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("where", ["y", "h"])
def test_what_is_not_finite_stays_so_and_does_not_spread(kernels, where):
    y, h, noise_var = slot(13, 2, 4, 1, 6, 3)
    (y[:, 2] if where == "y" else h[2])[...] = np.nan
    with np.errstate(invalid="ignore"):
        symbols, sinr, _ = rows(kernels, y, h, noise_var)
    assert np.isnan(symbols[:, 2]).all() and np.isfinite(symbols[:, [0, 1, 3]]).all()
    assert np.isnan(sinr[2]).all() == (where == "h") and np.isfinite(sinr[[0, 1, 3]]).all()


@pytest.mark.parametrize("kernels", KERNELS)
def test_padding_does_not_count(kernels):
    """Lanes beyond the last group may hold anything: here they would be ill-conditioned."""
    y, h, noise_var = slot(15, 2, 3, 1, 8, 4)
    padded_y, padded_h = blocks(y.reshape(2, 3, 1, 8), 1), blocks(h, 0)
    padded_y[..., 3:], padded_h[..., 3:] = 1e3, 1e3
    x, sinr = np.empty((2, 1, 1, 4, 2, 16), np.float32), np.empty((1, 4, 16), np.float32)
    assert kernels.combine_planes(padded_y, padded_h, noise_var, 3, x, sinr) == 0
    np.testing.assert_allclose(x[0, 0, 0, :, 0, :3].T, oracle(y, h, noise_var)[0][0].real, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernels", KERNELS)
def test_shapes_that_do_not_fit_are_refused(kernels):
    y, h, noise_var = slot(17, 2, 4, 2, 6, 3)
    x, sinr = np.empty((2, 8, 3), np.complex64), np.empty((4, 3), np.float32)
    for wrong in ((y[:, :7].copy(), h, noise_var, x, sinr), (y, h[:3].copy(), noise_var, x, sinr), (y, h, noise_var[1:], x, sinr),
                  (y, h, noise_var, x[:1].copy(), sinr), (y, h, noise_var, x, sinr[:, 1:].copy())):
        with pytest.raises(ValueError, match="do not fit"):
            kernels.combine_iq(*wrong)
    py, ph, px, ps = blocks(y.reshape(2, 4, 2, 6), 1), blocks(h, 0), np.empty((2, 1, 2, 3, 2, 16), np.float32), np.empty((1, 3, 16), np.float32)
    for wrong in ((py, ph, noise_var, 17, px, ps), (py, ph, noise_var, 0, px, ps), (py, ph, noise_var[1:], 4, px, ps),
                  (py, ph, noise_var, 4, px[:1].copy(), ps)):
        with pytest.raises(ValueError, match="do not fit"):
            kernels.combine_planes(*wrong)
