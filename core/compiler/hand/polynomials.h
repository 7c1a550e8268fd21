// exp2 and GELU as polynomials of their own: fitted by weighted minimax (Lawson) over the interval stated, evaluated by Horner's rule.
#pragma once
#include "lanes.h"

// 2^x: x = n + f with n the nearest integer, 2^f by degree 5 on |f| <= 1/2 (relative error 7.5e-8), then times 2^n.
HAND Vec exp2(Vec x) {
    const Vec n = nearest(x), f = sub(x, n);
    Vec p = fma(f, same(1.327647208e-03f), same(9.675541526e-03f));
    p = fma(f, p, same(5.550713275e-02f));
    p = fma(f, p, same(2.402211972e-01f));
    p = fma(f, p, same(6.931469671e-01f));
    p = fma(f, p, same(1.000000072e+00f));
    return times_power_of_two(p, n);
}

// x Phi(x) = x (1/2 + c P(t)), c = x clamped to +-5, t = 2 c^2 / 25 - 1, P of degree 12 (error 3.3e-7 before rounding). No division, no exponential.
HAND Vec gelu(Vec x) {
    const Vec c = max(min(x, same(5.0f)), same(-5.0f)), t = fma(mul(c, same(0.08f)), c, same(-1.0f));
    Vec p = fma(t, same(4.929693165e-04f), same(-1.514154145e-03f));
    p = fma(t, p, same(2.001860856e-03f));
    p = fma(t, p, same(-2.915672231e-03f));
    p = fma(t, p, same(6.165429822e-03f));
    p = fma(t, p, same(-1.097323253e-02f));
    p = fma(t, p, same(1.649765665e-02f));
    p = fma(t, p, same(-2.333673066e-02f));
    p = fma(t, p, same(3.142622946e-02f));
    p = fma(t, p, same(-4.043294954e-02f));
    p = fma(t, p, same(5.152142087e-02f));
    p = fma(t, p, same(-7.029665238e-02f));
    p = fma(t, p, same(1.413637805e-01f));
    return mul(x, fma(c, p, same(0.5f)));
}
