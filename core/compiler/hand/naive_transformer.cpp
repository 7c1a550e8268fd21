// The transformers as anybody would write them: plain loops, layer by layer, weights [output][input] as torch has them.
#include <cmath>

constexpr int WIDTH = 64, HEADS = 4, HEAD = 16, FEATURES = 24, OUTPUTS = 12;

static const float* skip(const float* w, int n) { return w + (n + 15) / 16 * 16; }

template <int T, int K, int N>
static const float* linear(const float* w, const float* x, float* y) {
    const float* bias = skip(w, K * N);
    for (int t = 0; t < T; ++t)
        for (int n = 0; n < N; ++n) {
            float sum = bias[n];
            for (int k = 0; k < K; ++k) sum += x[t * K + k] * w[n * K + k];
            y[t * N + n] = sum;
        }
    return skip(bias, N);
}

template <int T>
static const float* layer_norm(const float* gamma, const float* x, float* y) {
    const float* beta = gamma + WIDTH;
    for (int t = 0; t < T; ++t) {
        float mean = 0, variance = 0;
        for (int n = 0; n < WIDTH; ++n) mean += x[t * WIDTH + n] / WIDTH;
        for (int n = 0; n < WIDTH; ++n) variance += (x[t * WIDTH + n] - mean) * (x[t * WIDTH + n] - mean) / WIDTH;
        for (int n = 0; n < WIDTH; ++n) y[t * WIDTH + n] = (x[t * WIDTH + n] - mean) / std::sqrt(variance + 1e-5f) * gamma[n] + beta[n];
    }
    return beta + WIDTH;
}

template <int T>
static void attention(const float* qkv, float* out) {
    for (int head = 0; head < HEADS; ++head)
        for (int t = 0; t < T; ++t) {
            const float *q = qkv + t * 3 * WIDTH + head * HEAD, *k = qkv + WIDTH + head * HEAD, *v = k + WIDTH;
            float p[T], top = -INFINITY, total = 0;
            for (int j = 0; j < T; ++j) {
                p[j] = 0;
                for (int d = 0; d < HEAD; ++d) p[j] += q[d] * k[j * 3 * WIDTH + d];
                p[j] *= 0.25f;
                if (p[j] > top) top = p[j];
            }
            for (int j = 0; j < T; ++j) total += p[j] = std::exp(p[j] - top);
            for (int d = 0; d < HEAD; ++d) {
                float sum = 0;
                for (int j = 0; j < T; ++j) sum += p[j] * v[j * 3 * WIDTH + d];
                out[t * WIDTH + head * HEAD + d] = sum / total;
            }
        }
}

template <int N> static void add(float* x, const float* y) { for (int i = 0; i < N; ++i) x[i] += y[i]; }
template <int N> static void gelu(float* x) { for (int i = 0; i < N; ++i) x[i] *= 0.5f * (1 + std::erf(x[i] * 0.70710678f)); }

template <int T, int HIDDEN, int LAYERS>
static void transformer(const float* w, const float* x, float* y) {
    static float h[T * WIDTH], a[T * WIDTH], b[T * WIDTH], qkv[T * 3 * WIDTH], hidden[T * HIDDEN];
    const float* position = w;
    w = linear<T, FEATURES, WIDTH>(skip(w, T * WIDTH), x, h);
    add<T * WIDTH>(h, position);
    for (int layer = 0; layer < LAYERS; ++layer) {
        w = layer_norm<T>(w, h, a);
        w = linear<T, WIDTH, 3 * WIDTH>(w, a, qkv);
        attention<T>(qkv, a);
        w = linear<T, WIDTH, WIDTH>(w, a, b);
        add<T * WIDTH>(h, b);
        w = layer_norm<T>(w, h, a);
        w = linear<T, WIDTH, HIDDEN>(w, a, hidden);
        gelu<T * HIDDEN>(hidden);
        w = linear<T, HIDDEN, WIDTH>(w, hidden, b);
        add<T * WIDTH>(h, b);
    }
    w = layer_norm<T>(w, h, a);
    linear<T, WIDTH, OUTPUTS>(w, a, y);
}

extern "C" void tr_csi(const float* weights, const float* x, float* y) { transformer<14, 128, 1>(weights, x, y); }
extern "C" void tr_2x32(const float* weights, const float* x, float* y) { transformer<32, 256, 2>(weights, x, y); }
