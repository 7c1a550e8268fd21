// y[m][n] = put(sum over k of a[m][k] b[k][n]) in blocks of R rows and V vectors; any sizes, the last columns masked.
// needs: map_vec.h

// a walks a_row per row and a_step per k, b lies b_row apart per k; `last` lanes of the last vector count. put(row, column, value, lanes)
template <int R, int V, bool WHOLE, class Put>
INLINE void generic_block(const float* a, long a_row, long a_step, const float* b, long b_row, int depth, int last, int m, int n, const Put& put) {
    vec sum[R][V] = {};
    for (int k = 0; k < depth; ++k) {
        vec w[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) w[v] = WHOLE || v < V - 1 ? vec_load(b + k * b_row + v * VEC_LANES) : vec_load_first(b + k * b_row + v * VEC_LANES, last);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const vec x = vec_set(a[r * a_row + k * a_step]);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] = vec_fma(x, w[v], sum[r][v]);
        }
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) put(m + r, n + v * VEC_LANES, sum[r][v], WHOLE || v < V - 1 ? VEC_LANES : last);
}

// R rows over all N columns: V vectors at a time, then one by one, the last masked.
template <int R, int V, int N, class Put>
INLINE void generic_rows(const float* a, long a_row, long a_step, const float* b, long b_row, int depth, int m, const Put& put) {
    int n = 0;
    for (; n + V * VEC_LANES <= N; n += V * VEC_LANES) generic_block<R, V, true>(a, a_row, a_step, b + n, b_row, depth, VEC_LANES, m, n, put);
    for (; n + VEC_LANES <= N; n += VEC_LANES) generic_block<R, 1, true>(a, a_row, a_step, b + n, b_row, depth, VEC_LANES, m, n, put);
    if (N % VEC_LANES) generic_block<R, 1, false>(a, a_row, a_step, b + n, b_row, depth, N % VEC_LANES, m, n, put);
}

template <int M, int N, class Put>
INLINE void generic_matmul(const float* a, long a_row, long a_step, const float* b, long b_row, int depth, const Put& put) {
    constexpr int R = M < 6 ? (M < 1 ? 1 : M) : 6, V = M < 3 ? 4 : 2;
    int m = 0;
    for (; m + R <= M; m += R) generic_rows<R, V, N>(a + m * a_row, a_row, a_step, b, b_row, depth, m, put);
    if constexpr (M % R != 0) generic_rows<(M % R != 0 ? M % R : 1), V, N>(a + m * a_row, a_row, a_step, b, b_row, depth, m, put);
}
