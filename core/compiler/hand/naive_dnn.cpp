// Multilayer perceptrons as anybody would write them: plain loops, weights [output][input] as ONNX has them.

template <int IN, int OUT, bool RELU>
static const float* dense(const float* w, const float* x, float* y) {
    const float* bias = w + (IN * OUT + 15) / 16 * 16;
    for (int n = 0; n < OUT; ++n) {
        float sum = bias[n];
        for (int k = 0; k < IN; ++k) sum += w[n * IN + k] * x[k];
        y[n] = RELU && sum < 0 ? 0 : sum;
    }
    return bias + (OUT + 15) / 16 * 16;
}

template <int IN, int HIDDEN, int OUT>
static void perceptron(const float* w, const float* x, float* y) {
    float first[HIDDEN], second[HIDDEN];
    w = dense<IN, HIDDEN, true>(w, x, first);
    w = dense<HIDDEN, HIDDEN, true>(w, first, second);
    dense<HIDDEN, OUT, false>(w, second, y);
}

extern "C" void mlp_beam(const float* weights, const float* x, float* y) { perceptron<24, 64, 12>(weights, x, y); }
extern "C" void mlp_la(const float* weights, const float* x, float* y) { perceptron<64, 128, 32>(weights, x, y); }
