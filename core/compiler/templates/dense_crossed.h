// Matrix by vector with features in lanes and x kept in registers: each value meets every lane by a shuffle, not by a load, and all loops over x are unrolled.
// needs: dense_epilogue.h

// Lane l of the result is lane l ^ R of v.
template <int R> INLINE vec dense_cross(vec v) {
#if VEC_AVX512
    constexpr int swap[4] = {0xe4, 0xb1, 0x4e, 0x1b};
    if (R / 4) v = (vec)_mm512_shuffle_f32x4((__m512)v, (__m512)v, swap[R / 4]);
    return R % 4 ? (vec)_mm512_permute_ps((__m512)v, swap[R % 4]) : v;
#elif VEC_AVX2
    constexpr int swap[4] = {0xe4, 0xb1, 0x4e, 0x1b};
    if (R / 4) v = (vec)_mm256_permute2f128_ps((__m256)v, (__m256)v, 1);
    return R % 4 ? (vec)_mm256_permute_ps((__m256)v, swap[R % 4]) : v;
#else
    vec r;
    EACH_LANE r[l] = v[l ^ R];
    return r;
#endif
}

// The plain form, for all n < N: y[n] = EPILOGUE(sum over k of x[k] w[k][n], scale, bias[n], residual[n]).
// Weights lie [N / B][K][B] with B = NV VEC_LANES (the last block as wide as whole registers need). In whole registers of x, lane l of row k stands for k ^ l;
// the values behind them are broadcast as usual.
template <class EPILOGUE, int K, int N> struct dense_crossed {
    const float *x, *w, *scale, *bias, *residual;
    float* y;

    // acc[k % CHAINS] += a w[k], or = for the first CHAINS rows
    template <int NV, int CHAINS> INLINE void add(vec a, const float* w, int k, vec (&acc)[CHAINS][NV]) {
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            const vec b = vec_load(w + (k * NV + j) * VEC_LANES);
            acc[k % CHAINS][j] = k < CHAINS ? a * b : vec_fma(a, b, acc[k % CHAINS][j]);
        }
    }

    template <int NV, int CHAINS, int R> INLINE void steps(vec x, const float* w, int k, vec (&acc)[CHAINS][NV]) {
        if constexpr (R < VEC_LANES) {
            add<NV, CHAINS>(dense_cross<R>(x), w, k + R, acc);
            steps<NV, CHAINS, R + 1>(x, w, k, acc);
        }
    }

    template <int NV, int CHAINS> INLINE void block(const dense_crossed& d, int n, const float* w) {
        constexpr int whole = K / VEC_LANES * VEC_LANES;
        vec acc[CHAINS][NV] = {};
#pragma GCC unroll 64
        for (int k = 0; k < whole; k += VEC_LANES) steps<NV, CHAINS, 0>(vec_load(d.x + k), w, k, acc);
#pragma GCC unroll 16
        for (int k = whole; k < K; ++k) add<NV, CHAINS>(vec_set(d.x[k]), w, k, acc);
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
#pragma GCC unroll 8
            for (int c = 1; c < CHAINS; ++c) acc[0][j] = acc[0][j] + acc[c][j];
            const int column = n + j * VEC_LANES;
            const vec bias = EPILOGUE::biased ? vec_load_up_to(d.bias + column, N - column) : vec{}, residual = EPILOGUE::residual ? vec_load_up_to(d.residual + column, N - column) : vec{};
            vec_store_up_to(d.y + column, EPILOGUE::of(acc[0][j], EPILOGUE::scaled ? vec_set(*d.scale) : vec{}, bias, residual), N - column);
        }
    }

    template <int NV, int CHAINS> INLINE void run(const dense_crossed& d) {
        constexpr int registers = (N + VEC_LANES - 1) / VEC_LANES, blocks = registers / NV, rest = registers % NV;
#pragma GCC unroll 8
        for (int b = 0; b < blocks; ++b) block<NV, CHAINS>(d, b * NV * VEC_LANES, d.w + (long)b * NV * VEC_LANES * K);
        if constexpr (rest > 0) block<rest, CHAINS>(d, blocks * NV * VEC_LANES, d.w + (long)blocks * NV * VEC_LANES * K);
    }
};
