/* 64 bytes to 64 bits, and the lowest set bit: SSE2, which every x86-64 has, or plain C elsewhere. */
#ifndef VITRINE_BITS_H
#define VITRINE_BITS_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>

/* Bit k of the result is set where bytes[k] is not zero. */
static inline uint64_t nonzero_bits(const uint8_t *bytes)
{
    const __m128i zero = _mm_setzero_si128();
    uint64_t zeros = 0;
    for (int part = 0; part < 4; part++) {
        __m128i sixteen = _mm_loadu_si128((const __m128i *)(bytes + 16 * part));
        zeros |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(sixteen, zero)) << (16 * part);
    }
    return ~zeros;
}

#else

static inline uint64_t nonzero_bits(const uint8_t *bytes)
{
    uint64_t bits = 0;
    for (int k = 0; k < 64; k++)
        bits |= (uint64_t)(bytes[k] != 0) << k;
    return bits;
}

#endif

#if defined(__GNUC__)

static inline int lowest_bit(uint64_t word) { return __builtin_ctzll(word); }

#else

static inline int lowest_bit(uint64_t word)
{
    int bit = 0;
    while (!(word & 1)) {
        word >>= 1;
        bit++;
    }
    return bit;
}

#endif

#endif
