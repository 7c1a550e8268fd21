"""The kernels' wrappers: what they allocate, what they refuse and in which words, and that the chain is the sum of its parts."""

import numpy as np
import pytest

from core.errors import ConfigError, InputError
from core.ran import kernels


@pytest.fixture
def slot():
    """y [3, 24, 5], h [12, 5, 2], noise_var [5]: two subcarriers a group."""
    rng = np.random.default_rng(1)
    y, h = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for shape in ((3, 24, 5), (12, 5, 2)))
    return y, h, rng.uniform(0.1, 0.2, 5)


def test_rows_and_planes_give_the_same_symbols(slot):
    y, h, noise_var = slot
    by_rows = kernels.combine_iq(y, h, noise_var)
    by_planes = kernels.combine_planes(kernels.to_planes(y, 2), kernels.channel_planes(h), noise_var, 12)
    np.testing.assert_allclose(kernels.from_planes(by_planes.symbols, 24), by_rows.symbols, rtol=1e-6)
    np.testing.assert_allclose(by_planes.sinr.swapaxes(1, 2).reshape(-1, 2)[:12], by_rows.sinr, rtol=1e-6)
    assert by_rows.symbols.dtype == np.complex64 and by_rows.sinr.dtype == np.float32 and by_rows.recomputed == by_planes.recomputed == 0


def test_noiseless_symbols_come_back(slot):
    _, h, _ = slot
    x = np.random.default_rng(2).choice([-1, 1], (3, 12, 2, 2)) + 0j
    y = np.einsum("gnl,sgjl->sgjn", h, x).reshape(3, 24, 5)
    found = kernels.combine_iq(y, h, np.full(5, 1e-6))
    np.testing.assert_allclose(found.symbols.reshape(x.shape), x, atol=1e-3)


@pytest.mark.parametrize("shape, span", [((2, 40, 3), 1), ((2, 40, 3), 4), ((1, 5, 1), 5), ((40, 7), 2)])
def test_planes_and_rows_are_two_ways_to_hold_the_same(shape, span):
    rows = (np.arange(np.prod(shape)) * (1 - 2j)).astype(np.complex64).reshape(shape)
    planes = kernels.to_planes(rows, span)
    assert planes.ctypes.data % 64 == 0 and planes.shape[-2:] == (2, 16)
    np.testing.assert_array_equal(kernels.from_planes(planes, shape[-2]), rows)


@pytest.mark.parametrize("name", ["y", "h"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(slot, name, value):
    y, h, noise_var = slot
    (y if name == "y" else h)[0] = value
    with pytest.raises(InputError, match="not finite, or is too large"), np.errstate(all="ignore"):
        kernels.combine_iq(y, h, noise_var)


@pytest.mark.parametrize("noise_var", [np.zeros(5), -np.ones(5), np.full(5, np.nan), np.full(5, np.inf)])
def test_a_noise_power_is_positive(slot, noise_var):
    with pytest.raises(InputError, match="positive power"):
        kernels.combine_iq(*slot[:2], noise_var)


def test_shapes_that_do_not_fit_are_named(slot):
    y, h, noise_var = slot
    for wrong in ((y[:, :23], h, noise_var), (y, h[:, :4], noise_var), (y, h, noise_var[:4]), (y[0], h, noise_var),
                  (y, h[:, :, :0], noise_var), (y, h[:0], noise_var)):
        with pytest.raises(ConfigError, match="do not fit: y is"):
            kernels.combine_iq(*wrong)
    with pytest.raises(ConfigError, match="3 groups do not fit|40 groups do not fit"):
        kernels.combine_planes(kernels.to_planes(y, 2), kernels.channel_planes(h), noise_var, 40)
    with pytest.raises(InputError, match="y holds something that is no number"):
        kernels.combine_iq([["a"]], h, noise_var)
    with pytest.raises(ConfigError, match="24 subcarriers do not split into groups of 5"):
        kernels.to_planes(y, 5)


def packed_slot(prbs=10, antennas=4, layers=2, span=1, seed=0):
    """Bytes, channel planes and noise of a slot that holds independent fading."""
    rng = np.random.default_rng(seed)
    groups = 12 * prbs // span
    h = (rng.standard_normal((groups, antennas, layers)) + 1j * rng.standard_normal((groups, antennas, layers))) / np.sqrt(2)
    values = rng.integers(-9000, 9000, (2, antennas, prbs, 24)).astype(np.int16)
    return kernels.bfp_pack(values, 9), kernels.channel_planes(h), rng.uniform(0.05, 0.1, antennas)


@pytest.mark.parametrize("prbs, span", [(1, 1), (10, 1), (33, 1), (40, 6)])
def test_the_chain_is_the_sum_of_its_parts(prbs, span):
    packed, h, noise_var = packed_slot(prbs, span=span)
    chain = kernels.uplink_llrs(packed, 9, h, noise_var, 6, span=span)
    combined = kernels.combine_planes(kernels.bfp_planes(packed, 9, span=span), h, noise_var, 12 * prbs // span)
    llrs = kernels.demap_planes_int8(combined.symbols, combined.sinr, 6)
    used = np.broadcast_to((np.arange(16 * len(h)) < 12 * prbs // span).reshape(1, -1, 1, 1, 1, 16), llrs.shape)
    np.testing.assert_array_equal(chain.llrs[used], llrs[used])
    assert chain.recomputed == combined.recomputed and np.abs(chain.llrs).max() == 7
    exact = kernels.demap_planes(combined.symbols, combined.sinr, 6)
    assert np.abs(np.clip(exact[used], -7, 7) - llrs[used]).max() <= 0.5


def test_bytes_of_a_slot_keep_its_values_within_an_exponent():
    values = np.random.default_rng(3).integers(-32768, 32768, (2, 3, 4, 24)).astype(np.int16)
    for bits in (9, 12, 16):
        packed = kernels.bfp_pack(values, bits)
        assert packed.shape == (2, 3, 4, 1 + 3 * bits) and packed.dtype == np.uint8
        lost = values - kernels.bfp_unpack(packed, bits).astype(int)
        assert lost.min() >= 0 and (lost < 2 ** packed[..., :1].astype(int)).all()
    np.testing.assert_array_equal(kernels.bfp_pack(values.tolist(), 16), packed)


def test_llrs_of_two_radios_add_up_within_their_bits():
    one, other = np.array([[7, -7, 3], [1, 0, -6]], np.int8), np.array([[1, -5, 2], [1, 0, 6]], np.int8)
    assert kernels.add_llrs(one, other, 4).tolist() == [[7, -7, 5], [2, 0, 0]]
    assert kernels.add_llrs(one, other).tolist() == [[8, -12, 5], [2, 0, 0]]


@pytest.mark.parametrize("call, error, sentence", [
    (lambda k: k.bfp_pack(np.zeros((2, 23), np.int16), 9), ConfigError, "24 values here, not 23"),
    (lambda k: k.bfp_pack(np.zeros((2, 24), np.int16), 17), ConfigError, "2 to 16 bits, not 17"),
    (lambda k: k.bfp_pack(np.full((1, 24), 40000), 9), InputError, "from -32768 to 32767"),
    (lambda k: k.bfp_pack(np.zeros((1, 24)), 9), InputError, "whole numbers"),
    (lambda k: k.bfp_unpack(np.zeros((1, 27), np.uint8), 9), ConfigError, "28 values here, not 27"),
    (lambda k: k.bfp_planes(np.zeros((1, 28), np.uint8), 9), ConfigError, "symbols, antennas, blocks, bytes"),
    (lambda k: k.bfp_planes(np.zeros((1, 1, 1, 28), np.uint8), 9, span=5), ConfigError, "12 subcarriers do not split into groups of 5"),
    (lambda k: k.add_llrs(np.zeros(3, np.int8), np.zeros(4, np.int8)), ConfigError, "do not add up"),
    (lambda k: k.add_llrs(np.zeros(3, np.int8), np.zeros(3, np.int8), 9), ConfigError, "2 to 8 bits, not 9"),
    (lambda k: k.demap_planes(np.zeros((1, 1, 1, 1, 2, 16)), np.ones((1, 1, 16)), 5), ConfigError, "2, 4, 6 or 8 bits, not 5"),
    (lambda k: k.demap_planes(np.zeros((1, 1, 1, 1, 2, 16)), np.ones((1, 2, 16)), 4), ConfigError, "do not fit"),
    (lambda k: k.demap_planes_int8(np.zeros((1, 1, 1, 1, 2, 16)), np.ones((1, 1, 16)), 4, step=0), ConfigError, "above 0, not 0"),
])
def test_what_does_not_fit_is_said(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(kernels)


def test_the_chain_names_a_channel_that_does_not_fit():
    packed, h, noise_var = packed_slot(4)
    for wrong in ((packed, 9, h[:-1], noise_var, 6), (packed, 9, h, noise_var[1:], 6), (packed, 9, h, noise_var, 7)):
        with pytest.raises(ConfigError, match="do not fit 3 blocks of 4 antennas"):
            kernels.uplink_llrs(*wrong)
