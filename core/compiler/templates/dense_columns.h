// Small matrix product with tokens in lanes: the same sums as dense_rows.h for activations that lie [feature][token].
// needs: dense_epilogue.h

// The plain form, for all n < N, t < T: y[n][t] = EPILOGUE(sum over k of x[k][t] w[k][n], scale[t], bias[n], residual[n][t]);
// squares[t] = sum over n of y[n][t]^2. Weights lie [N / NB][K][NB] (the last block as wide as what is left) and are broadcast.
template <class EPILOGUE, bool SQUARES, int T, int K, int N> struct dense_columns {
    const float *x, *w, *scale, *bias, *residual;
    float *y, *squares;
    static constexpr int REGISTERS = (T + VEC_LANES - 1) / VEC_LANES;

    template <int F, int TV> INLINE void tile(const dense_columns& d, int n, int t, const float* w, vec* part) {
        vec acc[F][TV] = {};
        const float* x = d.x + t;
#pragma GCC unroll 2
        for (int k = 0; k < K; ++k) {
            vec a[TV];
#pragma GCC unroll 4
            for (int j = 0; j < TV; ++j) a[j] = load(x + (long)k * T + j * VEC_LANES, t + j * VEC_LANES);
#pragma GCC unroll 32
            for (int i = 0; i < F; ++i) {
                const vec b = vec_set(w[k * F + i]);
#pragma GCC unroll 4
                for (int j = 0; j < TV; ++j) acc[i][j] = vec_fma(a[j], b, acc[i][j]);
            }
        }
#pragma GCC unroll 32
        for (int i = 0; i < F; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < TV; ++j) {
                const int token = t + j * VEC_LANES;
                const long at = (long)(n + i) * T + token;
                const vec scale = EPILOGUE::scaled ? load(d.scale + token, token) : vec{}, residual = EPILOGUE::residual ? load(d.residual + at, token) : vec{};
                const vec r = EPILOGUE::of(acc[i][j], scale, EPILOGUE::biased ? vec_set(d.bias[n + i]) : vec{}, residual);
                if (T % VEC_LANES == 0) vec_store(d.y + at, r);
                else vec_store_up_to(d.y + at, r, T - token);
                if (SQUARES) part[token / VEC_LANES] = n + i ? vec_fma(r, r, part[token / VEC_LANES]) : r * r;
            }
    }

    INLINE vec load(const float* p, int token) { return T % VEC_LANES == 0 ? vec_load(p) : vec_load_up_to(p, T - token); }

    template <int F, int TV> INLINE void features(const dense_columns& d, int n, const float* w, vec* part) {
        constexpr int blocks = REGISTERS / TV, rest = REGISTERS % TV;
        for (int b = 0; b < blocks; ++b) tile<F, TV>(d, n, b * TV * VEC_LANES, w, part);
        if constexpr (rest > 0) tile<F, rest>(d, n, blocks * TV * VEC_LANES, w, part);
    }

    template <int NB, int TV> INLINE void run(const dense_columns& d) {
        vec part[SQUARES ? REGISTERS : 1];
        constexpr int whole = N / NB * NB;
        for (int n = 0; n < whole; n += NB) features<NB, TV>(d, n, d.w + (long)n * K, part);
        if constexpr (N > whole) features<N - whole, TV>(d, whole, d.w + (long)whole * K, part);
        if constexpr (SQUARES)
            for (int t = 0; t < T; t += VEC_LANES) vec_store_up_to(d.squares + t, part[t / VEC_LANES], T - t);
    }
};
