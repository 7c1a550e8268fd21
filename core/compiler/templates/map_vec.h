// What elementwise code needs beyond math_vec.h, and the same names for one float, so that a function can be written once for both.
// needs: math_vec.h

template <class V> INLINE V splat(float a) { return V{} + a; }

// The first n lanes of a, the others from b.
INLINE vec vec_first_of(vec a, vec b, int n) {
#if VEC_AVX512
    return (vec)_mm512_mask_blend_ps((__mmask16)((1u << n) - 1u), (__m512)b, (__m512)a);
#elif VEC_AVX2
    return (vec)_mm256_blendv_ps((__m256)b, (__m256)a, _mm256_castsi256_ps(vec_mask(n)));
#else
    EACH_LANE if (l >= n) a[l] = b[l];
    return a;
#endif
}

INLINE float vec_floor(float a) { return __builtin_floorf(a); }
INLINE vec vec_floor(vec a) {
#if VEC_AVX512
    return (vec)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#elif VEC_AVX2
    return (vec)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
    EACH_LANE a[l] = __builtin_floorf(a[l]);
    return a;
#endif
}

INLINE float vec_round(float a) { return __builtin_rintf(a); }

INLINE float vec_fma(float a, float b, float c) {
#ifdef __FMA__
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}
INLINE float vec_max(float a, float b) { return a > b ? a : b; }
INLINE float vec_min(float a, float b) { return a < b ? a : b; }
INLINE float vec_sqrt(float a) { return __builtin_sqrtf(a); }
INLINE float vec_abs(float a) { return __builtin_fabsf(a); }

// The bits of a float as an int32 and back; a float that holds a whole number as an int32 and back.
INLINE int vec_bits(float a) { int r; __builtin_memcpy(&r, &a, 4); return r; }
INLINE vec_int vec_bits(vec a) { return (vec_int)a; }
INLINE float vec_from_bits(int a) { float r; __builtin_memcpy(&r, &a, 4); return r; }
INLINE vec vec_from_bits(vec_int a) { return (vec)a; }
INLINE int vec_whole(float a) { return (int)a; }
INLINE vec_int vec_whole(vec a) { return __builtin_convertvector(a, vec_int); }
INLINE float vec_real(int a) { return (float)a; }
INLINE vec vec_real(vec_int a) { return __builtin_convertvector(a, vec); }

// Product, largest and smallest over the lanes, halves with halves.
INLINE float vec_product(vec v) {
    for (int half = VEC_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) v[l] = v[l] * v[l + half];
    return v[0];
}
INLINE float vec_largest(vec v) {
    for (int half = VEC_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) v[l] = v[l] > v[l + half] ? v[l] : v[l + half];
    return v[0];
}
INLINE float vec_smallest(vec v) {
    for (int half = VEC_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) v[l] = v[l] < v[l + half] ? v[l] : v[l + half];
    return v[0];
}
