// Sixteen float32 lanes of one AVX-512 register. Every helper stands beside the plain loop that defines it: -DPLAIN_LOOPS runs those instead.
#pragma once
#include <cmath>
#include <cstring>
#ifndef PLAIN_LOOPS
#ifndef __AVX512F__
#error "Compile with -mavx512f -mavx512vl -mavx512dq -mavx512bw -mavx2 -mfma, or with -DPLAIN_LOOPS."
#endif
#include <immintrin.h>
#endif

#define HAND static inline __attribute__((always_inline))
constexpr int LANES = 16;

#ifdef PLAIN_LOOPS
struct Vec { float lane[LANES]; };
template <class Lane> HAND Vec each(Lane lane) { Vec r; for (int i = 0; i < LANES; ++i) r.lane[i] = lane(i); return r; }
HAND Vec load(const float* p) { return each([&](int i) { return p[i]; }); }
HAND void store(float* p, Vec a) { for (int i = 0; i < LANES; ++i) p[i] = a.lane[i]; }
HAND void store_first(float* p, Vec a, int n) { for (int i = 0; i < n; ++i) p[i] = a.lane[i]; }
HAND Vec load_first(const float* p, int n) { return each([&](int i) { return i < n ? p[i] : 0.0f; }); }
HAND Vec same(float x) { return each([&](int) { return x; }); }
HAND Vec add(Vec a, Vec b) { return each([&](int i) { return a.lane[i] + b.lane[i]; }); }
HAND Vec sub(Vec a, Vec b) { return each([&](int i) { return a.lane[i] - b.lane[i]; }); }
HAND Vec mul(Vec a, Vec b) { return each([&](int i) { return a.lane[i] * b.lane[i]; }); }
HAND Vec quotient(Vec a, Vec b) { return each([&](int i) { return a.lane[i] / b.lane[i]; }); }
HAND Vec fma(Vec a, Vec b, Vec c) { return each([&](int i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); }); }     // a b + c, rounded once
HAND Vec fnma(Vec a, Vec b, Vec c) { return each([&](int i) { return std::fma(-a.lane[i], b.lane[i], c.lane[i]); }); }   // c - a b
HAND Vec max(Vec a, Vec b) { return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; }); }
HAND Vec min(Vec a, Vec b) { return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; }); }
HAND Vec root(Vec a) { return each([&](int i) { return std::sqrt(a.lane[i]); }); }
HAND Vec nearest(Vec a) { return each([&](int i) { return std::nearbyint(a.lane[i]); }); }
HAND Vec times_power_of_two(Vec a, Vec n) { return each([&](int i) { return std::ldexp(a.lane[i], int(n.lane[i])); }); }
HAND float sum(Vec a) { float s = 0; for (int i = 0; i < LANES; ++i) s += a.lane[i]; return s; }
HAND float greatest(Vec a) { float m = a.lane[0]; for (int i = 1; i < LANES; ++i) m = m < a.lane[i] ? a.lane[i] : m; return m; }
HAND void transpose(Vec (&a)[16]) {                                                  // a[i][j] <-> a[j][i]
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < i; ++j) { const float t = a[i].lane[j]; a[i].lane[j] = a[j].lane[i]; a[j].lane[i] = t; }
}
HAND Vec sum_each(const Vec (&a)[16]) { return each([&](int i) { return sum(a[i]); }); }   // lane i: the sum of a[i]
#else
using Vec = __m512;
HAND Vec load(const float* p) { return _mm512_loadu_ps(p); }
HAND void store(float* p, Vec a) { _mm512_storeu_ps(p, a); }
HAND void store_first(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), a); }
HAND Vec load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p); }
HAND Vec same(float x) { return _mm512_set1_ps(x); }
HAND Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
HAND Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
HAND Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
HAND Vec quotient(Vec a, Vec b) { return _mm512_div_ps(a, b); }
HAND Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
HAND Vec fnma(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a, b, c); }
HAND Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
HAND Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
HAND Vec root(Vec a) { return _mm512_sqrt_ps(a); }
HAND Vec nearest(Vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
HAND Vec times_power_of_two(Vec a, Vec n) { return _mm512_scalef_ps(a, n); }
HAND float sum(Vec a) { return _mm512_reduce_add_ps(a); }
HAND float greatest(Vec a) { return _mm512_reduce_max_ps(a); }
HAND void transpose(Vec (&a)[16]) {                                                  // 4 rounds of 16 shuffles
    Vec b[16];
    for (int i = 0; i < 16; i += 2) { b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]); b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]); }
    for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44); a[i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xee);
        a[i + 2] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0x44); a[i + 3] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
    for (int h = 0; h < 16; h += 8)
        for (int i = 0; i < 4; ++i) {
            b[h + i] = _mm512_shuffle_f32x4(a[h + i], a[h + 4 + i], 0x88); b[h + 4 + i] = _mm512_shuffle_f32x4(a[h + i], a[h + 4 + i], 0xdd);
        }
    for (int i = 0; i < 8; ++i) { a[i] = _mm512_shuffle_f32x4(b[i], b[8 + i], 0x88); a[8 + i] = _mm512_shuffle_f32x4(b[i], b[8 + i], 0xdd); }
}
HAND Vec sum_each(const Vec (&a)[16]) {                                              // halves the number of vectors four times: 15 additions, 30 shuffles
    Vec b[8], c[4], d[2];
    for (int i = 0; i < 8; ++i) {
        const Vec &p = a[i / 4 * 8 + i % 4], &q = a[i / 4 * 8 + 4 + i % 4];
        b[i] = add(_mm512_shuffle_f32x4(p, q, 0x44), _mm512_shuffle_f32x4(p, q, 0xee));
    }
    for (int i = 0; i < 4; ++i) c[i] = add(_mm512_shuffle_f32x4(b[i], b[4 + i], 0x88), _mm512_shuffle_f32x4(b[i], b[4 + i], 0xdd));
    for (int i = 0; i < 2; ++i) d[i] = add(_mm512_unpacklo_ps(c[i], c[2 + i]), _mm512_unpackhi_ps(c[i], c[2 + i]));
    return add(_mm512_unpacklo_ps(d[0], d[1]), _mm512_unpackhi_ps(d[0], d[1]));
}
#endif

HAND Vec zero() { return same(0.0f); }
HAND Vec relu(Vec a) { return max(a, zero()); }

// The packed weights, part after part; every part begins at a multiple of 64 bytes.
struct Pack {
    const float* at;
    const float* take(int n) { const float* part = at; at += (n + LANES - 1) / LANES * LANES; return part; }
};
