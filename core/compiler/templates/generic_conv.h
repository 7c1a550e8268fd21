// Sums of one row of outputs of OB channels: every tap is a row of the padded input times one weight per channel. put(channel, column, value, lanes)
// needs: map_vec.h

// x: the row's origin in the padded copy; offsets[t]: where tap t's row begins from there; w[t][OB]; rows of x may be read over their end
template <int OB, int VB, int WIDTH, class Put> INLINE void generic_conv_row(const float* x, const int* offsets, int taps, const float* w, const Put& put) {
    for (int i = 0; i < WIDTH; i += VB * VEC_LANES) {
        vec sum[OB][VB] = {};
        for (int t = 0; t < taps; ++t) {
            vec value[VB];
#pragma GCC unroll 8
            for (int v = 0; v < VB; ++v) value[v] = vec_load(x + offsets[t] + i + v * VEC_LANES);
#pragma GCC unroll 8
            for (int o = 0; o < OB; ++o) {
                const vec weight = vec_set(w[t * OB + o]);
#pragma GCC unroll 8
                for (int v = 0; v < VB; ++v) sum[o][v] = vec_fma(weight, value[v], sum[o][v]);
            }
        }
        for (int o = 0; o < OB; ++o)
            for (int v = 0; v < VB; ++v) {
                const int column = i + v * VEC_LANES, left = WIDTH - column;
                if (left > 0) put(o, column, sum[o][v], left < VEC_LANES ? left : VEC_LANES);
            }
    }
}
