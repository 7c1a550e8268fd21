// The convolutional models by hand, the plainer baseline: direct convolution near the peak of the multipliers, channels in lanes, bias and ReLU in the epilogue.
#include "pixels.h"

// 3x3, 32 -> 32, weights [ky][kx][in][out]; PIXELS x 2 accumulators per weight vector read.
template <int PIXELS, int H, int W, class Done>
static void convolution(const float* weights, Picture<H, W>& in, const Done& done) {
    static_assert(W % PIXELS == 0, "whole rows only");
    for (int y = 0; y < H; ++y)
        for (int x0 = 0; x0 < W; x0 += PIXELS) {
            Vec sums[PIXELS][2];
#pragma GCC unroll 16
            for (int i = 0; i < PIXELS; ++i) sums[i][0] = sums[i][1] = zero();
            const float* w = weights;
            for (int tap = 0; tap < 9; ++tap) {
                const float* a = in.pixel(y + tap / 3 - 1, x0 + tap % 3 - 1);
#pragma GCC unroll 2
                for (int c = 0; c < CHANNELS; ++c, w += CHANNELS) {
                    const Vec w0 = load(w), w1 = load(w + LANES);
#pragma GCC unroll 16
                    for (int i = 0; i < PIXELS; ++i) {
                        const Vec pixel = same(a[i * CHANNELS + c]);
                        sums[i][0] = fma(pixel, w0, sums[i][0]);
                        sums[i][1] = fma(pixel, w1, sums[i][1]);
                    }
                }
            }
#pragma GCC unroll 16
            for (int i = 0; i < PIXELS; ++i) { done(y, x0 + i, 0, sums[i][0]); done(y, x0 + i, LANES, sums[i][1]); }
        }
}

constexpr int KERNEL = 9 * CHANNELS * CHANNELS;

extern "C" void cnn_chest(const float* weights, const float* x, float* y) {
    using Done = BiasRelu<12, 14>;
    static Picture<12, 14> a, b;
    Pack pack{weights};
    first_layer<12, 14, 14>(pack, x, Done{a, pack.take(CHANNELS)});
    for (int layer = 0; layer < 3; ++layer) {
        const float* bias = pack.take(CHANNELS);
        convolution<14>(pack.take(KERNEL), layer % 2 ? b : a, Done{layer % 2 ? a : b, bias});
    }
    head<12, 14, 2>(pack, b, y);
}

extern "C" void cnn_deeprx(const float* weights, const float* x, float* y) {
    constexpr int H = 14, W = 72;
    static Picture<H, W> raw, activated, inner;
    Pack pack{weights};
    const float *norm = pack.take(3 * 2 * CHANNELS), *bias = pack.take(CHANNELS);
    first_layer<H, W, 12>(pack, x, RawAndActivated<H, W>{raw, activated, bias, norm, norm + CHANNELS});
    for (int block = 0; block < 3; ++block) {
        const float* next = norm + (block + 1) * 2 * CHANNELS;
        bias = pack.take(CHANNELS);
        convolution<12>(pack.take(KERNEL), activated, BiasRelu<H, W>{inner, bias});
        if (block < 2) convolution<12>(pack.take(KERNEL), inner, AddAndActivate<H, W>{raw, activated, next, next + CHANNELS});
        else convolution<12>(pack.take(KERNEL), inner, AddOnly<H, W>{raw});
    }
    head<H, W, 4>(pack, raw, y);
}
