// The convolutional models as anybody would write them: plain loops over planes [channel][row][column], weights as ONNX has them.

template <int IN, int OUT, int H, int W, int K>
static const float* convolution(const float* w, const float* x, float* y) {
    const float* bias = w + (OUT * IN * K * K + 15) / 16 * 16;
    for (int o = 0; o < OUT; ++o)
        for (int r = 0; r < H; ++r)
            for (int c = 0; c < W; ++c) {
                float sum = bias[o];
                for (int i = 0; i < IN; ++i)
                    for (int ky = 0; ky < K; ++ky)
                        for (int kx = 0; kx < K; ++kx) {
                            const int yy = r + ky - K / 2, xx = c + kx - K / 2;
                            if (yy >= 0 && yy < H && xx >= 0 && xx < W) sum += w[((o * IN + i) * K + ky) * K + kx] * x[(i * H + yy) * W + xx];
                        }
                y[(o * H + r) * W + c] = sum;
            }
    return bias + (OUT + 15) / 16 * 16;
}

template <int N> static void relu(const float* x, float* y) { for (int i = 0; i < N; ++i) y[i] = x[i] > 0 ? x[i] : 0; }
template <int N> static void add(float* x, const float* y) { for (int i = 0; i < N; ++i) x[i] += y[i]; }

// BatchNormalization as scale [C] and shift [C], then ReLU.
template <int C, int N>
static void normalise(const float* norm, const float* x, float* y) {
    for (int c = 0; c < C; ++c)
        for (int i = 0; i < N; ++i) {
            const float v = x[c * N + i] * norm[c] + norm[C + c];
            y[c * N + i] = v > 0 ? v : 0;
        }
}

extern "C" void cnn_chest(const float* weights, const float* x, float* y) {
    constexpr int H = 12, W = 14;
    static float a[32 * H * W], b[32 * H * W];
    const float* w = convolution<2, 32, H, W, 3>(weights, x, a);
    relu<32 * H * W>(a, a);
    for (int layer = 0; layer < 3; ++layer) {
        w = convolution<32, 32, H, W, 3>(w, a, b);
        relu<32 * H * W>(b, a);
    }
    convolution<32, 2, H, W, 1>(w, a, y);
}

extern "C" void cnn_deeprx(const float* weights, const float* x, float* y) {
    constexpr int H = 14, W = 72, N = 32 * H * W;
    static float h[N], a[N], b[N];
    const float* w = convolution<2, 32, H, W, 3>(weights + 3 * 2 * 32, x, h);
    for (int block = 0; block < 3; ++block) {
        normalise<32, H * W>(weights + block * 2 * 32, h, a);
        w = convolution<32, 32, H, W, 3>(w, a, b);
        relu<N>(b, a);
        w = convolution<32, 32, H, W, 3>(w, a, b);
        add<N>(h, b);
    }
    convolution<32, 4, H, W, 1>(w, h, y);
}
