"""LLRs and block floating point: compiled and twin have the same bits, and both mean what the standard says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import cython_ext
from cython_ext import reference

KERNELS = [pytest.param(cython_ext, id="kernel"), pytest.param(reference, id="twin")]
QAM = (2, 4, 6, 8)


def symbols(seed, symbol_count=2, blocks=2, span=1, layers=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.9, (symbol_count, blocks, span, layers, 2, 16)).astype(np.float32)
    return x, (10 ** rng.uniform(-2, 3, (blocks, layers, 16))).astype(np.float32)


def demap(kernels, x, sinr, bits):
    llrs = np.full((*x.shape[:4], bits, 16), np.nan, np.float32)
    kernels.demap_planes(x, sinr, bits, llrs)
    return llrs


def demap_int8(kernels, x, sinr, bits, step, limit):
    llrs = np.full((*x.shape[:4], bits, 16), -128, np.int8)
    kernels.demap_planes_int8(x, sinr, bits, step, limit, llrs)
    return llrs


def amplitude(axis_bits):
    """One axis of a symbol of TS 38.211, 5.1.3 to 5.1.6, in units of the least amplitude: (1 - 2 b0) (4 - (1 - 2 b2) (2 - (1 - 2 b4))) for 64QAM."""
    inner = 1
    for place, bit in enumerate(axis_bits[:0:-1], start=1):
        inner = 2 ** place - (1 - 2 * bit) * inner
    return (1 - 2 * axis_bits[0]) * inner


def exhaustive(x, sinr, bits):
    """Max-log LLRs by trying every point of an axis, float64."""
    words = [[(word >> k) & 1 for k in range(bits // 2)] for word in range(2 ** (bits // 2))]
    points = np.array([amplitude(word) for word in words]) * np.sqrt(1.5 / (2 ** bits - 1))
    assert np.mean(points ** 2) == pytest.approx(0.5)
    distance = (x[..., None].astype(float) - points) ** 2
    llrs = np.empty((*x.shape[:4], bits, 16))
    for k in range(bits // 2):
        one = np.array([word[k] for word in words], bool)
        llrs[..., 2 * k:2 * k + 2, :] = distance[..., one].min(-1) - distance[..., ~one].min(-1)
    return llrs * sinr[None, :, None, :, None]


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("bits", QAM)
def test_llrs_are_the_exact_max_log_ones(kernels, bits):
    x, sinr = symbols(bits, 3, 2, 2, 3)
    wanted = exhaustive(x, sinr, bits)
    np.testing.assert_allclose(demap(kernels, x, sinr, bits), wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_positive_llr_means_a_zero_bit(kernels):
    x, sinr = np.zeros((1, 1, 1, 1, 2, 16), np.float32), np.ones((1, 1, 16), np.float32)
    x[..., 0, :], x[..., 1, :] = 0.7, -0.7
    llrs = demap(kernels, x, sinr, 2)[0, 0, 0, 0, :, 0]
    assert llrs[0] == pytest.approx(4 * 0.7 * np.sqrt(0.5), rel=1e-6) and llrs[1] == -llrs[0]


@given(seed=st.integers(0, 2 ** 32 - 1), shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), bits=st.sampled_from(QAM),
       step=st.sampled_from([0.25, 1.0, 3.3]), limit=st.sampled_from([1, 3, 7, 127]))
@settings(max_examples=30, deadline=None)
def test_llrs_have_the_bits_of_the_twin(seed, shape, bits, step, limit):
    x, sinr = symbols(seed, *shape)
    np.testing.assert_array_equal(demap(cython_ext, x, sinr, bits), demap(reference, x, sinr, bits))
    whole = demap_int8(cython_ext, x, sinr, bits, step, limit)
    np.testing.assert_array_equal(whole, demap_int8(reference, x, sinr, bits, step, limit))
    assert whole.min() >= -limit and whole.max() <= limit
    inside = np.abs(whole) < limit
    np.testing.assert_allclose(whole[inside] * step, demap(reference, x, sinr, bits)[inside], atol=0.5001 * step)


@pytest.mark.parametrize("kernels", KERNELS)
def test_llrs_can_go_into_a_part_of_a_larger_array(kernels):
    x, sinr = symbols(1, 3, 2)
    whole = np.zeros((3, 5, 1, 2, 4, 16), np.int8)
    kernels.demap_planes_int8(x, sinr, 4, 1.0, 7, whole[:, 1:3])
    np.testing.assert_array_equal(whole[:, 1:3], demap_int8(reference, x, sinr, 4, 1.0, 7))
    assert not whole[:, [0, 3, 4]].any()


@given(pair=st.integers(0, 200).flatmap(lambda n: arrays(np.int8, (2, n))), limit=st.integers(1, 127))
@settings(max_examples=40, deadline=None)
def test_sums_of_llrs_are_held_within_the_limit(pair, limit):
    wanted = np.clip(pair[0].astype(int) + pair[1], -limit, limit)
    for kernels in (cython_ext, reference):
        out = np.empty(pair.shape[1], np.int8)
        kernels.add_llrs(pair[0], pair[1], limit, out)
        np.testing.assert_array_equal(out, wanted)


def pack(kernels, values, bits):
    packed = np.full((len(values), 1 + 3 * bits), 0xAA, np.uint8)
    kernels.bfp_pack(values, bits, packed)
    return packed


def unpack(kernels, packed, bits):
    values = np.full((len(packed), 24), -1, np.int16)
    kernels.bfp_unpack(packed, bits, values)
    return values


SPECIAL = np.array([0, -32768, 32767, -1, 1, 255, 256, -256, -257, 257], np.int16)[:, None] * np.ones(24, np.int16)


@pytest.mark.parametrize("kernels", KERNELS)
def test_exponents_of_blocks_with_known_traps(kernels):
    """-256 fits into nine bits, 256 and -257 do not; zeros and -1 have exponent 0."""
    packed = pack(kernels, SPECIAL, 9)
    assert packed[:, 0].tolist() == [0, 7, 7, 0, 0, 0, 1, 0, 1, 1]
    assert not packed[0].any() and (packed[3, 1:] == 255).all()
    assert unpack(kernels, packed, 9)[:, 0].tolist() == [0, -32768, 32640, -1, 1, 255, 256, -256, -258, 256]


@pytest.mark.parametrize("kernels", KERNELS)
def test_mantissas_stand_with_their_highest_bit_first(kernels):
    values = np.zeros((1, 24), np.int16)
    values[0, :3] = [0b1_0101_0101 - 512, 0b0_1111_0000, 1]
    assert pack(kernels, values, 9)[0, :5].tolist() == [0, 0b10101010, 0b10111100, 0b00000000, 0b00100000]


@given(seed=st.integers(0, 2 ** 32 - 1), count=st.integers(0, 9), bits=st.integers(2, 16))
@settings(max_examples=60, deadline=None)
def test_packing_has_the_bytes_of_the_twin_and_comes_back_within_its_exponent(seed, count, bits):
    rng = np.random.default_rng(seed)
    some = rng.integers(-32768, 32768, (count, 24)).astype(np.int16) >> rng.integers(0, 16, (count, 1)).astype(np.int16)
    values = np.concatenate([SPECIAL[rng.integers(0, len(SPECIAL), 2)], some])
    packed = pack(cython_ext, values, bits)
    np.testing.assert_array_equal(packed, pack(reference, values, bits))
    back = unpack(cython_ext, packed, bits)
    np.testing.assert_array_equal(back, unpack(reference, packed, bits))
    lost = values.astype(int) - back
    assert (lost >= 0).all() and (lost < 2 ** packed[:, :1].astype(int)).all()
    needed = [max((int(v) if v >= 0 else -int(v) - 1).bit_length() for v in row) + 1 for row in values]
    assert packed[:, 0].tolist() == [max(0, width - bits) for width in needed]


@given(packed=st.integers(2, 16).flatmap(lambda bits: arrays(np.uint8, (3, 1 + 3 * bits))))
@settings(max_examples=40, deadline=None)
def test_any_bytes_unpack_alike(packed):
    bits = (packed.shape[1] - 1) // 3
    np.testing.assert_array_equal(unpack(cython_ext, packed, bits), unpack(reference, packed, bits))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("prbs, span, bits", [(1, 1, 9), (4, 1, 9), (7, 1, 9), (8, 6, 9), (3, 12, 9), (5, 4, 12), (2, 3, 16)])
def test_planes_hold_what_unpacking_gives(kernels, prbs, span, bits):
    rng = np.random.default_rng(prbs)
    values = rng.integers(-3000, 3000, (2 * 3 * prbs, 24)).astype(np.int16)
    packed = pack(reference, values, bits).reshape(2, 3, prbs, -1)
    groups, blocks = 12 * prbs // span, -(-12 * prbs // span // 16)
    planes = np.full((2, blocks, span, 3, 2, 16), np.nan, np.float32)
    kernels.bfp_planes(packed, bits, 0.25, planes)
    iq = unpack(reference, packed.reshape(-1, 1 + 3 * bits), bits).reshape(2, 3, groups, span, 2) * np.float32(0.25)
    wanted = np.take(iq, np.minimum(np.arange(16 * blocks), groups - 1), 2).reshape(2, 3, blocks, 16, span, 2).transpose(0, 2, 4, 1, 5, 3)
    np.testing.assert_array_equal(planes, wanted)


@pytest.mark.parametrize("kernels", KERNELS)
def test_planes_can_come_from_a_part_of_the_blocks(kernels):
    packed = pack(reference, np.arange(8 * 24, dtype=np.int16).reshape(8, 24), 9).reshape(1, 1, 8, 28)
    planes, wanted = np.empty((2, 1, 3, 1, 1, 2, 16), np.float32)
    kernels.bfp_planes(packed[:, :, 4:], 9, 1.0, planes)
    kernels.bfp_planes(packed[:, :, 4:].copy(), 9, 1.0, wanted)
    np.testing.assert_array_equal(planes, wanted)
    assert planes[0, 0, 0, 0, 0, 0] == 4 * 24


@pytest.mark.parametrize("kernels", KERNELS)
def test_wrong_arguments_are_refused(kernels):
    x, sinr = symbols(0)
    llrs, whole = np.empty((2, 2, 1, 2, 4, 16), np.float32), np.empty((2, 2, 1, 2, 4, 16), np.int8)
    values, packed, planes = np.zeros((2, 24), np.int16), np.zeros((2, 28), np.uint8), np.empty((1, 1, 1, 1, 2, 16), np.float32)
    for call, sentence in [
        (lambda: kernels.demap_planes(x, sinr, 3, llrs), "2, 4, 6 or 8 bits, not 3"), (lambda: kernels.demap_planes(x, sinr, 6, llrs), "do not fit 6 bits"),
        (lambda: kernels.demap_planes_int8(x, sinr[:1].copy(), 4, 1.0, 7, whole), "do not fit"),
        (lambda: kernels.demap_planes_int8(x, sinr, 4, 1.0, 0, whole), "1 to 127, not 0"),
        (lambda: kernels.add_llrs(whole[0, 0, 0, 0, 0], whole[0, 0, 0, 0, 0, :9], 7, whole[0, 0, 0, 0, 1]), "16 and 9 LLRs"),
        (lambda: kernels.bfp_pack(values, 1, packed), "2 to 16 bits, not 1"), (lambda: kernels.bfp_pack(values, 8, packed), "8 bits want 24 and 25"),
        (lambda: kernels.bfp_unpack(packed, 9, values[:1]), "2 x 28"), (lambda: kernels.bfp_planes(packed.reshape(1, 1, 2, 28), 9, 1.0, planes), "do not fit"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            call()
