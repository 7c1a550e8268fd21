// Depthwise convolution: each channel with its own window, channels in lanes.
// needs: conv_direct.h

// S::CI = S::CO; weights [KH][KW][CO rounded up to whole registers]. The plain form: EPILOGUE(sum over ky, kx of input(.., .., n) w[ky][kx][n]).
template <class S, class EPILOGUE, int PIXELS> struct conv_depthwise {
    template <int P, int KX, int X0> INLINE void tap(const float* at, const float* w, int count, vec (&acc)[P]) {
        const vec b = vec_load(w + KX * S::COR * VEC_LANES);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
            if (X0 < 0 || S::inside(X0 + p, KX)) acc[p] = vec_fma(vec_load_up_to(at + (p * S::STEP_X + KX * S::SPREAD_X) * S::AT_X, count), b, acc[p]);
        if constexpr (KX + 1 < S::KW) tap<P, KX + 1, X0>(at, w, count, acc);
    }

    template <int P, int X0> INLINE void block(const float* x, const float* w, const EPILOGUE& e, int row, int column) {
        for (int channel = 0; channel < S::CO; channel += VEC_LANES) {
            const int count = S::CO % VEC_LANES == 0 ? VEC_LANES : S::CO - channel;
            vec acc[P] = {};
            const long left = (long)(column * S::STEP_X - S::LEFT) * S::AT_X + channel;
            for (int ky = 0; ky < S::KH; ++ky) {
                const int from = row * S::STEP_Y - S::TOP + ky * S::SPREAD_Y;
                if ((unsigned)from < (unsigned)S::H) tap<P, 0, X0>(x + from * S::AT_Y + left, w + ky * S::KW * S::COR * VEC_LANES + channel, count, acc);
            }
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) EPILOGUE::store(e, acc[p], channel, ((long)row * S::OW + column + p) * S::CO + channel, count);
        }
    }

    using D = conv_direct<S, EPILOGUE, PIXELS, 1>;
    template <int FROM, int TO> INLINE void border(const float* x, const float* w, const EPILOGUE& e, int row) {
        if constexpr (FROM < TO) {
            block<D::width(FROM), FROM * PIXELS>(x, w, e, row, FROM * PIXELS);
            border<FROM + 1, TO>(x, w, e, row);
        }
    }

    KERNEL void run(const float* x, const float* w, const EPILOGUE e) {
        constexpr int first = D::first_plain(), after = D::after_plain(first);
        for (int row = 0; row < S::OH; ++row) {
            border<0, first>(x, w, e, row);
            for (int b = first; b < after; ++b) block<PIXELS, -1>(x, w, e, row, b * PIXELS);
            border<after, D::BLOCKS>(x, w, e, row);
        }
    }
};
