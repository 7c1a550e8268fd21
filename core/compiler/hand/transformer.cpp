// The transformers by hand, the better baseline: one function each, everything folded and fused.
// The LayerNorms are gone: gamma and beta lie in the next weights, every matrix that writes the residual stream is centred over its outputs (so the mean is zero), and what is left,
// 1 / std, multiplies in the next epilogue. Scale and log2(e) lie in the query weights; the key bias cancels in the softmax; the value bias lies in the projection's bias.
#include "polynomials.h"

constexpr int WIDTH = 64, HEADS = 4, HEAD = 16, FEATURES = 24, OUTPUTS = 12;
constexpr float EPSILON = 1e-5f;

// ---------------------------------------------------------------- features in lanes: for 14 tokens, rows [token][feature]

// done(token, feature, sum) for sums = x w; x [T][K] with row stride XS, w [N / 32][K][32]. T x 2 accumulators.
template <int T, int K, int N, int XS, class Done>
HAND void rows_times(const float* w, const float* x, const Done& done) {
    for (int n = 0; n < N; n += 2 * LANES, w += K * 2 * LANES) {
        Vec sums[T][2];
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) sums[t][0] = sums[t][1] = zero();
#pragma GCC unroll 4
        for (int k = 0; k < K; ++k) {
            const Vec w0 = load(w + k * 2 * LANES), w1 = load(w + k * 2 * LANES + LANES);
#pragma GCC unroll 16
            for (int t = 0; t < T; ++t) {
                const Vec a = same(x[t * XS + k]);
                sums[t][0] = fma(a, w0, sums[t][0]);
                sums[t][1] = fma(a, w1, sums[t][1]);
            }
        }
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) { done(t, n, sums[t][0]); done(t, n + LANES, sums[t][1]); }
    }
}

// The residual stream of 14 tokens and, per token, 1 / std of its (zero mean) features.
template <int T>
struct Stream {
    alignas(64) float at[T][WIDTH], scale[LANES];
    Vec squares[LANES];
    void clear() { for (Vec& s : squares) s = zero(); }
    void put(int t, int n, Vec h) {
        store(&at[t][n], h);
        squares[t] = fma(h, h, squares[t]);
    }
    void close() { store(scale, quotient(same(1.0f), root(fma(sum_each(squares), same(1.0f / WIDTH), same(EPSILON))))); }
};

// One head: rows of q, k, v at `qkv` (stride 192) -> `out` (stride 64). Queries in lanes, so that maximum and sum need no shuffle.
template <int T>
HAND void attend_rows(const float* qkv, float* out) {
    constexpr int S = 3 * WIDTH;
    alignas(64) float p[T][LANES], inverse[LANES];
    Vec q[HEAD], scores[T];
#pragma GCC unroll 16
    for (int t = 0; t < LANES; ++t) q[t] = t < T ? load(qkv + t * S) : zero();
    transpose(q);
#pragma GCC unroll 16
    for (int j = 0; j < T; ++j) scores[j] = mul(q[0], same(qkv[j * S + WIDTH]));
#pragma GCC unroll 16
    for (int d = 1; d < HEAD; ++d)
#pragma GCC unroll 16
        for (int j = 0; j < T; ++j) scores[j] = fma(q[d], same(qkv[j * S + WIDTH + d]), scores[j]);
    Vec top = scores[0], total = zero();
    for (int j = 1; j < T; ++j) top = max(top, scores[j]);
#pragma GCC unroll 16
    for (int j = 0; j < T; ++j) {
        const Vec e = exp2(sub(scores[j], top));
        total = add(total, e);
        store(p[j], e);
    }
    store(inverse, quotient(same(1.0f), total));
    Vec mixed[T];
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) mixed[t] = zero();
#pragma GCC unroll 16
    for (int j = 0; j < T; ++j) {
        const Vec v = load(qkv + j * S + 2 * WIDTH);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) mixed[t] = fma(v, same(p[j][t]), mixed[t]);
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) store(out + t * WIDTH, mul(mixed[t], same(inverse[t])));
}

extern "C" void tr_csi(const float* weights, const float* x, float* y) {
    constexpr int T = 14, HIDDEN = 128;
    static Stream<T> h;
    alignas(64) static float qkv[T][3 * WIDTH], mixed[T][WIDTH], hidden[T][HIDDEN];
    Pack pack{weights};
    const float *w = pack.take(FEATURES * WIDTH), *bias = pack.take(T * WIDTH);                                        // the bias holds the positions
    h.clear();
    rows_times<T, FEATURES, WIDTH, FEATURES>(w, x, [&](int t, int n, Vec sum) { h.put(t, n, add(sum, load(bias + t * WIDTH + n))); });
    h.close();
    w = pack.take(WIDTH * 3 * WIDTH), bias = pack.take(3 * WIDTH);
    rows_times<T, WIDTH, 3 * WIDTH, WIDTH>(w, h.at[0], [&](int t, int n, Vec sum) { store(&qkv[t][n], fma(sum, same(h.scale[t]), load(bias + n))); });
    for (int head = 0; head < HEADS; ++head) attend_rows<T>(&qkv[0][head * HEAD], &mixed[0][head * HEAD]);
    w = pack.take(WIDTH * WIDTH), bias = pack.take(WIDTH);
    h.clear();
    rows_times<T, WIDTH, WIDTH, WIDTH>(w, mixed[0], [&](int t, int n, Vec sum) { h.put(t, n, add(add(sum, load(bias + n)), load(&h.at[t][n]))); });
    h.close();
    w = pack.take(WIDTH * HIDDEN), bias = pack.take(HIDDEN);
    rows_times<T, WIDTH, HIDDEN, WIDTH>(w, h.at[0], [&](int t, int n, Vec sum) { store(&hidden[t][n], gelu(fma(sum, same(h.scale[t]), load(bias + n)))); });
    w = pack.take(HIDDEN * WIDTH), bias = pack.take(WIDTH);
    h.clear();
    rows_times<T, HIDDEN, WIDTH, HIDDEN>(w, hidden[0], [&](int t, int n, Vec sum) { h.put(t, n, add(add(sum, load(bias + n)), load(&h.at[t][n]))); });
    h.close();
    w = pack.take(WIDTH * LANES), bias = pack.take(LANES);
    Vec sums[T];
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) sums[t] = zero();
#pragma GCC unroll 4
    for (int k = 0; k < WIDTH; ++k)
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) sums[t] = fma(same(h.at[t][k]), load(w + k * LANES), sums[t]);
    for (int t = 0; t < T; ++t) store_first(y + t * OUTPUTS, fma(sums[t], same(h.scale[t]), load(bias)), OUTPUTS);
}

// ---------------------------------------------------------------- tokens in lanes: for 32 tokens, columns [feature][token]

constexpr int TOKENS = 32, TV = TOKENS / LANES, HIDDEN = 256;

// done(feature, sums of all tokens) for sums = w x; x [K][32], w [N / B][K][B] single numbers. B x 2 accumulators.
template <int K, int N, int B, class Done>
HAND void columns_times(const float* w, const float* x, const Done& done) {
    for (int n = 0; n < N; n += B, w += K * B) {
        Vec sums[B][TV];
#pragma GCC unroll 16
        for (int b = 0; b < B; ++b) sums[b][0] = sums[b][1] = zero();
#pragma GCC unroll 4
        for (int k = 0; k < K; ++k) {
            const Vec x0 = load(x + k * TOKENS), x1 = load(x + k * TOKENS + LANES);
#pragma GCC unroll 16
            for (int b = 0; b < B; ++b) {
                const Vec a = same(w[k * B + b]);
                sums[b][0] = fma(a, x0, sums[b][0]);
                sums[b][1] = fma(a, x1, sums[b][1]);
            }
        }
#pragma GCC unroll 16
        for (int b = 0; b < B; ++b) done(n + b, sums[b]);
    }
}

// The residual stream [64][32] and 1 / std of every token.
struct Columns {
    alignas(64) float at[WIDTH * TOKENS];
    Vec squares[TV], scale[TV];
    void clear() { squares[0] = squares[1] = zero(); }
    void put(int n, int v, Vec h) {
        store(at + n * TOKENS + v * LANES, h);
        squares[v] = fma(h, h, squares[v]);
    }
    void close() { for (int v = 0; v < TV; ++v) scale[v] = quotient(same(1.0f), root(fma(squares[v], same(1.0f / WIDTH), same(EPSILON)))); }
};

// One head of 16 features: columns of q, k, v -> out, all [16][32].
HAND void attend_columns(const float* q, const float* k, const float* v, float* out) {
    constexpr int B = 8;
    alignas(64) float p[TOKENS][TOKENS];
    Vec top[TV] = {same(-INFINITY), same(-INFINITY)}, total[TV] = {zero(), zero()};
    for (int j = 0; j < TOKENS; j += B) {
        Vec scores[B][TV];
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b) scores[b][0] = scores[b][1] = zero();
#pragma GCC unroll 16
        for (int d = 0; d < HEAD; ++d) {
            const Vec q0 = load(q + d * TOKENS), q1 = load(q + d * TOKENS + LANES);
#pragma GCC unroll 8
            for (int b = 0; b < B; ++b) {
                const Vec a = same(k[d * TOKENS + j + b]);
                scores[b][0] = fma(a, q0, scores[b][0]);
                scores[b][1] = fma(a, q1, scores[b][1]);
            }
        }
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b)
            for (int i = 0; i < TV; ++i) { top[i] = max(top[i], scores[b][i]); store(&p[j + b][i * LANES], scores[b][i]); }
    }
#pragma GCC unroll 4
    for (int j = 0; j < TOKENS; ++j)
        for (int i = 0; i < TV; ++i) {
            const Vec e = exp2(sub(load(&p[j][i * LANES]), top[i]));
            total[i] = add(total[i], e);
            store(&p[j][i * LANES], e);
        }
    for (int i = 0; i < TV; ++i) total[i] = quotient(same(1.0f), total[i]);
    for (int d = 0; d < HEAD; d += B) {
        Vec mixed[B][TV];
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b) mixed[b][0] = mixed[b][1] = zero();
#pragma GCC unroll 4
        for (int j = 0; j < TOKENS; ++j) {
            const Vec p0 = load(p[j]), p1 = load(&p[j][LANES]);
#pragma GCC unroll 8
            for (int b = 0; b < B; ++b) {
                const Vec a = same(v[(d + b) * TOKENS + j]);
                mixed[b][0] = fma(a, p0, mixed[b][0]);
                mixed[b][1] = fma(a, p1, mixed[b][1]);
            }
        }
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b)
            for (int i = 0; i < TV; ++i) store(out + (d + b) * TOKENS + i * LANES, mul(mixed[b][i], total[i]));
    }
}

// [32 tokens][24 features] -> [24][32].
HAND void to_columns(const float* x, float* out) {
    for (int t = 0; t < TOKENS; t += LANES)
        for (int f = 0; f < FEATURES; f += LANES) {
            const int n = FEATURES - f < LANES ? FEATURES - f : LANES;
            Vec a[LANES];
            for (int i = 0; i < LANES; ++i) a[i] = load_first(x + (t + i) * FEATURES + f, n);
            transpose(a);
            for (int i = 0; i < n; ++i) store(out + (f + i) * TOKENS + t, a[i]);
        }
}

extern "C" void tr_2x32(const float* weights, const float* x, float* y) {
    static Columns h;
    alignas(64) static float in[FEATURES * TOKENS], qkv[3 * WIDTH * TOKENS], mixed[WIDTH * TOKENS], hidden[HIDDEN * TOKENS];
    Pack pack{weights};
    const float *w = pack.take(FEATURES * WIDTH), *bias = pack.take(WIDTH * TOKENS);
    to_columns(x, in);
    h.clear();
    columns_times<FEATURES, WIDTH, 8>(w, in, [&](int n, const Vec (&sum)[TV]) {
        for (int v = 0; v < TV; ++v) h.put(n, v, add(sum[v], load(bias + n * TOKENS + v * LANES)));
    });
    const auto to_stream = [&](int n, const Vec (&sum)[TV]) {
        for (int v = 0; v < TV; ++v) h.put(n, v, add(add(sum[v], same(bias[n])), load(h.at + n * TOKENS + v * LANES)));
    };
    for (int layer = 0; layer < 2; ++layer) {
        h.close();
        w = pack.take(WIDTH * 3 * WIDTH), bias = pack.take(3 * WIDTH);
        columns_times<WIDTH, 3 * WIDTH, 12>(w, h.at, [&](int n, const Vec (&sum)[TV]) {
            for (int v = 0; v < TV; ++v) store(qkv + n * TOKENS + v * LANES, fma(sum[v], h.scale[v], same(bias[n])));
        });
        for (int f = 0; f < WIDTH; f += HEAD)
            attend_columns(qkv + f * TOKENS, qkv + (WIDTH + f) * TOKENS, qkv + (2 * WIDTH + f) * TOKENS, mixed + f * TOKENS);
        w = pack.take(WIDTH * WIDTH), bias = pack.take(WIDTH);
        h.clear();
        columns_times<WIDTH, WIDTH, 8>(w, mixed, to_stream);
        h.close();
        w = pack.take(WIDTH * HIDDEN), bias = pack.take(HIDDEN);
        columns_times<WIDTH, HIDDEN, 8>(w, h.at, [&](int n, const Vec (&sum)[TV]) {
            for (int v = 0; v < TV; ++v) store(hidden + n * TOKENS + v * LANES, gelu(fma(sum[v], h.scale[v], same(bias[n]))));
        });
        w = pack.take(HIDDEN * WIDTH), bias = pack.take(WIDTH);
        h.clear();
        columns_times<HIDDEN, WIDTH, 8>(w, hidden, to_stream);
    }
    h.close();
    w = pack.take(WIDTH * OUTPUTS), bias = pack.take(OUTPUTS);
    Vec out[TV][LANES];
    columns_times<WIDTH, OUTPUTS, OUTPUTS>(w, h.at, [&](int n, const Vec (&sum)[TV]) {
        for (int v = 0; v < TV; ++v) out[v][n] = fma(sum[v], h.scale[v], same(bias[n]));
    });
    for (int v = 0; v < TV; ++v) {
        for (int i = OUTPUTS; i < LANES; ++i) out[v][i] = zero();
        transpose(out[v]);
        for (int i = 0; i < LANES; ++i) store_first(y + (v * LANES + i) * OUTPUTS, out[v][i], OUTPUTS);
    }
}
