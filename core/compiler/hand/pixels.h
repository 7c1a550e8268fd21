// What both convolutional baselines share: pictures stored [row][column][channel] with a border of zeros, the first layer (two input channels) and the 1x1 head.
#pragma once
#include "lanes.h"

constexpr int CHANNELS = 32;

// [H + 2][W + 2][32]; the border is never written, so it stays zero. pixel(y, x) counts from the first real pixel.
template <int H, int W>
struct Picture {
    alignas(64) float at[(H + 2) * (W + 2) * CHANNELS];
    static constexpr int ROW = (W + 2) * CHANNELS;
    float* pixel(int y, int x) { return at + (y + 1) * ROW + (x + 1) * CHANNELS; }
};

// What a layer does with 16 channels of a finished pixel: the sum `y`, first channel `c`.
template <int H, int W>
struct BiasRelu {
    Picture<H, W>& out;
    const float* bias;
    void operator()(int y, int x, int c, Vec sum) const { store(out.pixel(y, x) + c, relu(add(sum, load(bias + c)))); }
};

// Pre-activation blocks: the raw sum (plus bias) for the skip connection, and relu(raw gamma + beta) for the next convolution.
template <int H, int W>
struct RawAndActivated {
    Picture<H, W>&raw, &activated;
    const float *bias, *gamma, *beta;
    void operator()(int y, int x, int c, Vec sum) const {
        const Vec r = add(sum, load(bias + c));
        store(raw.pixel(y, x) + c, r);
        store(activated.pixel(y, x) + c, relu(fma(r, load(gamma + c), load(beta + c))));
    }
};

// The same after a skip: raw += sum.
template <int H, int W>
struct AddAndActivate {
    Picture<H, W>&raw, &activated;
    const float *gamma, *beta;
    void operator()(int y, int x, int c, Vec sum) const {
        const Vec r = add(sum, load(raw.pixel(y, x) + c));
        store(raw.pixel(y, x) + c, r);
        store(activated.pixel(y, x) + c, relu(fma(r, load(gamma + c), load(beta + c))));
    }
};

template <int H, int W>
struct AddOnly {
    Picture<H, W>& raw;
    void operator()(int y, int x, int c, Vec sum) const { store(raw.pixel(y, x) + c, add(sum, load(raw.pixel(y, x) + c))); }
};

// 3x3 over two planes [2][H][W], zero border; weights [plane][ky][kx][32]. PIXELS x 2 accumulators.
template <int H, int W, int PIXELS, class Done>
HAND void first_layer(Pack& pack, const float* x, const Done& done) {
    static_assert(W % PIXELS == 0, "whole rows only");
    static float planes[2][H + 2][W + 2];
    const float* w = pack.take(2 * 9 * CHANNELS);
    for (int p = 0; p < 2; ++p)
        for (int y = 0; y < H; ++y) std::memcpy(&planes[p][y + 1][1], x + (p * H + y) * W, W * sizeof(float));
    for (int y = 0; y < H; ++y)
        for (int x0 = 0; x0 < W; x0 += PIXELS) {
            Vec sums[PIXELS][2];
            for (int i = 0; i < PIXELS; ++i) sums[i][0] = sums[i][1] = zero();
#pragma GCC unroll 18
            for (int tap = 0; tap < 18; ++tap) {
                const float* row = &planes[tap / 9][y + tap % 9 / 3][x0 + tap % 3];
                const Vec w0 = load(w + tap * CHANNELS), w1 = load(w + tap * CHANNELS + LANES);
#pragma GCC unroll 16
                for (int i = 0; i < PIXELS; ++i) {
                    sums[i][0] = fma(same(row[i]), w0, sums[i][0]);
                    sums[i][1] = fma(same(row[i]), w1, sums[i][1]);
                }
            }
#pragma GCC unroll 16
            for (int i = 0; i < PIXELS; ++i) { done(y, x0 + i, 0, sums[i][0]); done(y, x0 + i, LANES, sums[i][1]); }
        }
}

// 1x1 from 32 channels to OUT planes [OUT][H][W]: 16 pixels at a time, their partial sums added across lanes at once.
template <int H, int W, int OUT>
HAND void head(Pack& pack, Picture<H, W>& in, float* out) {
    const float *w = pack.take(OUT * CHANNELS), *bias = pack.take(OUT);
    for (int first = 0; first < H * W; first += LANES) {
        Vec part[OUT][LANES];
        const int n = H * W - first < LANES ? H * W - first : LANES;
#pragma GCC unroll 16
        for (int i = 0; i < LANES; ++i) {
            const int p = first + i < H * W ? first + i : H * W - 1;
            const Vec a = load(in.pixel(p / W, p % W)), b = load(in.pixel(p / W, p % W) + LANES);
            for (int o = 0; o < OUT; ++o) part[o][i] = fma(a, load(w + o * CHANNELS), mul(b, load(w + o * CHANNELS + LANES)));
        }
        for (int o = 0; o < OUT; ++o) store_first(out + o * H * W + first, add(sum_each(part[o]), same(bias[o])), n);
    }
}
