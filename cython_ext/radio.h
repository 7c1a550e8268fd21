/* Max-log LLRs and block floating point: plain C on vectors of 16, cloned per processor level where the compiler can choose at load time.
   Compiled without contraction of a * b + c, so that every value has the bits of the NumPy twin. */
#ifndef VITRINE_RADIO_H
#define VITRINE_RADIO_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vectors.h"

typedef float lane __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t lane_bits __attribute__((vector_size(64)));
typedef uint32_t lane_words __attribute__((vector_size(64)));
typedef uint64_t quads __attribute__((vector_size(32)));
typedef uint16_t words __attribute__((vector_size(32)));
typedef int16_t signed_words __attribute__((vector_size(32)));

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"             /* vectors are passed between inlined functions only */
#endif
#define PRB 24                      /* values of a resource block: I and Q of 12 subcarriers */

/* LLRs of one axis of 16 symbols. The amplitudes are the odd multiples of a below 2^count a; bit by bit the axis is folded in the middle of what is left:
   LLR = gain * sign(v) (|v| + sum over m of max(0, |v| - 2 m a)), then v becomes the middle minus |v|. Bit k goes to out + 2 k LANES. */
INLINE void demap_axis(lane v, lane gain, const float *steps, const int count, lane *out)
{
    for (int bit = 0; bit < count; bit++) {
        const int half = 1 << (count - 1 - bit);
        const lane size = (lane) ((lane_bits) v & INT32_MAX);
        lane sum = size;
        for (int m = 1; m < half; m++) {
            const lane beyond = size - steps[m];
            sum += (lane) ((lane_bits) beyond & (beyond > 0));
        }
        out[2 * bit] = gain * (lane) ((lane_bits) sum ^ ((lane_bits) v & INT32_MIN));
        v = steps[half / 2] - size;
    }
}

/* LLRs float[bits][16] of symbols x[2][16]. steps[m] = 2 m a. */
INLINE void demap_both(const float *x, const float *sinr, const float *steps, float slope, const int count, float *llrs)
{
    const lane gain = slope * *(const lane *) sinr;
    demap_axis(*(const lane *) x, gain, steps, count, (lane *) llrs);
    demap_axis(*(const lane *) (x + LANES), gain, steps, count, (lane *) llrs + 1);
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

/* In eight bits throughout, so that a vector holds as many as it can: a sum that wraps has another sign than both its parts. */
CLONES static void add_saturating(const int8_t *one, const int8_t *other, ptrdiff_t count, int limit, int8_t *out)
{
    const int8_t most = (int8_t) limit, least = (int8_t) -limit;
    for (ptrdiff_t k = 0; k < count; k++) {
        const int8_t a = one[k], b = other[k];
        int8_t sum = (int8_t) ((uint8_t) a + (uint8_t) b);
        const int8_t wrapped = (int8_t) ((a ^ sum) & (b ^ sum));
        sum = wrapped < 0 ? (int8_t) (a < 0 ? -128 : 127) : sum;
        sum = sum > most ? most : sum;
        out[k] = sum < least ? least : sum;
    }
}

/* Block floating point */

INLINE int bit_length(uint32_t value) { return value ? 32 - __builtin_clz(value) : 0; }

INLINE uint64_t load(const uint8_t *in)
{
    uint64_t word;
    memcpy(&word, in, 8);
    return word;
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

/* The same for nine bits: four values in a word become 36 bits of it, two such 72. */
INLINE void pack_eight_nines(const uint16_t *values, uint8_t *out)
{
    uint64_t halves[2], first;
    for (int k = 0; k < 2; k++) {
        const uint16_t *v = values + 4 * k;
        halves[k] = (uint64_t) (v[0] & 511) << 27 | (uint64_t) (v[1] & 511) << 18 | (uint64_t) (v[2] & 511) << 9 | (v[3] & 511);
    }
    first = __builtin_bswap64(halves[0] << 28 | halves[1] >> 8);
    memcpy(out, &first, 8);
    out[8] = (uint8_t) halves[1];
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
        if (bits == 9)
            pack_eight_nines(mantissas + 8 * k, out + 1 + k * bits);
        else
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

/* Nine bits: of eight values, value i begins in byte i at bit i. `first` takes those of I (in) or of Q (in + 1): 12 of its 16 words are mantissas. */
INLINE signed_words unpack_nines(const uint8_t *in, const int first)
{
    const words power = {1, 4, 16, 64, 1, 4, 16, 64, 1, 4, 16, 64};
    const words pairs = (words) (quads) {load(in + first), load(in + first + 9), load(in + first + 18), 0};
    return (signed_words) ((pairs << 8 | pairs >> 8) * (power << first)) >> 7;
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

/* The 24 mantissas of one block, I and Q in turn. */
INLINE void unpack_mantissas(const uint8_t *in, int bits, int16_t *mantissas)
{
    if (bits == 9) {
        const words i = (words) unpack_nines(in, 0), q = (words) unpack_nines(in, 1);
        const lane_words both = __builtin_convertvector(i, lane_words) | __builtin_convertvector(q, lane_words) << 16;
        memcpy(mantissas, &both, sizeof(int16_t) * PRB);
    } else
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

/* Resource blocks of one antenna and symbol -> its two rows in each block of planes, out[block][span][antennas][2][16] from the antenna's place on.
   re, im: room for 16 * span * blocks + 16 floats; what the last block has beyond `groups` repeats the last group. */
CLONES static void unpack_planes(const uint8_t *in, ptrdiff_t prb_stride, ptrdiff_t prbs, int bits, float scale, ptrdiff_t groups, ptrdiff_t span,
                                 ptrdiff_t antennas, float *restrict re, float *restrict im, float *restrict out)
{
    const ptrdiff_t blocks = (groups + LANES - 1) / LANES, there = groups * span;
    for (ptrdiff_t k = 0; k < prbs; k++, in += prb_stride) {
        const float weight = scale * (float) (1 << (in[0] & 15));
        if (bits == 9) {
            *(lane *) (re + 12 * k) = __builtin_convertvector(unpack_nines(in + 1, 0), lane) * weight;
            *(lane *) (im + 12 * k) = __builtin_convertvector(unpack_nines(in + 1, 1), lane) * weight;
            continue;
        }
        int16_t mantissas[PRB];
        unpack_any(in + 1, bits, mantissas);
        for (int n = 0; n < 12; n++) {
            re[12 * k + n] = mantissas[2 * n] * weight;
            im[12 * k + n] = mantissas[2 * n + 1] * weight;
        }
    }
    for (ptrdiff_t n = there; n < LANES * blocks * span; n++) {
        re[n] = re[n - span];
        im[n] = im[n - span];
    }
    for (ptrdiff_t block = 0; block < blocks; block++, re += LANES * span, im += LANES * span)
        for (ptrdiff_t j = 0; j < span; j++, out += 2 * LANES * antennas)
            if (span == 1) {
                *(lane *) out = *(lane *) re;
                *(lane *) (out + LANES) = *(lane *) im;
            } else
                for (int n = 0; n < LANES; n++) {
                    out[n] = re[span * n + j];
                    out[LANES + n] = im[span * n + j];
                }
}

#endif
