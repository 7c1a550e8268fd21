// Direct convolution with output channels in lanes: a block of pixels by registers of channels stays in registers over all taps and input channels.
// needs: conv_epilogue.h

// Pictures of CI channels, H by W, to CO channels, OH by OW; input [H][W][CI] or, with PLANES, [CI][H][W]; output [OH][OW][CO].
template <int H_, int W_, int CI_, int OH_, int OW_, int CO_, int KH_, int KW_, int STEP_Y_, int STEP_X_, int SPREAD_Y_, int SPREAD_X_, int TOP_, int LEFT_, bool PLANES>
struct conv_shape {
    static constexpr int H = H_, W = W_, CI = CI_, OH = OH_, OW = OW_, CO = CO_, KH = KH_, KW = KW_, STEP_Y = STEP_Y_, STEP_X = STEP_X_;
    static constexpr int SPREAD_Y = SPREAD_Y_, SPREAD_X = SPREAD_X_, TOP = TOP_, LEFT = LEFT_;
    static constexpr int COR = (CO + VEC_LANES - 1) / VEC_LANES;
    static constexpr long AT_X = PLANES ? 1 : CI, AT_Y = PLANES ? W : (long)W * CI, AT_C = PLANES ? (long)H * W : 1;
    // Is the input column that tap kx of output column x reads inside the picture? Are all of PIXELS columns from x on, for every tap?
    static constexpr bool inside(int x, int kx) { return x * STEP_X - LEFT + kx * SPREAD_X >= 0 && x * STEP_X - LEFT + kx * SPREAD_X < W; }
    static constexpr bool whole(int x, int pixels) { return inside(x, 0) && inside(x + pixels - 1, KW - 1); }
};

// The plain form, for all y, x, n: EPILOGUE(sum over ky, kx, c of input(y STEP_Y - TOP + ky SPREAD_Y, x STEP_X - LEFT + kx SPREAD_X, c) w[ky][kx][c][n]),
// zero outside the picture. Weights lie [CO / (NV LANES)][KH][KW][CI][NV LANES], the last block as wide as it needs.
template <class S, class EPILOGUE, int PIXELS, int NV_> struct conv_direct {
    // One tap: at points to the input of the first pixel. X0 < 0: all pixels are inside; else only those that are.
    template <int P, int NV, int KX, int X0> INLINE void tap(const float* at, const float* w, vec (&acc)[P][NV]) {
#pragma GCC unroll 4
        for (int c = 0; c < S::CI; ++c) {
            vec b[NV];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) b[j] = vec_load(w + (c * NV + j) * VEC_LANES);
#pragma GCC unroll 32
            for (int p = 0; p < P; ++p)
                if (X0 < 0 || S::inside(X0 + p, KX)) {
                    const vec a = vec_set(at[p * (S::STEP_X * S::AT_X) + c * S::AT_C]);
#pragma GCC unroll 4
                    for (int j = 0; j < NV; ++j) acc[p][j] = vec_fma(a, b[j], acc[p][j]);
                }
        }
    }

    template <int P, int NV, int X0, int KX = 0> INLINE void taps(const float* at, const float* w, vec (&acc)[P][NV]) {
        tap<P, NV, KX, X0>(at + KX * S::SPREAD_X * S::AT_X, w + KX * (S::CI * NV * VEC_LANES), acc);
        if constexpr (KX + 1 < S::KW) taps<P, NV, X0, KX + 1>(at, w, acc);
    }

    template <int P, int NV, int X0> INLINE void block(const float* x, const float* w, const EPILOGUE& e, int row, int column, int channel) {
        vec acc[P][NV] = {};
        const long left = (long)(column * S::STEP_X - S::LEFT) * S::AT_X;
        for (int ky = 0; ky < S::KH; ++ky) {
            const int from = row * S::STEP_Y - S::TOP + ky * S::SPREAD_Y;
            if ((unsigned)from < (unsigned)S::H) taps<P, NV, X0>(x + from * S::AT_Y + left, w + ky * (S::KW * S::CI * NV * VEC_LANES), acc);
        }
        const long at = ((long)row * S::OW + column) * S::CO + channel;
#pragma GCC unroll 32
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) EPILOGUE::store(e, acc[p][j], channel + j * VEC_LANES, at + p * S::CO + j * VEC_LANES, S::CO - channel - j * VEC_LANES);
    }

    // Blocks at the left and right border are written out one by one, those between them are a loop.
    static constexpr int BLOCKS = (S::OW + PIXELS - 1) / PIXELS;
    static constexpr int width(int b) { return b * PIXELS + PIXELS <= S::OW ? PIXELS : S::OW - b * PIXELS; }
    static constexpr bool plain(int b) { return width(b) == PIXELS && S::whole(b * PIXELS, PIXELS); }
    static constexpr int first_plain(int b = 0) { return b < BLOCKS && !plain(b) ? first_plain(b + 1) : b; }
    static constexpr int after_plain(int b) { return b < BLOCKS && plain(b) ? after_plain(b + 1) : b; }

    template <int NV, int FROM, int TO> INLINE void border(const float* x, const float* w, const EPILOGUE& e, int row, int channel) {
        if constexpr (FROM < TO) {
            block<width(FROM), NV, FROM * PIXELS>(x, w, e, row, FROM * PIXELS, channel);
            border<NV, FROM + 1, TO>(x, w, e, row, channel);
        }
    }

    template <int NV> INLINE void channels(const float* x, const float* w, const EPILOGUE& e, int channel) {
        constexpr int first = first_plain(), after = after_plain(first);
        for (int row = 0; row < S::OH; ++row) {
            border<NV, 0, first>(x, w, e, row, channel);
            for (int b = first; b < after; ++b) block<PIXELS, NV, -1>(x, w, e, row, b * PIXELS, channel);
            border<NV, after, BLOCKS>(x, w, e, row, channel);
        }
    }

    KERNEL void run(const float* x, const float* w, const EPILOGUE e) {
        constexpr int blocks = S::COR / NV_, rest = S::COR % NV_;
        for (int b = 0; b < blocks; ++b) channels<NV_>(x, w + (long)b * NV_ * VEC_LANES * S::KH * S::KW * S::CI, e, b * NV_ * VEC_LANES);
        if constexpr (rest > 0) channels<rest>(x, w + (long)blocks * NV_ * VEC_LANES * S::KH * S::KW * S::CI, e, blocks * NV_ * VEC_LANES);
    }
};
