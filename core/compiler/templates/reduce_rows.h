// Sums, extremes and soft maxima of rows that lie side by side (n values at x) or of VEC_LANES columns at once (n values, `step` apart).
// needs: map_functions.h

// join(total, values of x) over a row; `rest` fills the lanes behind its end
template <class Join> INLINE vec reduce_row(const float* x, long n, float rest, vec total, const Join& join) {
    long i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES) total = join(total, vec_load(x + i));
    if (i < n) total = join(total, vec_first_of(vec_load_first(x + i, (int)(n - i)), vec_set(rest), (int)(n - i)));
    return total;
}

// y = e^(x - max) / sum, or x - max - ln sum, along a row
template <bool LOG> INLINE void softmax_row(const float* x, float* y, long n) {
    const float most = vec_largest(reduce_row(x, n, -__builtin_inff(), vec_set(-__builtin_inff()), [](vec a, vec b) { return map_max(b, a); }));
    const vec shift = vec_set(most);
    const float sum = vec_sum(reduce_row(x, n, -__builtin_inff(), vec_set(0.0f), [&](vec a, vec b) { return a + map_exp(b - shift); }));
    const vec scale = vec_set(1.0f / sum), away = vec_set(map_log(sum));
    const auto value = [&](vec a) { return LOG ? a - shift - away : map_exp(a - shift) * scale; };
    long i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES) vec_store(y + i, value(vec_load(x + i)));
    if (const int left = (int)(n - i)) vec_store_first(y + i, value(vec_load_first(x + i, left)), left);
}

// The same of `lanes` columns: no operation across lanes
template <bool LOG> INLINE void softmax_columns(const float* x, float* y, long n, long step, int lanes) {
    vec most = vec_set(-__builtin_inff()), sum = vec_set(0.0f);
    for (long i = 0; i < n; ++i) most = map_max(vec_load_first(x + i * step, lanes), most);
    for (long i = 0; i < n; ++i) sum = sum + map_exp(vec_load_first(x + i * step, lanes) - most);
    const vec scale = 1.0f / sum, away = map_log(sum);
    for (long i = 0; i < n; ++i) {
        const vec a = vec_load_first(x + i * step, lanes) - most;
        vec_store_first(y + i * step, LOG ? a - away : map_exp(a) * scale, lanes);
    }
}
