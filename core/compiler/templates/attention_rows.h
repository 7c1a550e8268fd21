// Scaled dot product attention (Vaswani et al. 2017, section 3.2.1) over [token][feature]: queries in lanes for the scores, features in lanes for the sums.
// needs: math_functions.h

// The plain form, for each head h and query i: s[j] = scale sum over d of q[i][d] k[j][d] + mask[j][i], y[i] = sum over j of softmax(s)[j] v[j].
// factor = scale log2(e). Rows of q, k, v and y lie SQ, SK, SV, SO floats apart.
// scratch: [TK][LANES] scores. mask: [TK][TQ], already times log2(e); not read unless MASK.
template <int TQ, int TK, int HEADS, int DK, int DV, int SQ, int SK, int SV, int SO, bool MASK, int KEYS> struct attention_rows {
    const float *q, *k, *v, *mask;
    float *y, factor, *scores;

    // LANES queries from `first` on, turned: turned[d] holds feature d of all of them
    INLINE void queries(const float* q, int count, vec factor, vec* turned) {
        for (int d = 0; d < DK; d += VEC_LANES) {
            vec block[VEC_LANES];
#pragma GCC unroll 16
            for (int i = 0; i < VEC_LANES; ++i) block[i] = i < count ? vec_load_up_to(q + (long)i * SQ + d, DK - d) : vec{};
            vec_transpose(block);
#pragma GCC unroll 16
            for (int i = 0; i < VEC_LANES; ++i)
                if (DK % VEC_LANES == 0 || d + i < DK) turned[d + i] = block[i] * factor;
        }
    }

    template <int J> INLINE vec keys(const attention_rows& a, const float* k, const vec* turned, int first, int query, int count, vec top) {
        vec s[J] = {};
#pragma GCC unroll 16
        for (int d = 0; d < DK; ++d)
#pragma GCC unroll 16
            for (int j = 0; j < J; ++j) s[j] = vec_fma(vec_set(k[(long)j * SK + d]), turned[d], s[j]);
#pragma GCC unroll 16
        for (int j = 0; j < J; ++j) {
            if (MASK) s[j] = s[j] + vec_load_up_to(a.mask + (long)(first + j) * TQ + query, count);
            vec_store(a.scores + (first + j) * VEC_LANES, s[j]);
            top = first + j ? vec_max(top, s[j]) : s[j];
        }
        return top;
    }

    template <int COUNT> INLINE void values(const attention_rows& a, const float* v, const float* inverse, float* y) {
        for (int d = 0; d < DV; d += VEC_LANES) {
            vec acc[COUNT] = {};
#pragma GCC unroll 2
            for (int j = 0; j < TK; ++j) {
                const vec b = vec_load_up_to(v + (long)j * SV + d, DV - d);
#pragma GCC unroll 16
                for (int i = 0; i < COUNT; ++i) acc[i] = vec_fma(vec_set(a.scores[j * VEC_LANES + i]), b, acc[i]);
            }
#pragma GCC unroll 16
            for (int i = 0; i < COUNT; ++i) vec_store_up_to(y + (long)i * SO + d, acc[i] * inverse[i], DV - d);
        }
    }

    template <int COUNT> INLINE void block(const attention_rows& a, int h, int first) {
        vec turned[DK], top{};
        queries(a.q + (long)first * SQ + h * DK, COUNT, vec_set(a.factor), turned);
        const float* k = a.k + h * DK;
        constexpr int whole = TK / KEYS * KEYS;
        for (int j = 0; j < whole; j += KEYS) top = keys<KEYS>(a, k + (long)j * SK, turned, j, first, COUNT, top);
        if constexpr (TK > whole) top = keys<TK - whole>(a, k + (long)whole * SK, turned, whole, first, COUNT, top);
        vec sum{};
#pragma GCC unroll 4
        for (int j = 0; j < TK; ++j) {
            const vec e = math_exp2(vec_load(a.scores + j * VEC_LANES) - top);
            vec_store(a.scores + j * VEC_LANES, e);
            sum = sum + e;
        }
        alignas(64) float inverse[VEC_LANES];
        vec_store(inverse, 1.0f / sum);
        values<COUNT>(a, a.v + h * DV, inverse, a.y + (long)first * SO + h * DV);
    }

    KERNEL void run(const attention_rows a) {
        constexpr int whole = TQ / VEC_LANES * VEC_LANES;
        for (int h = 0; h < HEADS; ++h) {
            for (int i = 0; i < whole; i += VEC_LANES) block<VEC_LANES>(a, h, i);
            if constexpr (TQ > whole) block<TQ - whole>(a, h, whole);
        }
    }
};
