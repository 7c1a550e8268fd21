// Scaled dot product attention over [feature][token]: queries in lanes throughout, nothing is turned.
// needs: math_functions.h

// The plain form is that of attention_rows.h. q: [HEADS DK][TQ], k: [HEADS DK][TK], v: [HEADS DV][TK], y: [HEADS DV][TQ]; scratch: [TK][NV LANES].
template <int TQ, int TK, int HEADS, int DK, int DV, bool MASK, int KEYS, int OUTS, int NV_> struct attention_columns {
    const float *q, *k, *v, *mask;
    float *y, factor, *scores;

    INLINE vec load(const float* p, int query) { return TQ % VEC_LANES == 0 ? vec_load(p) : vec_load_up_to(p, TQ - query); }

    template <int J, int NV> INLINE void keys(const attention_columns& a, const float* q, const float* k, int first, int query, vec* top) {
        vec s[J][NV] = {};
        const vec factor = vec_set(a.factor);
#pragma GCC unroll 2
        for (int d = 0; d < DK; ++d) {
            vec b[NV];
#pragma GCC unroll 4
            for (int i = 0; i < NV; ++i) b[i] = load(q + (long)d * TQ + i * VEC_LANES, query + i * VEC_LANES);
#pragma GCC unroll 16
            for (int j = 0; j < J; ++j) {
                const vec c = vec_set(k[(long)d * TK + j]);
#pragma GCC unroll 4
                for (int i = 0; i < NV; ++i) s[j][i] = vec_fma(c, b[i], s[j][i]);
            }
        }
#pragma GCC unroll 16
        for (int j = 0; j < J; ++j)
#pragma GCC unroll 4
            for (int i = 0; i < NV; ++i) {
                s[j][i] = MASK ? vec_fma(s[j][i], factor, load(a.mask + (long)(first + j) * TQ + query + i * VEC_LANES, query + i * VEC_LANES)) : s[j][i] * factor;
                vec_store(a.scores + ((first + j) * NV + i) * VEC_LANES, s[j][i]);
                top[i] = first + j ? vec_max(top[i], s[j][i]) : s[j][i];
            }
    }

    template <int O, int NV> INLINE void values(const attention_columns& a, const float* v, float* y, int query, const vec* inverse) {
        vec acc[O][NV] = {};
#pragma GCC unroll 2
        for (int j = 0; j < TK; ++j) {
            vec e[NV];
#pragma GCC unroll 4
            for (int i = 0; i < NV; ++i) e[i] = vec_load(a.scores + (j * NV + i) * VEC_LANES);
#pragma GCC unroll 16
            for (int d = 0; d < O; ++d) {
                const vec c = vec_set(v[(long)d * TK + j]);
#pragma GCC unroll 4
                for (int i = 0; i < NV; ++i) acc[d][i] = vec_fma(c, e[i], acc[d][i]);
            }
        }
#pragma GCC unroll 16
        for (int d = 0; d < O; ++d)
#pragma GCC unroll 4
            for (int i = 0; i < NV; ++i) {
                if (TQ % VEC_LANES == 0) vec_store(y + (long)d * TQ + i * VEC_LANES, acc[d][i] * inverse[i]);
                else vec_store_up_to(y + (long)d * TQ + i * VEC_LANES, acc[d][i] * inverse[i], TQ - query - i * VEC_LANES);
            }
    }

    template <int NV> INLINE void block(const attention_columns& a, int h, int query) {
        const float *q = a.q + (long)h * DK * TQ + query, *k = a.k + (long)h * DK * TK, *v = a.v + (long)h * DV * TK;
        float* y = a.y + (long)h * DV * TQ + query;
        vec top[NV], sum[NV] = {};
        constexpr int whole = TK / KEYS * KEYS, outs = DV / OUTS * OUTS;
        for (int j = 0; j < whole; j += KEYS) keys<KEYS, NV>(a, q, k + j, j, query, top);
        if constexpr (TK > whole) keys<TK - whole, NV>(a, q, k + whole, whole, query, top);
#pragma GCC unroll 4
        for (int j = 0; j < TK; ++j)
#pragma GCC unroll 4
            for (int i = 0; i < NV; ++i) {
                float* s = a.scores + (j * NV + i) * VEC_LANES;
                const vec e = math_exp2(vec_load(s) - top[i]);
                vec_store(s, e);
                sum[i] = sum[i] + e;
            }
#pragma GCC unroll 4
        for (int i = 0; i < NV; ++i) sum[i] = 1.0f / sum[i];
        for (int d = 0; d < outs; d += OUTS) values<OUTS, NV>(a, v + (long)d * TK, y + (long)d * TQ, query, sum);
        if constexpr (DV > outs) values<DV - outs, NV>(a, v + (long)outs * TK, y + (long)outs * TQ, query, sum);
    }

    KERNEL void run(const attention_columns a) {
        constexpr int registers = (TQ + VEC_LANES - 1) / VEC_LANES, blocks = registers / NV_, rest = registers % NV_;
        for (int h = 0; h < HEADS; ++h) {
            for (int b = 0; b < blocks; ++b) block<NV_>(a, h, b * NV_ * VEC_LANES);
            if constexpr (rest > 0) block<rest>(a, h, blocks * NV_ * VEC_LANES);
        }
    }
};
