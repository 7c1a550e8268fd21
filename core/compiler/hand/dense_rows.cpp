// Multilayer perceptrons by hand, the plainer baseline: weights stay [output][input] as ONNX has them, sixteen dot products at once, then added across lanes.
#include "lanes.h"

// y = act(w x + b): x [IN rounded up to 16] with zeros behind, w [OUT rounded up to 16][IN rounded up to 16], y likewise.
template <int IN, int OUT, bool RELU>
HAND void dense(Pack& pack, const float* x, float* y) {
    constexpr int K = (IN + LANES - 1) / LANES * LANES, N = (OUT + LANES - 1) / LANES * LANES;
    const float *w = pack.take(N * K), *bias = pack.take(N);
    for (int n = 0; n < N; n += LANES) {
        Vec dots[LANES];
        for (int i = 0; i < LANES; ++i) dots[i] = mul(load(x), load(w + (n + i) * K));
        for (int k = LANES; k < K; k += LANES)
            for (int i = 0; i < LANES; ++i) dots[i] = fma(load(x + k), load(w + (n + i) * K + k), dots[i]);
        const Vec out = add(sum_each(dots), load(bias + n));
        store(y + n, RELU ? relu(out) : out);
    }
}

template <int IN, int HIDDEN, int OUT>
HAND void perceptron(const float* weights, const float* x, float* y) {
    alignas(64) float in[(IN + LANES - 1) / LANES * LANES] = {}, first[HIDDEN], second[HIDDEN], out[(OUT + LANES - 1) / LANES * LANES];
    Pack pack{weights};
    std::memcpy(in, x, IN * sizeof(float));
    dense<IN, HIDDEN, true>(pack, in, first);
    dense<HIDDEN, HIDDEN, true>(pack, first, second);
    dense<HIDDEN, OUT, false>(pack, second, out);
    std::memcpy(y, out, OUT * sizeof(float));
}

extern "C" void mlp_beam(const float* weights, const float* x, float* y) { perceptron<24, 64, 12>(weights, x, y); }
extern "C" void mlp_la(const float* weights, const float* x, float* y) { perceptron<64, 128, 32>(weights, x, y); }
