// Multilayer perceptrons by hand: outputs in lanes, weights repacked [input][output], eight accumulators, ReLU in the epilogue.
#include "lanes.h"

// y = act(x w + b): x [IN], w [IN][OUT rounded up to 16], y [OUT]. Eight chains of FMAs hide its latency of four cycles.
template <int IN, int OUT, bool RELU>
HAND void dense(Pack& pack, const float* x, float* y) {
    constexpr int V = (OUT + LANES - 1) / LANES, SETS = V >= 8 ? 1 : 8 / V;
    const float *w = pack.take(IN * V * LANES), *bias = pack.take(V * LANES);
    Vec sums[SETS][V];
    for (int v = 0; v < V; ++v) {
        sums[0][v] = load(bias + v * LANES);
        for (int s = 1; s < SETS; ++s) sums[s][v] = zero();
    }
#pragma GCC unroll 128
    for (int k = 0; k < IN; ++k)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sums[k % SETS][v] = fma(same(x[k]), load(w + (k * V + v) * LANES), sums[k % SETS][v]);
    for (int gap = SETS / 2; gap; gap /= 2)
        for (int s = 0; s < gap; ++s)
            for (int v = 0; v < V; ++v) sums[s][v] = add(sums[s][v], sums[s + gap][v]);
    for (int v = 0; v < V; ++v) {
        const Vec out = RELU ? relu(sums[0][v]) : sums[0][v];
        if ((v + 1) * LANES <= OUT) store(y + v * LANES, out);
        else store_first(y + v * LANES, out, OUT % LANES);
    }
}

template <int IN, int HIDDEN, int OUT>
HAND void perceptron(const float* weights, const float* x, float* y) {
    alignas(64) float first[HIDDEN], second[HIDDEN];
    Pack pack{weights};
    dense<IN, HIDDEN, true>(pack, x, first);
    dense<HIDDEN, HIDDEN, true>(pack, first, second);
    dense<HIDDEN, OUT, false>(pack, second, y);
}

extern "C" void mlp_beam(const float* weights, const float* x, float* y) { perceptron<24, 64, 12>(weights, x, y); }
extern "C" void mlp_la(const float* weights, const float* x, float* y) { perceptron<64, 128, 32>(weights, x, y); }
