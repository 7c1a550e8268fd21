// Turns a small matrix: [R][C] to [C][R].
// needs: math_vec.h

// to[c][r] = from[r][c] for all r < R, c < C, a square of registers at a time
template <int R, int C> INLINE void math_turn(const float* from, float* to) {
    for (int r = 0; r < R; r += VEC_LANES)
        for (int c = 0; c < C; c += VEC_LANES) {
            vec v[VEC_LANES];
#pragma GCC unroll 16
            for (int i = 0; i < VEC_LANES; ++i) v[i] = R % VEC_LANES == 0 || r + i < R ? vec_load_up_to(from + (long)(r + i) * C + c, C - c) : vec{};
            vec_transpose(v);
#pragma GCC unroll 16
            for (int i = 0; i < VEC_LANES; ++i)
                if (C % VEC_LANES == 0 || c + i < C) vec_store_up_to(to + (long)(c + i) * R + r, v[i], R - r);
        }
}
