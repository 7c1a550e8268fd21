// Matrix by vector for few outputs: depth in lanes, nothing is broadcast, and the lanes of all outputs are summed together at the end.
// needs: dense_epilogue.h

// Lane n of the result is the sum over the lanes of v[n]; v[COUNT] and what follows counts as zero.
template <int COUNT> INLINE vec dense_sums(vec (&v)[VEC_LANES]) {
#pragma GCC unroll 16
    for (int n = COUNT; n < VEC_LANES; ++n) v[n] = vec{};
#if VEC_AVX512
    __m512 t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        const __m512 a = (__m512)v[2 * i], b = (__m512)v[2 * i + 1];
        t[i] = 2 * i >= COUNT ? __m512{} : _mm512_mask_blend_ps(0xcccc, a, b) + _mm512_shuffle_ps(a, b, 0x4e);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) t[i] = 4 * i >= COUNT ? __m512{} : _mm512_shuffle_ps(t[2 * i], t[2 * i + 1], 0x88) + _mm512_shuffle_ps(t[2 * i], t[2 * i + 1], 0xdd);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) t[i] = 8 * i >= COUNT ? __m512{} : _mm512_mask_blend_ps(0xff00, t[2 * i], t[2 * i + 1]) + _mm512_shuffle_f32x4(t[2 * i], t[2 * i + 1], 0x4e);
    return (vec)(_mm512_shuffle_f32x4(t[0], t[1], 0x88) + _mm512_shuffle_f32x4(t[0], t[1], 0xdd));
#elif VEC_AVX2
    __m256 t[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m256 a = (__m256)v[2 * i], b = (__m256)v[2 * i + 1];
        t[i] = 2 * i >= COUNT ? __m256{} : _mm256_blend_ps(a, b, 0xcc) + _mm256_shuffle_ps(a, b, 0x4e);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) t[i] = 4 * i >= COUNT ? __m256{} : _mm256_shuffle_ps(t[2 * i], t[2 * i + 1], 0x88) + _mm256_shuffle_ps(t[2 * i], t[2 * i + 1], 0xdd);
    return (vec)(_mm256_blend_ps(t[0], t[1], 0xf0) + _mm256_permute2f128_ps(t[0], t[1], 0x21));
#else
    vec r;
    for (int n = 0; n < VEC_LANES; ++n) r[n] = vec_sum(v[n]);
    return r;
#endif
}

// The plain form, for all n < N: y[n] = EPILOGUE(sum over k of x[k] w[k][n], scale, bias[n], residual[n]).
// Weights lie [N / VEC_LANES][K' / VEC_LANES][B][VEC_LANES], B the outputs of the block (the last one has what is left), K filled up with zeros.
template <class EPILOGUE, int K, int N> struct dense_dots {
    const float *x, *w, *scale, *bias, *residual;
    float* y;
    static constexpr int DEPTH = (K + VEC_LANES - 1) / VEC_LANES;

    template <int NB> INLINE void block(const dense_dots& d, int n, const float* w) {
        vec acc[VEC_LANES] = {};
#pragma GCC unroll 8
        for (int k = 0; k < DEPTH; ++k) {
            const vec x = vec_load_up_to(d.x + k * VEC_LANES, K - k * VEC_LANES);
#pragma GCC unroll 16
            for (int i = 0; i < NB; ++i) {
                const vec b = vec_load(w + (k * NB + i) * VEC_LANES);
                acc[i] = k ? vec_fma(x, b, acc[i]) : x * b;
            }
        }
        const vec bias = EPILOGUE::biased ? vec_load_up_to(d.bias + n, NB) : vec{}, residual = EPILOGUE::residual ? vec_load_up_to(d.residual + n, NB) : vec{};
        vec_store_up_to(d.y + n, EPILOGUE::of(dense_sums<NB>(acc), EPILOGUE::scaled ? vec_set(*d.scale) : vec{}, bias, residual), NB);
    }

    INLINE void run(const dense_dots& d) {
        constexpr int whole = N / VEC_LANES * VEC_LANES;
        for (int n = 0; n < whole; n += VEC_LANES) block<VEC_LANES>(d, n, d.w + (long)n * DEPTH * VEC_LANES);
        if constexpr (N > whole) block<N - whole>(d, whole, d.w + (long)whole * DEPTH * VEC_LANES);
    }
};
