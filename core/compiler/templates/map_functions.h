// Functions of elementwise expressions over their whole range (infinities, denormals and NaN included), written once for float and for vec.
// Stated errors are relative to the exact value, found against float64 by tests/core/compiler/test_lower.py.
// needs: map_vec.h

// c[0] + c[1] x + ... by Horner's rule
template <class V, int N> INLINE V map_polynomial(V x, const float (&c)[N]) {
    V r = splat<V>(c[N - 1]);
#pragma GCC unroll 16
    for (int i = N - 2; i >= 0; --i) r = vec_fma(r, x, splat<V>(c[i]));
    return r;
}

// Maximum and minimum that hand on what is not a number, as NumPy's.
template <class V> INLINE V map_max(V a, V b) { return a != a ? a : vec_max(a, b); }
template <class V> INLINE V map_min(V a, V b) { return a != a ? a : vec_min(a, b); }
template <class V> INLINE V map_clip(V x, V low, V high) { return map_min(map_max(x, low), high); }
template <class V> INLINE V map_sign(V x) { return x > 0.0f ? splat<V>(1.0f) : (x < 0.0f ? splat<V>(-1.0f) : x); }
template <class V> INLINE V map_ceil(V x) { return -vec_floor(-x); }

// e^x: x = n ln 2 + r, polynomial in r, scaled twice so that the ends overflow to infinity and fade into denormals. 1.2e-7
template <class V> INLINE V map_exp(V x) {
    static constexpr float c[7] = {1.0f, 1.0f, 0.49999991059303284f, 0.16666419804096222f, 0.04166822507977486f, 0.008374822326004505f, 0.0013836834114044905f};
    V near = vec_max(vec_min(x, splat<V>(89.0f)), splat<V>(-104.0f));
    V n = vec_floor(vec_fma(near, splat<V>(1.4426950408889634f), splat<V>(0.5f)));
    V rest = vec_fma(n, splat<V>(2.12194440e-4f), vec_fma(n, splat<V>(-0.693359375f), near));
    auto whole = vec_whole(n), half = whole >> 1;
    V r = map_polynomial(rest, c) * vec_from_bits((half + 127) << 23) * vec_from_bits((whole - half + 127) << 23);
    return x != x ? x : r;
}

// e^x - 1: its own polynomial where the difference would cancel. 3e-7
template <class V> INLINE V map_expm1(V x) {
    static constexpr float c[8] = {1.0f, 0.5f, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040, 1.0f / 40320};
    return vec_abs(x) < 0.5f ? x * map_polynomial(x, c) : map_exp(x) - 1.0f;
}

// ln x: mantissa in [sqrt(1/2), sqrt 2), polynomial, exponent times ln 2 in two parts; zero gives -infinity, below it NaN. 1.5e-7
template <class V> INLINE V map_log(V x) {
    static constexpr float c[9] = {0.3333331346511841f,  -0.25000008940696716f, 0.2000211924314499f,   -0.1666799634695053f, 0.14219550788402557f,
                                   -0.12405591458082199f, 0.11888174712657928f, -0.11675640940666199f, 0.06746601313352585f};
    V big = x < 1.17549435e-38f ? x * 8388608.0f : x;
    auto bits = vec_bits(big), exponent = (bits - 0x3f3504f3) >> 23;
    V e = vec_real(exponent) - (x < 1.17549435e-38f ? splat<V>(23.0f) : splat<V>(0.0f));
    V f = vec_from_bits(bits - (exponent << 23)) - 1.0f;
    V tail = vec_fma(f * f, vec_fma(f, map_polynomial(f, c), splat<V>(-0.5f)), e * -2.12194440e-4f);
    V r = vec_fma(e, splat<V>(0.693359375f), f + tail);
    r = x == __builtin_inff() ? x : r;
    return x == 0.0f ? splat<V>(-__builtin_inff()) : (x > 0.0f ? r : splat<V>(__builtin_nanf("")));
}

// ln(1 + x) for x in [0, 1]; the quotient takes back what 1 + x lost. 3e-7
template <class V> INLINE V map_log1p(V x) {
    V u = 1.0f + x;
    return u == 1.0f ? x : map_log(u) * x / (u - 1.0f);
}

// 2e-7
template <class V> INLINE V map_sigmoid(V x) { return 1.0f / (1.0f + map_exp(-x)); }

// 3e-7
template <class V> INLINE V map_tanh(V x) {
    static constexpr float c[5] = {-0.3333328366279602f, 0.13331490755081177f, -0.05374349653720856f, 0.020650578662753105f, -0.005717036779969931f};
    V size = vec_abs(x), square = x * x, large = 1.0f - 2.0f / (map_exp(size + size) + 1.0f);
    return size < 0.625f ? vec_fma(x * square, map_polynomial(square, c), x) : (x < 0.0f ? -large : large);
}

// erfc t for t >= 0: e^(-t^2) u Q(u), u = 1 / (1 + t / 2). 4e-7 below 1, 1e-5 at 9 (the square in the exponent is rounded)
template <class V> INLINE V map_erfc(V t) {
    static constexpr float c[11] = {0.2820914685726166f,     0.2821817696094513f,   0.2459028661251068f,   0.18139871954917908f, 0.07016070932149887f,  -0.0012284982949495316f,
                                    0.036746375262737274f, -0.35187429189682007f, 0.4234011471271515f, -0.20731087028980255f, 0.038530588150024414f};
    V u = 1.0f / vec_fma(t, splat<V>(0.5f), splat<V>(1.0f));
    return map_exp(-(t * t)) * (u * map_polynomial(u, c));
}

// 3e-7
template <class V> INLINE V map_erf(V x) {
    static constexpr float c[5] = {1.1283791065216064f, -0.37612608075141907f, 0.11282822489738464f, -0.02675718441605568f, 0.0047179898247122765f};
    V size = vec_abs(x), large = 1.0f - map_erfc(size);
    return size < 0.5f ? x * map_polynomial(x * x, c) : (x < 0.0f ? -large : large);
}

// x Phi(x): above zero x - x erfc / 2, below it x erfc / 2, so that nothing cancels far out
template <class V> INLINE V map_gelu(V x) {
    V tail = 0.5f * map_erfc(vec_abs(x) * 0.70710678118654752f);
    return x * (x > 0.0f ? 1.0f - tail : tail);
}
template <class V> INLINE V map_gelu_tanh(V x) { return x * map_sigmoid(1.5957691216057308f * vec_fma(x * x * x, splat<V>(0.044715f), x)); }

template <class V> INLINE V map_relu(V x) { return vec_max(splat<V>(0.0f), x); }
template <class V> INLINE V map_leaky_relu(V x, V a) { return x < 0.0f ? a * x : x; }
template <class V> INLINE V map_elu(V x, V a) { return x < 0.0f ? a * map_expm1(vec_min(splat<V>(0.0f), x)) : x; }
template <class V> INLINE V map_celu(V x, V a) { return vec_max(splat<V>(0.0f), x) + vec_min(splat<V>(0.0f), a * map_expm1(vec_min(splat<V>(0.0f), x) / a)); }
template <class V> INLINE V map_selu(V x, V a, V g) { return g * (x <= 0.0f ? a * map_expm1(vec_min(splat<V>(0.0f), x)) : x); }
template <class V> INLINE V map_thresholded_relu(V x, V a) { return x > a ? x : splat<V>(0.0f); }
template <class V> INLINE V map_softplus(V x) { return vec_max(splat<V>(0.0f), x) + map_log1p(map_exp(-vec_abs(x))); }
template <class V> INLINE V map_softsign(V x) { return x / (1.0f + vec_abs(x)); }
template <class V> INLINE V map_hard_sigmoid(V x, V a, V b) { return map_clip(a * x + b, splat<V>(0.0f), splat<V>(1.0f)); }
template <class V> INLINE V map_hard_swish(V x) { return x * map_clip(x / 6.0f + 0.5f, splat<V>(0.0f), splat<V>(1.0f)); }
template <class V> INLINE V map_mish(V x) { return x * map_tanh(map_softplus(x)); }
template <class V> INLINE V map_swish(V x, V a) { return x * map_sigmoid(a * x); }

// Functions of the C library, lane by lane: rare in networks, exact to its standard.
#define MAP_LIBRARY(NAME, CALL)                                \
    INLINE float map_##NAME(float a) { return CALL(a); }       \
    INLINE vec map_##NAME(vec a) { EACH_LANE a[l] = CALL((float)a[l]); return a; }
MAP_LIBRARY(sin, sinf)
MAP_LIBRARY(cos, cosf)
MAP_LIBRARY(tan, tanf)
MAP_LIBRARY(asin, asinf)
MAP_LIBRARY(acos, acosf)
MAP_LIBRARY(atan, atanf)
MAP_LIBRARY(sinh, sinhf)
MAP_LIBRARY(cosh, coshf)
MAP_LIBRARY(asinh, asinhf)
MAP_LIBRARY(acosh, acoshf)
MAP_LIBRARY(atanh, atanhf)
INLINE float map_pow(float a, float b) { return powf(a, b); }
INLINE vec map_pow(vec a, vec b) { EACH_LANE a[l] = powf(a[l], b[l]); return a; }
INLINE float map_fmod(float a, float b) { return fmodf(a, b); }
INLINE vec map_fmod(vec a, vec b) { EACH_LANE a[l] = fmodf(a[l], b[l]); return a; }
INLINE float map_mod(float a, float b) { float r = fmodf(a, b); return r != 0.0f && (r < 0.0f) != (b < 0.0f) ? r + b : r; }
INLINE vec map_mod(vec a, vec b) { EACH_LANE a[l] = map_mod((float)a[l], (float)b[l]); return a; }
