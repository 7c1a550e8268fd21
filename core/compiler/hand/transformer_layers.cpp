// The transformers by hand, the plainer baseline: every layer of the graph its own vectorised pass, nothing folded; the matrix products are register-blocked like the fused ones.
#include "polynomials.h"

constexpr int WIDTH = 64, HEADS = 4, HEAD = 16, FEATURES = 24, OUTPUTS = 12;

// y = x w + b for B rows at a time; x [T][K], w [N / 32][K][32] ([K][16] where N < 16), y [T][N].
template <int B, int T, int K, int N>
static void linear(const float* w, const float* bias, const float* x, float* y) {
    constexpr int V = N < LANES ? 1 : 2, BLOCK = V * LANES, TAIL = N < LANES ? N : LANES;
    static_assert(T % B == 0, "whole blocks of rows only");
    for (int n = 0; n < N; n += BLOCK, w += K * BLOCK)
        for (int t0 = 0; t0 < T; t0 += B) {
            Vec sums[B][V];
#pragma GCC unroll 16
            for (int t = 0; t < B; ++t)
                for (int v = 0; v < V; ++v) sums[t][v] = load(bias + n + v * LANES);
#pragma GCC unroll 4
            for (int k = 0; k < K; ++k)
#pragma GCC unroll 16
                for (int t = 0; t < B; ++t)
                    for (int v = 0; v < V; ++v) sums[t][v] = fma(same(x[(t0 + t) * K + k]), load(w + k * BLOCK + v * LANES), sums[t][v]);
#pragma GCC unroll 16
            for (int t = 0; t < B; ++t)
                for (int v = 0; v < V; ++v) store_first(y + (t0 + t) * N + n + v * LANES, sums[t][v], TAIL);
        }
}

template <int T>
static void layer_norm(const float* gamma, const float* beta, const float (*x)[WIDTH], float (*y)[WIDTH]) {
    for (int t = 0; t < T; ++t) {
        Vec total = zero(), squares = zero();
        for (int n = 0; n < WIDTH; n += LANES) total = add(total, load(&x[t][n]));
        const Vec mean = same(sum(total) / WIDTH);
        for (int n = 0; n < WIDTH; n += LANES) { const Vec d = sub(load(&x[t][n]), mean); squares = fma(d, d, squares); }
        const Vec scale = same(1.0f / std::sqrt(sum(squares) / WIDTH + 1e-5f));
        for (int n = 0; n < WIDTH; n += LANES) store(&y[t][n], fma(mul(sub(load(&x[t][n]), mean), scale), load(gamma + n), load(beta + n)));
    }
}

// softmax(q k^T / sqrt(HEAD)) v, one query at a time; keys in lanes, so k is transposed first.
template <int T>
static void attention(const float (*qkv)[3 * WIDTH], float (*out)[WIDTH]) {
    constexpr int KEYS = (T + LANES - 1) / LANES;
    for (int head = 0; head < HEADS; ++head) {
        alignas(64) float keys[HEAD][KEYS * LANES], p[KEYS * LANES];
        for (int block = 0; block < KEYS; ++block) {
            Vec k[LANES];
            for (int i = 0; i < LANES; ++i) k[i] = block * LANES + i < T ? load(&qkv[block * LANES + i][WIDTH + head * HEAD]) : zero();
            transpose(k);
            for (int d = 0; d < HEAD; ++d) store(&keys[d][block * LANES], k[d]);
        }
        for (int t = 0; t < T; ++t) {
            const float* q = &qkv[t][head * HEAD];
            Vec scores[KEYS], total = zero(), mixed = zero();
            for (int b = 0; b < KEYS; ++b) {
                scores[b] = zero();
                for (int d = 0; d < HEAD; ++d) scores[b] = fma(same(q[d]), load(&keys[d][b * LANES]), scores[b]);
                scores[b] = mul(scores[b], same(0.25f * 1.44269504f));                          // 1 / sqrt(16), and log2(e) for exp2
                store(p + b * LANES, scores[b]);
            }
            float top = p[0];
            for (int j = 1; j < T; ++j) top = p[j] > top ? p[j] : top;
            for (int b = 0; b < KEYS; ++b) {
                const Vec e = exp2(sub(scores[b], same(top)));
                store(p + b * LANES, e);
                total = add(total, load_first(p + b * LANES, T - b * LANES < LANES ? T - b * LANES : LANES));
            }
            for (int j = 0; j < T; ++j) mixed = fma(same(p[j]), load(&qkv[j][2 * WIDTH + head * HEAD]), mixed);
            store(&out[t][head * HEAD], mul(mixed, same(1.0f / sum(total))));
        }
    }
}

template <int N> static void add_to(float* h, const float* x) { for (int i = 0; i < N; i += LANES) store(h + i, add(load(h + i), load(x + i))); }
template <int N> static void gelu_of(float* x) { for (int i = 0; i < N; i += LANES) store(x + i, gelu(load(x + i))); }

template <int T, int B, int HIDDEN, int LAYERS>
static void transformer(const float* weights, const float* x, float* y) {
    alignas(64) static float h[T][WIDTH], normed[T][WIDTH], qkv[T][3 * WIDTH], mixed[T][WIDTH], hidden[T][HIDDEN];
    Pack pack{weights};
    const float *gamma, *beta, *w = pack.take(T * WIDTH);
    std::memcpy(h, w, sizeof h);                                                                // positions
    w = pack.take(FEATURES * WIDTH);
    linear<B, T, FEATURES, WIDTH>(w, pack.take(WIDTH), x, normed[0]);
    add_to<T * WIDTH>(h[0], normed[0]);
    for (int layer = 0; layer < LAYERS; ++layer) {
        gamma = pack.take(WIDTH), beta = pack.take(WIDTH), w = pack.take(WIDTH * 3 * WIDTH);
        layer_norm<T>(gamma, beta, h, normed);
        linear<B, T, WIDTH, 3 * WIDTH>(w, pack.take(3 * WIDTH), normed[0], qkv[0]);
        attention<T>(qkv, mixed);
        w = pack.take(WIDTH * WIDTH);
        linear<B, T, WIDTH, WIDTH>(w, pack.take(WIDTH), mixed[0], normed[0]);
        add_to<T * WIDTH>(h[0], normed[0]);
        gamma = pack.take(WIDTH), beta = pack.take(WIDTH), w = pack.take(WIDTH * HIDDEN);
        layer_norm<T>(gamma, beta, h, normed);
        linear<B, T, WIDTH, HIDDEN>(w, pack.take(HIDDEN), normed[0], hidden[0]);
        gelu_of<T * HIDDEN>(hidden[0]);
        w = pack.take(HIDDEN * WIDTH);
        linear<B, T, HIDDEN, WIDTH>(w, pack.take(WIDTH), hidden[0], normed[0]);
        add_to<T * WIDTH>(h[0], normed[0]);
    }
    gamma = pack.take(WIDTH), beta = pack.take(WIDTH), w = pack.take(WIDTH * LANES);
    layer_norm<T>(gamma, beta, h, normed);
    linear<B, T, WIDTH, OUTPUTS>(w, pack.take(LANES), normed[0], y);
}

extern "C" void tr_csi(const float* weights, const float* x, float* y) { transformer<14, 14, 128, 1>(weights, x, y); }
extern "C" void tr_2x32(const float* weights, const float* x, float* y) { transformer<32, 8, 256, 2>(weights, x, y); }
