// The convolutional models by hand, the better baseline: Winograd in rectangles that tile the picture without overhang, channels in lanes throughout.
// A tile of MY x MX outputs needs (MY + 2)(MX + 2) multiplications per channel pair where direct convolution needs 9 MY MX. Points 0, +-1, +-2, inf (m = 4), with +-1/2 (m = 6).
#include "pixels.h"

// One dimension of the transforms. Rows +p and -p share an even part e and an odd part o.
template <int M> struct Winograd;

template <> struct Winograd<4> {
    static constexpr int N = 6;
    HAND void input(const Vec (&d)[6], Vec (&t)[6]) {
        t[0] = fma(same(4.0f), d[0], fnma(same(5.0f), d[2], d[4]));
        t[5] = fma(same(4.0f), d[1], fnma(same(5.0f), d[3], d[5]));
        const Vec e1 = fnma(same(4.0f), d[2], d[4]), o1 = fnma(same(4.0f), d[1], d[3]);
        t[1] = add(e1, o1); t[2] = sub(e1, o1);
        const Vec e2 = sub(d[4], d[2]), o2 = sub(d[3], d[1]);
        t[3] = fma(same(2.0f), o2, e2); t[4] = fnma(same(2.0f), o2, e2);
    }
    HAND void output(const Vec (&m)[6], Vec (&y)[4]) {
        const Vec s1 = add(m[1], m[2]), d1 = sub(m[1], m[2]), s2 = add(m[3], m[4]), d2 = sub(m[3], m[4]);
        y[0] = add(m[0], add(s1, s2));
        y[1] = fma(same(2.0f), d2, d1);
        y[2] = fma(same(4.0f), s2, s1);
        y[3] = add(m[5], fma(same(8.0f), d2, d1));
    }
};

template <> struct Winograd<6> {
    static constexpr int N = 8;
    HAND void input(const Vec (&d)[8], Vec (&t)[8]) {
        t[0] = fma(same(5.25f), sub(d[4], d[2]), sub(d[0], d[6]));
        t[7] = fma(same(5.25f), sub(d[3], d[5]), sub(d[7], d[1]));
        const Vec e1 = fnma(same(4.25f), d[4], add(d[2], d[6])), o1 = fnma(same(4.25f), d[3], add(d[1], d[5]));
        t[1] = add(e1, o1); t[2] = sub(e1, o1);
        const Vec e2 = fma(same(0.25f), d[2], fnma(same(1.25f), d[4], d[6])), o2 = fma(same(0.5f), d[1], fnma(same(2.5f), d[3], add(d[5], d[5])));
        t[3] = add(e2, o2); t[4] = sub(e2, o2);
        const Vec e3 = fma(same(4.0f), d[2], fnma(same(5.0f), d[4], d[6])), o3 = fma(same(0.5f), d[5], fnma(same(2.5f), d[3], add(d[1], d[1])));
        t[5] = add(e3, o3); t[6] = sub(e3, o3);
    }
    HAND void output(const Vec (&m)[8], Vec (&y)[6]) {
        const Vec s1 = add(m[1], m[2]), d1 = sub(m[1], m[2]), s2 = add(m[3], m[4]), d2 = sub(m[3], m[4]), s3 = add(m[5], m[6]), d3 = sub(m[5], m[6]);
        y[0] = add(add(m[0], s1), add(s2, s3));
        y[1] = fma(same(0.5f), d3, fma(same(2.0f), d2, d1));
        y[2] = fma(same(0.25f), s3, fma(same(4.0f), s2, s1));
        y[3] = fma(same(0.125f), d3, fma(same(8.0f), d2, d1));
        y[4] = fma(same(0.0625f), s3, fma(same(16.0f), s2, s1));
        y[5] = add(m[7], fma(same(0.03125f), d3, fma(same(32.0f), d2, d1)));
    }
};

// Input patch [NY][NX] of 16 channels at `in` (row stride ROW) -> out[point] at distance STEP.
template <int MY, int MX, int ROW, int STEP>
HAND void transform_input(const float* in, float* out) {
    constexpr int NY = MY + 2, NX = MX + 2;
    Vec half[NY][NX];
#pragma GCC unroll 8
    for (int x = 0; x < NX; ++x) {
        Vec d[NY], t[NY];
        for (int y = 0; y < NY; ++y) d[y] = load(in + y * ROW + x * CHANNELS);
        Winograd<MY>::input(d, t);
        for (int y = 0; y < NY; ++y) half[y][x] = t[y];
    }
#pragma GCC unroll 8
    for (int y = 0; y < NY; ++y) {
        Vec t[NX];
        Winograd<MX>::input(half[y], t);
        for (int x = 0; x < NX; ++x) store(out + (y * NX + x) * STEP, t[x]);
    }
}

// Sums of the points at `in` (distance STEP) -> MY x MX pixels of 16 channels, handed to done(y, x, sum).
template <int MY, int MX, int STEP, class Done>
HAND void transform_output(const float* in, const Done& done) {
    constexpr int NY = MY + 2, NX = MX + 2;
    Vec half[MY][NX];
#pragma GCC unroll 8
    for (int x = 0; x < NX; ++x) {
        Vec m[NY], t[MY];
        for (int y = 0; y < NY; ++y) m[y] = load(in + (y * NX + x) * STEP);
        Winograd<MY>::output(m, t);
        for (int y = 0; y < MY; ++y) half[y][x] = t[y];
    }
#pragma GCC unroll 8
    for (int y = 0; y < MY; ++y) {
        Vec t[MX];
        Winograd<MX>::output(half[y], t);
        for (int x = 0; x < MX; ++x) done(y, x, t[x]);
    }
}

// One point: v [TILES][32] becomes v u, u [32][32], in place; TILES x 2 accumulators, the next point's weights fetched meanwhile.
template <int TILES>
HAND void multiply_point(float* v, const float* u) {
    Vec sums[TILES][2];
#pragma GCC unroll 16
    for (int t = 0; t < TILES; ++t) sums[t][0] = sums[t][1] = zero();
#pragma GCC unroll 4
    for (int k = 0; k < CHANNELS; ++k) {
        const Vec u0 = load(u + k * CHANNELS), u1 = load(u + k * CHANNELS + LANES);
#ifndef PLAIN_LOOPS
        _mm_prefetch(u + (CHANNELS + k) * CHANNELS, _MM_HINT_T0);
        _mm_prefetch(u + (CHANNELS + k) * CHANNELS + LANES, _MM_HINT_T0);
#endif
#pragma GCC unroll 16
        for (int t = 0; t < TILES; ++t) {
            const Vec a = same(v[t * CHANNELS + k]);
            sums[t][0] = fma(a, u0, sums[t][0]);
            sums[t][1] = fma(a, u1, sums[t][1]);
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < TILES; ++t) { store(v + t * CHANNELS, sums[t][0]); store(v + t * CHANNELS + LANES, sums[t][1]); }
}

// ROWS x COLUMNS tiles of MY x MX outputs from (y0, x0), DX columns apart; weights [point][32 in][32 out].
template <int MY, int MX, int ROWS, int COLUMNS, int DX, int H, int W, class Done>
HAND void tiles(const float* u, Picture<H, W>& in, int y0, int x0, const Done& done) {
    constexpr int POINTS = (MY + 2) * (MX + 2), TILES = ROWS * COLUMNS, STEP = TILES * CHANNELS;
    static float v[POINTS * STEP] __attribute__((aligned(64)));
    for (int t = 0; t < TILES; ++t)
        for (int c = 0; c < CHANNELS; c += LANES)
            transform_input<MY, MX, Picture<H, W>::ROW, STEP>(in.pixel(y0 + t / COLUMNS * MY - 1, x0 + t % COLUMNS * DX - 1) + c, v + t * CHANNELS + c);
    for (int p = 0; p < POINTS; ++p) multiply_point<TILES>(v + p * STEP, u + p * CHANNELS * CHANNELS);
    for (int t = 0; t < TILES; ++t)
        for (int c = 0; c < CHANNELS; c += LANES)
            transform_output<MY, MX, STEP>(v + t * CHANNELS + c, [&](int y, int x, Vec sum) { done(y0 + t / COLUMNS * MY + y, x0 + t % COLUMNS * DX + x, c, sum); });
}

// 12 x 14: three rows of 4; columns of 4, 4 and 6.
template <class Done>
static void chest_layer(Pack& pack, Picture<12, 14>& in, const Done& done) {
    tiles<4, 4, 3, 2, 4>(pack.take(36 * CHANNELS * CHANNELS), in, 0, 0, done);
    tiles<4, 6, 3, 1, 6>(pack.take(48 * CHANNELS * CHANNELS), in, 0, 8, done);
}

extern "C" void cnn_chest(const float* weights, const float* x, float* y) {
    using Done = BiasRelu<12, 14>;
    static Picture<12, 14> a, b;
    Pack pack{weights};
    first_layer<12, 14, 14>(pack, x, Done{a, pack.take(CHANNELS)});
    chest_layer(pack, a, Done{b, pack.take(CHANNELS)});
    chest_layer(pack, b, Done{a, pack.take(CHANNELS)});
    chest_layer(pack, a, Done{b, pack.take(CHANNELS)});
    head<12, 14, 2>(pack, b, y);
}

// 14 x 72: rows of 4, 4 and 6; twelve columns of 6.
template <class Done>
static void deeprx_layer(Pack& pack, Picture<14, 72>& in, const Done& done) {
    const float *u46 = pack.take(48 * CHANNELS * CHANNELS), *u66 = pack.take(64 * CHANNELS * CHANNELS);
    tiles<4, 6, 1, 12, 6>(u46, in, 0, 0, done);
    tiles<4, 6, 1, 12, 6>(u46, in, 4, 0, done);
    tiles<6, 6, 1, 12, 6>(u66, in, 8, 0, done);
}

extern "C" void cnn_deeprx(const float* weights, const float* x, float* y) {
    constexpr int H = 14, W = 72;
    static Picture<H, W> raw, activated, inner;
    Pack pack{weights};
    const float* norm = pack.take(3 * 2 * CHANNELS);                     // per block gamma and beta of the folded BatchNormalization
    const float* bias = pack.take(CHANNELS);
    first_layer<H, W, 12>(pack, x, RawAndActivated<H, W>{raw, activated, bias, norm, norm + CHANNELS});
    for (int block = 0; block < 3; ++block) {
        const float* next = norm + (block + 1) * 2 * CHANNELS;
        bias = pack.take(CHANNELS);
        deeprx_layer(pack, activated, BiasRelu<H, W>{inner, bias});
        if (block < 2) deeprx_layer(pack, inner, AddAndActivate<H, W>{raw, activated, next, next + CHANNELS});
        else deeprx_layer(pack, inner, AddOnly<H, W>{raw});
    }
    head<H, W, 4>(pack, raw, y);
}
