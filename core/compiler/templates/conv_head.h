// 1 by 1 convolution from channels last to planes: pixels in lanes, for the few outputs at the end of a network.
// needs: conv_epilogue.h

// y[n][p] = act(sum over c of x[p][c] w[n][c] + bias[n] + residual[n][p]) (+ residual): LANES pixels by LANES channels are turned in registers, weights are broadcast.
// PIXELS pixels, CI inputs, CO outputs, NB of them at a time; w: [CO][CI]
template <class ACT, bool BIAS, int RESIDUAL, int PIXELS, int CI, int CO, int NB> struct conv_head {
    const float *x, *w, *bias, *residual;
    float* y;

    INLINE void pixels(const conv_head& h, int first, int count) {
        constexpr int blocks = (CI + VEC_LANES - 1) / VEC_LANES;
        vec turned[blocks][VEC_LANES];
        for (int b = 0; b < blocks; ++b) {
#pragma GCC unroll 16
            for (int p = 0; p < VEC_LANES; ++p) turned[b][p] = p < count ? vec_load_up_to(h.x + (long)(first + p) * CI + b * VEC_LANES, CI - b * VEC_LANES) : vec{};
            vec_transpose(turned[b]);
        }
        for (int n = 0; n < CO / NB * NB; n += NB) outputs<NB>(h, turned, first, count, n);
        if constexpr (CO % NB > 0) outputs<CO % NB>(h, turned, first, count, CO / NB * NB);
    }

    template <int N, int BLOCKS> INLINE void outputs(const conv_head& h, const vec (&turned)[BLOCKS][VEC_LANES], int first, int count, int n) {
        vec acc[N] = {};
        for (int b = 0; b < BLOCKS; ++b)
#pragma GCC unroll 16
            for (int c = 0; c < VEC_LANES; ++c)
                if (CI % VEC_LANES == 0 || b * VEC_LANES + c < CI)
#pragma GCC unroll 8
                    for (int i = 0; i < N; ++i) acc[i] = vec_fma(turned[b][c], vec_set(h.w[(n + i) * CI + b * VEC_LANES + c]), acc[i]);
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) {
            const long at = (long)(n + i) * PIXELS + first;
            vec r = BIAS ? acc[i] + vec_set(h.bias[n + i]) : acc[i];
            if (RESIDUAL == RESIDUAL_BEFORE) r = r + vec_load_up_to(h.residual + at, count);
            r = ACT::of(r);
            if (RESIDUAL == RESIDUAL_AFTER) r = r + vec_load_up_to(h.residual + at, count);
            vec_store_up_to(h.y + at, r, count);
        }
    }

    KERNEL void run(const conv_head h) {
        constexpr int whole = PIXELS / VEC_LANES * VEC_LANES;
        for (int p = 0; p < whole; p += VEC_LANES) pixels(h, p, VEC_LANES);
        if constexpr (PIXELS > whole) pixels(h, whole, PIXELS - whole);
    }
};
