// Small matrix product with features in lanes: rows of tokens times a constant matrix, the epilogue in the same registers.
// needs: dense_epilogue.h

// acc[i][j] = sum over k of x[i][k] w[k][j]: TM rows by NV registers, CHAINS partial sums where TM NV alone would wait for each other.
template <int TM, int NV, int CHAINS, int K, int STRIDE> INLINE void dense_rows_block(const float* x, const float* w, vec (&acc)[TM][NV]) {
    vec part[CHAINS][TM][NV] = {};
    constexpr int whole = K / CHAINS * CHAINS;
#pragma GCC unroll 4
    for (int k = 0; k < whole; k += CHAINS)
#pragma GCC unroll 8
        for (int c = 0; c < CHAINS; ++c) {
            vec b[NV];
#pragma GCC unroll 8
            for (int j = 0; j < NV; ++j) b[j] = vec_load(w + ((k + c) * NV + j) * VEC_LANES);
#pragma GCC unroll 32
            for (int i = 0; i < TM; ++i) {
                const vec a = vec_set(x[i * STRIDE + k + c]);
#pragma GCC unroll 8
                for (int j = 0; j < NV; ++j) part[c][i][j] = vec_fma(a, b[j], part[c][i][j]);
            }
        }
#pragma GCC unroll 8
    for (int k = whole; k < K; ++k)
#pragma GCC unroll 32
        for (int i = 0; i < TM; ++i)
#pragma GCC unroll 8
            for (int j = 0; j < NV; ++j) part[0][i][j] = vec_fma(vec_set(x[i * STRIDE + k]), vec_load(w + (k * NV + j) * VEC_LANES), part[0][i][j]);
#pragma GCC unroll 32
    for (int i = 0; i < TM; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            acc[i][j] = part[0][i][j];
#pragma GCC unroll 8
            for (int c = 1; c < CHAINS; ++c) acc[i][j] = acc[i][j] + part[c][i][j];
        }
}

// The plain form, for all t < T, n < N: y[t][n] = EPILOGUE(sum over k of x[t][k] w[k][n], scale[t], bias[n], residual[t][n]);
// squares[t] = sum over n of y[t][n]^2. Weights lie [N / B][K][B] with B = NV VEC_LANES (the last block as wide as whole registers need).
template <class EPILOGUE, bool SQUARES, int T, int K, int N> struct dense_rows {
    const float *x, *w, *scale, *bias, *residual;
    float *y, *squares;

    template <int TM, int NV, int CHAINS> INLINE void tile(const dense_rows& d, int t, int n, const float* w, vec* part) {
        vec acc[TM][NV];
        dense_rows_block<TM, NV, CHAINS, K, K>(d.x + t * K, w, acc);
#pragma GCC unroll 32
        for (int i = 0; i < TM; ++i)
#pragma GCC unroll 8
            for (int j = 0; j < NV; ++j) {
                const int column = n + j * VEC_LANES;
                const long at = (long)(t + i) * N + column;
                const int count = N - column < VEC_LANES ? N - column : VEC_LANES;
                const bool full = N % VEC_LANES == 0 || count == VEC_LANES;
                vec bias{}, residual{};
                if (EPILOGUE::biased) bias = full ? vec_load(d.bias + column) : vec_load_first(d.bias + column, count);
                if (EPILOGUE::residual) residual = full ? vec_load(d.residual + at) : vec_load_first(d.residual + at, count);
                const vec r = EPILOGUE::of(acc[i][j], EPILOGUE::scaled ? vec_set(d.scale[t + i]) : vec{}, bias, residual);
                if (full) vec_store(d.y + at, r);
                else vec_store_first(d.y + at, r, count);
                if (SQUARES) {
                    const vec inside = full ? r : vec_first(r, count);
                    part[t + i] = n + j ? vec_fma(inside, inside, part[t + i]) : inside * inside;
                }
            }
    }

    template <int TM, int NV, int CHAINS> INLINE void columns(const dense_rows& d, int n, const float* w, vec* part) {
        constexpr int whole = T / TM * TM, rest = T - whole;
        if constexpr (whole == TM) tile<TM, NV, CHAINS>(d, 0, n, w, part);
        else for (int t = 0; t < whole; t += TM) tile<TM, NV, CHAINS>(d, t, n, w, part);
        if constexpr (rest > 0) tile<rest, NV, CHAINS>(d, whole, n, w, part);
    }

    template <int TM, int NV, int CHAINS> INLINE void run(const dense_rows& d) {
        constexpr int registers = (N + VEC_LANES - 1) / VEC_LANES, blocks = registers / NV, rest = registers % NV;
        vec part[SQUARES ? (T + VEC_LANES - 1) / VEC_LANES * VEC_LANES : 1];
        for (int b = 0; b < blocks; ++b) columns<TM, NV, CHAINS>(d, b * NV * VEC_LANES, d.w + (long)b * NV * VEC_LANES * K, part);
        if constexpr (rest > 0) columns<TM, rest, CHAINS>(d, blocks * NV * VEC_LANES, d.w + (long)blocks * NV * VEC_LANES * K, part);
        if constexpr (SQUARES) sums(part, d.squares);
    }

    // squares[t] = sum of the lanes of part[t]: VEC_LANES of them at a time, transposed and added
    INLINE void sums(vec* part, float* squares) {
        for (int t = T; t < (T + VEC_LANES - 1) / VEC_LANES * VEC_LANES; ++t) part[t] = vec{};
        for (int t = 0; t < T; t += VEC_LANES) {
            vec block[VEC_LANES];
#pragma GCC unroll 16
            for (int i = 0; i < VEC_LANES; ++i) block[i] = part[t + i];
            vec_transpose(block);
#pragma GCC unroll 4
            for (int half = VEC_LANES / 2; half > 0; half /= 2)
#pragma GCC unroll 8
                for (int i = 0; i < half; ++i) block[i] = block[i] + block[i + half];
            if (T - t >= VEC_LANES) vec_store(squares + t, block[0]);
            else vec_store_first(squares + t, block[0], T - t);
        }
    }
};
