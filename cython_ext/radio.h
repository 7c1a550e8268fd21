/* Max-log LLRs and block floating point: plain loops that compilers turn into vectors, cloned per processor level where that can be chosen at load time.
   Compiled without contraction of a * b + c, so that every value has the bits of the NumPy twin. */
#ifndef VITRINE_RADIO_H
#define VITRINE_RADIO_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#define restrict
#endif

#define LANES 16
#define EACH_LANE for (int lane = 0; lane < LANES; lane++)
#define PRB 24                      /* values of a resource block: I and Q of 12 subcarriers */

/* LLRs of one axis of 16 symbols. The amplitudes are the odd multiples of a below 2^count a; bit by bit the axis is folded in the middle of what is left:
   LLR = gain * sign(v) (|v| + sum over m of max(0, |v| - 2 m a)), then v becomes the middle minus |v|. Bit k goes to out + 2 k LANES. */
INLINE void demap_axis(const float *restrict value, const float *restrict gain, const float *steps, const int count, float *restrict out)
{
    float v[LANES], t[LANES], sum[LANES];
    EACH_LANE v[lane] = value[lane];
    for (int bit = 0; bit < count; bit++) {
        const int half = 1 << (count - 1 - bit);
        EACH_LANE sum[lane] = t[lane] = fabsf(v[lane]);
        for (int m = 1; m < half; m++)
            EACH_LANE sum[lane] += t[lane] > steps[m] ? t[lane] - steps[m] : 0;
        EACH_LANE out[2 * LANES * bit + lane] = gain[lane] * (v[lane] < 0 ? -sum[lane] : sum[lane]);
        EACH_LANE v[lane] = steps[half / 2] - t[lane];
    }
}

/* LLRs float[bits][16] of symbols x[2][16]. steps[m] = 2 m a. */
INLINE void demap_both(const float *x, const float *sinr, const float *steps, float slope, const int count, float *llrs)
{
    float gain[LANES];
    EACH_LANE gain[lane] = slope * sinr[lane];
    demap_axis(x, gain, steps, count, llrs);
    demap_axis(x + LANES, gain, steps, count, llrs + LANES);
}

INLINE void demap_sixteen(const float *x, const float *sinr, const float *steps, float slope, int bits, float *llrs)
{
    switch (bits) {
    case 2: demap_both(x, sinr, steps, slope, 1, llrs); break;
    case 4: demap_both(x, sinr, steps, slope, 2, llrs); break;
    case 6: demap_both(x, sinr, steps, slope, 3, llrs); break;
    default: demap_both(x, sinr, steps, slope, 4, llrs);
    }
}

/* x[span][layers][2][16], sinr[layers][16] -> llrs[span][layers][bits][16]. */
CLONES static void demap_block(const float *x, const float *sinr, ptrdiff_t span, ptrdiff_t layers, int bits, const float *steps, float slope, float *llrs)
{
    for (ptrdiff_t j = 0; j < span; j++)
        for (ptrdiff_t k = 0; k < layers; k++, x += 2 * LANES, llrs += bits * LANES)
            demap_sixteen(x, sinr + k * LANES, steps, slope, bits, llrs);
}

/* The same, rounded to the nearest multiple of 1 / scale (halves to even) and held within +-limit of them. */
CLONES static void demap_block_int8(const float *x, const float *sinr, ptrdiff_t span, ptrdiff_t layers, int bits, const float *steps, float slope, float scale,
                                    float limit, int8_t *llrs)
{
    float exact[8 * LANES];
    for (ptrdiff_t j = 0; j < span; j++)
        for (ptrdiff_t k = 0; k < layers; k++, x += 2 * LANES, llrs += bits * LANES) {
            demap_sixteen(x, sinr + k * LANES, steps, slope, bits, exact);
            for (int n = 0; n < bits * LANES; n++) {
                float value = exact[n] * scale;
                value = value > limit ? limit : value;
                value = value < -limit ? -limit : value;
                llrs[n] = (int8_t) (int32_t) rintf(value);
            }
        }
}

CLONES static void add_saturating(const int8_t *one, const int8_t *other, ptrdiff_t count, int limit, int8_t *out)
{
    for (ptrdiff_t k = 0; k < count; k++) {
        int16_t sum = (int16_t) (one[k] + other[k]);
        sum = sum > limit ? (int16_t) limit : sum;
        out[k] = (int8_t) (sum < -limit ? -limit : sum);
    }
}

/* Block floating point */

INLINE int bit_length(uint32_t value)
{
    int length = 0;
    for (int step = 16; step; step /= 2)
        if (value >> step) {
            value >>= step;
            length += step;
        }
    return length + (value != 0);
}

INLINE void store_big_endian(uint64_t word, int bytes, uint8_t *out)
{
    for (int k = 0; k < bytes; k++)
        out[k] = (uint8_t) (word >> (56 - 8 * k));
}

/* Eight values of `bits` bits, the first one highest, as `bits` bytes. */
INLINE void pack_eight(const uint16_t *values, const int bits, uint8_t *out)
{
    uint64_t first = 0, second = 0;
    for (int k = 0; k < 8; k++) {
        const int end = (k + 1) * bits;
        const uint64_t value = values[k] & ((1u << bits) - 1);
        if (end <= 64)
            first |= value << (64 - end);
        else {
            first |= end - bits < 64 ? value >> (end - 64) : 0;
            second |= value << (128 - end);
        }
    }
    store_big_endian(first, bits < 8 ? bits : 8, out);
    store_big_endian(second, bits < 8 ? 0 : bits - 8, out + 8);
}

INLINE void pack_prb(const int16_t *values, const int bits, uint8_t *out)
{
    uint16_t seen = 0, mantissas[PRB];
    for (int k = 0; k < PRB; k++)
        seen |= (uint16_t) (values[k] ^ (values[k] >> 15));
    int exponent = bit_length(seen) + 1 - bits;
    exponent = exponent > 0 ? exponent : 0;
    for (int k = 0; k < PRB; k++)
        mantissas[k] = (uint16_t) (values[k] >> exponent);
    out[0] = (uint8_t) exponent;
    for (int k = 0; k < 3; k++)
        pack_eight(mantissas + 8 * k, bits, out + 1 + k * bits);
}

CLONES static void pack_prbs(const int16_t *values, ptrdiff_t count, int bits, uint8_t *out)
{
    for (ptrdiff_t k = 0; k < count; k++, values += PRB, out += 1 + 3 * bits)
        if (bits == 9)
            pack_prb(values, 9, out);
        else
            pack_prb(values, bits, out);
}

/* The 24 mantissas of one block. Nine bits: value i of eight begins in byte i at bit i. */
INLINE void unpack_nine(const uint8_t *in, int16_t *mantissas)
{
    static const uint16_t power[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    for (int k = 0; k < 3; k++, in += 9, mantissas += 8)
        for (int i = 0; i < 8; i++)
            mantissas[i] = (int16_t) ((int16_t) (uint16_t) ((uint16_t) (in[i] << 8 | in[i + 1]) * power[i]) >> 7);
}

INLINE void unpack_any(const uint8_t *in, int bits, int16_t *mantissas)
{
    for (int k = 0; k < PRB; k++) {
        const int begin = k * bits, byte = begin >> 3, last = (begin + bits - 1) >> 3;
        uint32_t word = 0;
        for (int n = 0; n < 3; n++)
            word = word << 8 | (byte + n <= last ? in[byte + n] : 0);
        mantissas[k] = (int16_t) ((int32_t) (word << (8 + (begin & 7))) >> (32 - bits));
    }
}

INLINE void unpack_mantissas(const uint8_t *in, int bits, int16_t *mantissas)
{
    if (bits == 9)
        unpack_nine(in, mantissas);
    else
        unpack_any(in, bits, mantissas);
}

/* Mantissa times 2^exponent, held within int16 where the exponent is not one that packing makes. */
CLONES static void unpack_prbs(const uint8_t *in, ptrdiff_t count, int bits, int16_t *values)
{
    int16_t mantissas[PRB];
    for (ptrdiff_t k = 0; k < count; k++, in += 1 + 3 * bits, values += PRB) {
        const int exponent = in[0] & 15;
        unpack_mantissas(in + 1, bits, mantissas);
        if (exponent <= 16 - bits)
            for (int n = 0; n < PRB; n++)
                values[n] = (int16_t) ((uint16_t) mantissas[n] << exponent);
        else
            for (int n = 0; n < PRB; n++) {
                int32_t value = mantissas[n] * (1 << exponent);
                values[n] = (int16_t) (value > 32767 ? 32767 : value < -32768 ? -32768 : value);
            }
    }
}

/* Every `stride`-th complex number of row[2 ...], 16 of them, as a real and an imaginary plane. */
INLINE void take_lanes(const float *restrict row, const ptrdiff_t stride, float *restrict out)
{
    EACH_LANE out[lane] = row[2 * stride * lane];
    EACH_LANE out[LANES + lane] = row[2 * stride * lane + 1];
}

/* Resource blocks of one antenna and symbol -> its two rows in each of `blocks` blocks of planes, out[block][span][antennas][2][16] from the antenna's place on.
   row: room for 2 * 16 * span * blocks floats; what the last block has beyond `groups` repeats the last group. */
CLONES static void unpack_planes(const uint8_t *in, ptrdiff_t prb_stride, ptrdiff_t prbs, int bits, float scale, ptrdiff_t groups, ptrdiff_t span, ptrdiff_t antennas,
                                 float *restrict row, float *restrict out)
{
    const ptrdiff_t blocks = (groups + LANES - 1) / LANES;
    int16_t mantissas[PRB];
    for (ptrdiff_t k = 0; k < prbs; k++, in += prb_stride) {
        const float weight = scale * (float) (1 << (in[0] & 15));
        unpack_mantissas(in + 1, bits, mantissas);
        for (int n = 0; n < PRB; n++)
            row[PRB * k + n] = mantissas[n] * weight;
    }
    for (ptrdiff_t group = groups; group < LANES * blocks; group++)
        memcpy(row + 2 * span * group, row + 2 * span * (groups - 1), sizeof(float) * 2 * span);
    for (ptrdiff_t block = 0; block < blocks; block++)
        for (ptrdiff_t j = 0; j < span; j++, out += 2 * LANES * antennas) {
            const float *from = row + 2 * (LANES * span * block + j);
            if (span == 1)
                take_lanes(from, 1, out);
            else
                take_lanes(from, span, out);
        }
}

#endif
