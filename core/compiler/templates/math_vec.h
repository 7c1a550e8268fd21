// A register of float32 values and what the kernels do with it. Each helper with an instruction of its own stands over the plain loop that defines it.
// VEC_LANES (16, 8, 4, 1) comes from the generator; with VEC_PLAIN only the loops are compiled.
#if VEC_LANES == 16 && defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && !defined(VEC_PLAIN)
#define VEC_AVX512 1
#elif VEC_LANES == 8 && defined(__AVX2__) && defined(__FMA__) && !defined(VEC_PLAIN)
#define VEC_AVX2 1
#endif
#define INLINE static inline __attribute__((always_inline))
// Entered once per node and shared by nodes of the same sizes: less to compile, nothing to lose.
#define KERNEL static __attribute__((noinline))
#define EACH_LANE for (int l = 0; l < VEC_LANES; ++l)

typedef float vec __attribute__((vector_size(4 * VEC_LANES)));
typedef float vec_anywhere __attribute__((vector_size(4 * VEC_LANES), aligned(4), may_alias));
typedef int32_t vec_int __attribute__((vector_size(4 * VEC_LANES)));

// As many values as a register holds, from and to anywhere in memory; one value in every lane.
INLINE vec vec_load(const float* p) { return *(const vec_anywhere*)p; }
INLINE void vec_store(float* p, vec v) { *(vec_anywhere*)p = v; }
INLINE vec vec_set(float x) {
#if VEC_AVX512
    return (vec)_mm512_set1_ps(x);
#elif VEC_AVX2
    return (vec)_mm256_set1_ps(x);
#else
    vec r;
    EACH_LANE r[l] = x;
    return r;
#endif
}

// a b + c, rounded once where the processor can
INLINE vec vec_fma(vec a, vec b, vec c) {
#if VEC_AVX512
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VEC_AVX2
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

// c - a b
INLINE vec vec_fnma(vec a, vec b, vec c) {
#if VEC_AVX512
    return (vec)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VEC_AVX2
    return (vec)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return c - a * b;
#endif
}

// The larger and the smaller of both; b where one is not a number, as the instructions do.
INLINE vec vec_max(vec a, vec b) {
#if VEC_AVX512
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif VEC_AVX2
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    vec r;
    EACH_LANE r[l] = a[l] > b[l] ? a[l] : b[l];
    return r;
#endif
}

INLINE vec vec_min(vec a, vec b) {
#if VEC_AVX512
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif VEC_AVX2
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    vec r;
    EACH_LANE r[l] = a[l] < b[l] ? a[l] : b[l];
    return r;
#endif
}

// a > b ? x : y
INLINE vec vec_where_greater(vec a, vec b, vec x, vec y) {
#if VEC_AVX512
    return (vec)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ), (__m512)y, (__m512)x);
#elif VEC_AVX2
    return (vec)_mm256_blendv_ps((__m256)y, (__m256)x, _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ));
#else
    vec r;
    EACH_LANE r[l] = a[l] > b[l] ? x[l] : y[l];
    return r;
#endif
}

INLINE vec vec_sqrt(vec a) {
#if VEC_AVX512
    return (vec)_mm512_sqrt_ps((__m512)a);
#elif VEC_AVX2
    return (vec)_mm256_sqrt_ps((__m256)a);
#else
    vec r;
    EACH_LANE r[l] = __builtin_sqrtf(a[l]);
    return r;
#endif
}

INLINE vec vec_abs(vec a) { return (vec)((vec_int)a & 0x7fffffff); }
INLINE vec vec_signed(vec size, vec sign) { return (vec)(((vec_int)size & 0x7fffffff) | ((vec_int)sign & (int)0x80000000)); }

// The nearest whole number, ties to even
INLINE vec vec_round(vec a) {
#if VEC_AVX512
    return (vec)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif VEC_AVX2
    return (vec)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    vec r;
    EACH_LANE r[l] = __builtin_rintf(a[l]);
    return r;
#endif
}

// a 2^n for whole n from -126 to 127 and a in [0.5, 2]
INLINE vec vec_scale(vec a, vec n) {
#if VEC_AVX512
    return (vec)_mm512_scalef_ps((__m512)a, (__m512)n);
#elif VEC_AVX2
    return (vec)((vec_int)a + ((vec_int)_mm256_cvtps_epi32((__m256)n) << 23));
#else
    vec r;
    EACH_LANE r[l] = (float)__builtin_ldexp((double)a[l], (int)n[l]);
    return r;
#endif
}

#if VEC_AVX2
INLINE __m256i vec_mask(int count) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
#endif

// The first `count` values at p and zeros; the first `count` lanes to p; nothing behind them is touched. 0 <= count <= VEC_LANES
INLINE vec vec_load_first(const float* p, int count) {
#if VEC_AVX512
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), p);
#elif VEC_AVX2
    return (vec)_mm256_maskload_ps(p, vec_mask(count));
#else
    vec r{};
    for (int l = 0; l < count; ++l) r[l] = p[l];
    return r;
#endif
}

INLINE void vec_store_first(float* p, vec v, int count) {
#if VEC_AVX512
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1u), (__m512)v);
#elif VEC_AVX2
    _mm256_maskstore_ps(p, vec_mask(count), (__m256)v);
#else
    for (int l = 0; l < count; ++l) p[l] = v[l];
#endif
}

// The first `count` lanes of v, zero in the others
INLINE vec vec_first(vec v, int count) {
#if VEC_AVX512
    return (vec)_mm512_maskz_mov_ps((__mmask16)((1u << count) - 1u), (__m512)v);
#elif VEC_AVX2
    return (vec)_mm256_and_ps((__m256)v, _mm256_castsi256_ps(vec_mask(count)));
#else
    EACH_LANE v[l] = l < count ? v[l] : 0.0f;
    return v;
#endif
}

// Whole registers by a plain load or store, the last one of a row by a mask: `count` may exceed VEC_LANES.
INLINE vec vec_load_up_to(const float* p, int count) { return count >= VEC_LANES ? vec_load(p) : vec_load_first(p, count); }
INLINE void vec_store_up_to(float* p, vec v, int count) {
    if (count >= VEC_LANES) vec_store(p, v);
    else vec_store_first(p, v, count);
}

// Sum over the lanes: halves added to halves
INLINE float vec_sum(vec v) {
#if VEC_AVX512
    return _mm512_reduce_add_ps((__m512)v);
#else
    for (int half = VEC_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) v[l] = v[l] + v[l + half];
    return v[0];
#endif
}

// Transposes VEC_LANES vectors in place: lane c of vector r becomes lane r of vector c.
INLINE void vec_transpose(vec (&v)[VEC_LANES]) {
#if VEC_AVX512
    __m512 t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 8; ++i) {
        t[2 * i] = _mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; ++i) {
        v[4 * i] = (vec)_mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        v[4 * i + 1] = (vec)_mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        v[4 * i + 2] = (vec)_mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        v[4 * i + 3] = (vec)_mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; ++i) {
        v[i] = (vec)_mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = (vec)_mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        v[i + 4] = (vec)_mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        v[i + 12] = (vec)_mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
#elif VEC_AVX2
    __m256 t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
        t[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 2; ++i) {
        v[4 * i] = (vec)_mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        v[4 * i + 1] = (vec)_mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        v[4 * i + 2] = (vec)_mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        v[4 * i + 3] = (vec)_mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) v[i] = t[i];
#else
    vec t[VEC_LANES];
    for (int r = 0; r < VEC_LANES; ++r) EACH_LANE t[l][r] = v[r][l];
    for (int r = 0; r < VEC_LANES; ++r) v[r] = t[r];
#endif
}
