// Elementary functions of vectors: round, polynomial, scale; no table, no division where none is needed, no branch.
// needs: math_vec.h

// sum of c[i] x^i, highest power first (Horner)
template <int N> INLINE vec math_polynomial(vec x, const float (&c)[N]) {
    vec r = vec_set(c[N - 1]);
#pragma GCC unroll 16
    for (int i = N - 2; i >= 0; --i) r = vec_fma(r, x, vec_set(c[i]));
    return r;
}

// 2^x for x in [-126, 127], clamped to it; relative error 1.5e-7 (polynomial alone 7.5e-8)
INLINE vec math_exp2(vec x) {
    static constexpr float c[6] = {1.0000000716543662f, 0.6931469670549253f, 0.24022119724871396f, 0.05550713289559992f, 0.009675541293021981f, 0.0013276466800098779f};
    x = vec_max(vec_set(-126.0f), vec_min(vec_set(127.0f), x));
    vec whole = vec_round(x);
    return vec_scale(math_polynomial(x - whole, c), whole);
}

// e^x for x in [-87.3, 88.0], clamped to it. The part behind the point is taken from x itself (Cody and Waite), so that large x lose nothing.
INLINE vec math_exp(vec x) {
    static constexpr float c[7] = {1.0f, 1.0f, 0.5f, 0.16666504740715027f, 0.04166512191295624f, 0.008369117043912411f, 0.0013930189888924360f};
    x = vec_max(vec_set(-87.3f), vec_min(vec_set(88.0f), x));
    vec whole = vec_round(x * 1.4426950408889634f);
    vec rest = vec_fnma(whole, vec_set(-2.12194440e-4f), vec_fnma(whole, vec_set(0.693359375f), x));
    return vec_scale(math_polynomial(rest, c), whole);
}

// 1 / (1 + e^-x); error 2e-7 absolute
INLINE vec math_sigmoid(vec x) { return 1.0f / (1.0f + math_exp2(x * -1.4426950408889634f)); }

// tanh x: odd polynomial below 0.5 (relative error 1e-7), (1 - t) / (1 + t) with t = e^-2|x| above
INLINE vec math_tanh(vec x) {
    static constexpr float c[5] = {1.0f, -0.3333306908607483f, 0.13324779272079468f, -0.05298607423901558f, 0.017135001718997955f};
    vec size = vec_abs(x), t = math_exp2(size * -2.8853900817779268f), large = (1.0f - t) / (1.0f + t);
    return vec_where_greater(size, vec_set(0.5f), vec_signed(large, x), x * math_polynomial(x * x, c));
}

// erf x = x P(2 x^2 / a^2 - 1) with x clamped to a = 3.85; relative error 3.1e-7
INLINE vec math_erf(vec x) {
    static constexpr float c[15] = {0.3672848045825958f,   -0.1833018660545349f,  0.13621193170547485f,    -0.1103706955909729f,    0.09081058949232101f,
                                    -0.07335086166858673f, 0.05647149309515953f,  -0.04026446491479874f,   0.028099896386265755f,   -0.02046416699886322f,
                                    0.01147727482020855f,  -0.00316690094769001f, 0.002304864814504981f,   -0.003400449873879552f,  0.0013988044811412692f};
    vec near = vec_max(vec_set(-3.85f), vec_min(vec_set(3.85f), x));
    return near * math_polynomial(vec_fma(near * near, vec_set(0.13492999f), vec_set(-1.0f)), c);
}

// x Phi(x) = x (1/2 + n P(2 n^2 / 25 - 1)), n = x clamped to 5; error 1.5e-6 absolute on |x| < 8, 4.3e-7 relative to max(1, |x|)
INLINE vec math_gelu(vec x) {
    static constexpr float c[13] = {0.14136378467082977f,    -0.07029665261507034f,  0.0515214204788208f,     -0.040432948619127274f, 0.03142622858285904f,
                                    -0.023336738348007202f,  0.016497666016221046f,  -0.010973211377859116f,  0.006165405735373497f,  -0.0029156976379454136f,
                                    0.0020018890500068665f,  -0.0015141430776566267f, 0.0004929573042318225f};
    vec near = vec_max(vec_set(-5.0f), vec_min(vec_set(5.0f), x));
    vec p = math_polynomial(vec_fma(near * near, vec_set(0.08f), vec_set(-1.0f)), c);
    return x * vec_fma(near, p, vec_set(0.5f));
}

// x / 2 (1 + tanh(0.79788456 (x + 0.044715 x^3))) = x sigmoid(2 ...)
INLINE vec math_gelu_tanh(vec x) { return x * math_sigmoid(1.5957691216057308f * vec_fma(x * x * x, vec_set(0.044715f), x)); }

// Activations by name: what an epilogue is instantiated with.
struct act_none { INLINE vec of(vec x) { return x; } };
struct act_relu { INLINE vec of(vec x) { return vec_max(vec{}, x); } };
struct act_gelu { INLINE vec of(vec x) { return math_gelu(x); } };
struct act_gelu_tanh { INLINE vec of(vec x) { return math_gelu_tanh(x); } };
struct act_tanh { INLINE vec of(vec x) { return math_tanh(x); } };
struct act_sigmoid { INLINE vec of(vec x) { return math_sigmoid(x); } };
struct act_silu { INLINE vec of(vec x) { return x * math_sigmoid(x); } };
struct act_hard_sigmoid { INLINE vec of(vec x) { return vec_max(vec{}, vec_min(vec_set(1.0f), vec_fma(x, vec_set(1.0f / 6.0f), vec_set(0.5f)))); } };
struct act_hard_swish { INLINE vec of(vec x) { return x * act_hard_sigmoid::of(x); } };
