// Winograd convolution of 3 by 3 windows (Lavin and Gray 2015): 2 KY by 2 KX outputs from (2 KY + 2)(2 KX + 2) products per pair of channels, channels in lanes.
// needs: conv_epilogue.h

// The points 0, +-p_1 ... +-p_K, infinity of Toom and Cook. With u = x^2: M(x) = x prod (u - p_j^2), E_j(u) = prod over q != j of (u - p_q^2); lowest power first.
template <int K> struct winograd_points;
template <> struct winograd_points<1> {
    static constexpr float p[1] = {1}, m[2] = {-1, 1}, e[1][1] = {{1}};
};
template <> struct winograd_points<2> {
    static constexpr float p[2] = {0.70710678118654752f, 1.4142135623730951f}, m[3] = {1, -2.5f, 1}, e[2][2] = {{-2, 1}, {-0.5f, 1}};
};
template <> struct winograd_points<3> {
    static constexpr float p[3] = {1, 2, 0.5f}, m[4] = {-1, 5.25f, -5.25f, 1}, e[3][3] = {{1, -4.25f, 1}, {0.25f, -1.25f, 1}, {4, -5, 1}};
};

// Two rows of v = B^T d along one axis, M(x) / (x - point): PAIR 0 gives the points 0 and infinity, PAIR j the points +-p_j, which share even and odd part.
template <int K, int PAIR> INLINE void winograd_input_pair(const vec* d, vec& first, vec& second) {
    using P = winograd_points<K>;
    if constexpr (PAIR == 0) {
        first = d[2 * K];
        second = d[2 * K + 1];
#pragma GCC unroll 8
        for (int i = K - 1; i >= 0; --i) {
            first = vec_fma(d[2 * i], vec_set(P::m[i]), first);
            second = vec_fma(d[2 * i + 1], vec_set(P::m[i]), second);
        }
    } else {
        constexpr int j = PAIR - 1;
        vec even = d[2 * K], odd = d[2 * K - 1] * P::p[j];
#pragma GCC unroll 8
        for (int i = K - 2; i >= 0; --i) {
            even = vec_fma(d[2 * i + 2], vec_set(P::e[j][i]), even);
            odd = vec_fma(d[2 * i + 1], vec_set(P::e[j][i] * P::p[j]), odd);
        }
        first = even + odd;
        second = even - odd;
    }
}

// v = B^T d, the order of the points 0, infinity, p_1, -p_1, p_2 ...
template <int K, int PAIR = 0> INLINE void winograd_input(const vec* d, vec* v) {
    winograd_input_pair<K, PAIR>(d, v[2 * PAIR], v[2 * PAIR + 1]);
    if constexpr (PAIR < K) winograd_input<K, PAIR + 1>(d, v);
}

// y = A^T m along one axis: y_i = sum over points p of p^i m_p, infinity giving the last one
template <int K> INLINE void winograd_output(const vec* m, vec* y) {
    using P = winograd_points<K>;
    vec sum[K], difference[K];
#pragma GCC unroll 8
    for (int j = 0; j < K; ++j) {
        sum[j] = m[2 * j + 2] + m[2 * j + 3];
        difference[j] = m[2 * j + 2] - m[2 * j + 3];
    }
#pragma GCC unroll 8
    for (int i = 0; i < 2 * K; ++i) {
        vec r = i ? vec{} : m[0];
#pragma GCC unroll 8
        for (int j = 0; j < K; ++j) {
            float power = 1;
            for (int k = 0; k < i; ++k) power *= P::p[j];
            const vec part = i % 2 ? difference[j] : sum[j];
            r = i && j == 0 ? part * power : power == 1.0f ? r + part : vec_fma(part, vec_set(power), r);
        }
        if (i == 2 * K - 1) r = r + m[1];
        y[i] = r;
    }
}

// A stride 1 convolution: pictures [H][W][CI] -> [OH][OW][CO], TOP and LEFT rows and columns of zeros before the first ones.
template <int H_, int W_, int CI_, int OH_, int OW_, int CO_, int TOP_, int LEFT_> struct winograd_shape {
    static constexpr int H = H_, W = W_, CI = CI_, OH = OH_, OW = OW_, CO = CO_, TOP = TOP_, LEFT = LEFT_;
    static constexpr int CIR = (CI + VEC_LANES - 1) / VEC_LANES, COR = (CO + VEC_LANES - 1) / VEC_LANES;  // registers
    static constexpr float zeros[W * CI] = {};
};

// ROWS by COLUMNS tiles of 2 KY by 2 KX outputs from (Y, X) on, GROUP tiles at a time: transform, one matrix product per point, transform back.
// u: [point][CO / (2 LANES)][CI][2 LANES] (the last block as wide as it needs); v, m: scratch [point][GROUP][CI or CO, rounded up to whole registers] and a line
template <class S, class EPILOGUE, int KY, int KX, int Y, int X, int ROWS, int COLUMNS, int GROUP, int TB> struct winograd_piece {
    static constexpr int NY = 2 * KY + 2, NX = 2 * KX + 2, POINTS = NY * NX, VS = S::CIR * VEC_LANES, MS = S::COR * VEC_LANES;
    static constexpr long VP = GROUP * VS + 16, MP = GROUP * MS + 16;  // from point to point: one cache line more than the tiles, so that the points do not share cache sets

    // Two rows of points of one tile and LANES channels at a time: so nothing but the result is stored.
    template <int PAIR, bool INSIDE> INLINE void input_pair(const float* const* row, float* v, int left, int count) {
        vec t[2][NX];
#pragma GCC unroll 8
        for (int i = 0; i < NX; ++i) {
            if (INSIDE || (unsigned)(left + i) < (unsigned)S::W) {
                vec d[NY];
#pragma GCC unroll 8
                for (int r = 0; r < NY; ++r) d[r] = vec_load_up_to(row[r] + (long)(left + i) * S::CI, count);
                winograd_input_pair<KY, PAIR>(d, t[0][i], t[1][i]);
            } else t[0][i] = t[1][i] = vec{};
        }
#pragma GCC unroll 2
        for (int r = 0; r < 2; ++r) {
            vec p[NX];
            winograd_input<KX>(t[r], p);
#pragma GCC unroll 8
            for (int i = 0; i < NX; ++i) vec_store(v + ((2 * PAIR + r) * NX + i) * VP, p[i]);
        }
        if constexpr (PAIR < KY) input_pair<PAIR + 1, INSIDE>(row, v, left, count);
    }

    INLINE void input(const float* x, float* v, int tile) {
        const int top = Y + tile / COLUMNS * 2 * KY - S::TOP, left = X + tile % COLUMNS * 2 * KX - S::LEFT;
        const bool inside = left >= 0 && left + NX <= S::W;
        for (int c = 0; c < S::CIR; ++c) {
            const float* row[NY];
#pragma GCC unroll 8
            for (int r = 0; r < NY; ++r) row[r] = ((unsigned)(top + r) < (unsigned)S::H ? x + (long)(top + r) * S::W * S::CI : S::zeros) + c * VEC_LANES;
            if (inside) input_pair<0, true>(row, v + c * VEC_LANES, left, S::CI - c * VEC_LANES);
            else input_pair<0, false>(row, v + c * VEC_LANES, left, S::CI - c * VEC_LANES);
        }
    }

    template <int TILES, int NV> INLINE void block(const float* v, const float* u, float* m) {
        vec acc[TILES][NV] = {};
#pragma GCC unroll 4
        for (int c = 0; c < S::CI; ++c) {
            vec b[NV];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) b[j] = vec_load(u + (c * NV + j) * VEC_LANES);
#pragma GCC unroll 16
            for (int t = 0; t < TILES; ++t) {
                const vec a = vec_set(v[t * VS + c]);
#pragma GCC unroll 4
                for (int j = 0; j < NV; ++j) acc[t][j] = vec_fma(a, b[j], acc[t][j]);
            }
        }
#pragma GCC unroll 16
        for (int t = 0; t < TILES; ++t)
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) vec_store(m + t * MS + j * VEC_LANES, acc[t][j]);
    }

    template <int TILES, int NV> INLINE void tiles(const float* v, const float* u, float* m) {
        constexpr int whole = TILES / TB * TB;
        for (int t = 0; t < whole; t += TB) block<TB, NV>(v + t * VS, u, m + t * MS);
        if constexpr (TILES > whole) block<TILES - whole, NV>(v + whole * VS, u, m + whole * MS);
    }

    template <int TILES> INLINE void products(const float* v, const float* u, float* m) {
        for (int p = 0; p < POINTS; ++p, u += S::CI * MS) {
            for (int c = 0; c < S::COR / 2; ++c) tiles<TILES, 2>(v + p * VP, u + c * 2 * VEC_LANES * S::CI, m + p * MP + c * 2 * VEC_LANES);
            if constexpr (S::COR % 2) tiles<TILES, 1>(v + p * VP, u + (S::COR - 1) * VEC_LANES * S::CI, m + p * MP + (S::COR - 1) * VEC_LANES);
        }
    }

    INLINE void output(const float* m, const EPILOGUE& e, int tile) {
        const int top = Y + tile / COLUMNS * 2 * KY, left = X + tile % COLUMNS * 2 * KX;
        for (int c = 0; c < S::COR; ++c) {
            vec t[NX][2 * KY];
#pragma GCC unroll 8
            for (int i = 0; i < NX; ++i) {
                vec d[NY];
#pragma GCC unroll 8
                for (int r = 0; r < NY; ++r) d[r] = vec_load(m + (r * NX + i) * MP + c * VEC_LANES);
                winograd_output<KY>(d, t[i]);
            }
#pragma GCC unroll 8
            for (int r = 0; r < 2 * KY; ++r) {
                if (top + r >= S::OH) break;
                vec d[NX], y[2 * KX];
#pragma GCC unroll 8
                for (int i = 0; i < NX; ++i) d[i] = t[i][r];
                winograd_output<KX>(d, y);
                const long at = ((long)(top + r) * S::OW + left) * S::CO + c * VEC_LANES;
#pragma GCC unroll 8
                for (int i = 0; i < 2 * KX; ++i)
                    if (left + i < S::OW) EPILOGUE::store(e, y[i], c * VEC_LANES, at + i * S::CO, S::CO - c * VEC_LANES);
            }
        }
    }

    template <int TILES> INLINE void group(const float* x, const float* u, float* v, float* m, const EPILOGUE& e, int first) {
        for (int t = 0; t < TILES; ++t) input(x, v + t * VS, first + t);
        products<TILES>(v, u, m);
        for (int t = 0; t < TILES; ++t) output(m + t * MS, e, first + t);
    }

    KERNEL void run(const float* x, const float* u, char* scratch, const EPILOGUE e) {
        float *v = (float*)scratch, *m = v + POINTS * VP;
        constexpr int all = ROWS * COLUMNS, whole = all / GROUP * GROUP;
        for (int t = 0; t < whole; t += GROUP) group<GROUP>(x, u, v, m, e, t);
        if constexpr (all > whole) group<all - whole>(x, u, v, m, e, whole);
    }
};
