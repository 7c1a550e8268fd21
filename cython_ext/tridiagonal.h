/* Thomas algorithm for tridiagonal systems: one at a time, and eight side by side in the lanes of a vector, with the same bits. No header of Python here. */
#ifndef VITRINE_TRIDIAGONAL_H
#define VITRINE_TRIDIAGONAL_H

#include <stddef.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define TRI_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRI_CLONES
#endif
#define SIDE 8

/* Systems in one piece each: bands of n - 1, n and n - 1 values, n k right-hand sides. Where lower and upper are one array the system is symmetric. */
typedef struct {
    const double *lower, *diagonal, *upper, *rhs;
    double *out, *room;
    ptrdiff_t batch, n, k;
} Tridiagonal;

/* One system; not 0 * finite, but NaN, where a pivot was 0 or a value not finite. room holds n values: upper_i / pivot_i. */
static double solve_one(const double *lower, const double *diagonal, const double *upper, const double *rhs, double *out, double *ratio, ptrdiff_t n, ptrdiff_t k)
{
    double inverse = 1.0 / diagonal[0], doubt = inverse * 0.0;
    if (k == 2) {                                      /* x and y: both stay in registers */
        double x = rhs[0], y = rhs[1];
        for (ptrdiff_t i = 0; i < n - 1; i++) {
            double factor = lower[i] * inverse;
            ratio[i] = lower == upper ? factor : upper[i] * inverse;
            out[2 * i] = x * inverse, out[2 * i + 1] = y * inverse;
            x = rhs[2 * i + 2] - factor * x, y = rhs[2 * i + 3] - factor * y;
            inverse = 1.0 / (diagonal[i + 1] - factor * upper[i]);
            doubt += inverse * 0.0;
        }
        x *= inverse, y *= inverse;
        out[2 * n - 2] = x, out[2 * n - 1] = y;
        doubt += x * 0.0 + y * 0.0;
        for (ptrdiff_t i = n - 2; i >= 0; i--) {
            out[2 * i] = x = out[2 * i] - ratio[i] * x, out[2 * i + 1] = y = out[2 * i + 1] - ratio[i] * y;
            doubt += x * 0.0 + y * 0.0;
        }
        return doubt;
    }
    for (ptrdiff_t j = 0; j < k; j++)
        out[j] = rhs[j];
    for (ptrdiff_t i = 0; i < n - 1; i++) {
        double factor = lower[i] * inverse;
        ratio[i] = lower == upper ? factor : upper[i] * inverse;
        for (ptrdiff_t j = i * k; j < i * k + k; j++) {
            out[j + k] = rhs[j + k] - factor * out[j];
            out[j] *= inverse;
        }
        inverse = 1.0 / (diagonal[i + 1] - factor * upper[i]);
        doubt += inverse * 0.0;
    }
    for (ptrdiff_t j = (n - 1) * k; j < n * k; j++) {
        out[j] *= inverse;
        doubt += out[j] * 0.0;
    }
    for (ptrdiff_t j = (n - 1) * k - 1; j >= 0; j--) {
        out[j] -= ratio[j / k] * out[j + k];
        doubt += out[j] * 0.0;
    }
    return doubt;
}

/* Eight systems that follow each other; room holds (n + n k) SIDE values. Rows are turned into lanes on the way in and back on the way out. */
TRI_CLONES static double solve_side_by_side(const Tridiagonal *job, ptrdiff_t first, double *restrict room)
{
    const ptrdiff_t n = job->n, k = job->k, symmetric = job->lower == job->upper;
    const double *lower = job->lower + first * (n - 1), *diagonal = job->diagonal + first * n, *upper = job->upper + first * (n - 1);
    const double *rhs = job->rhs + first * n * k;
    double *out = job->out + first * n * k, *restrict ratio = room, *restrict held = room + n * SIDE;
    double inverse[SIDE], factor[SIDE], doubt[SIDE], sum = 0;
    for (int s = 0; s < SIDE; s++) {
        inverse[s] = 1.0 / diagonal[s * n];
        doubt[s] = inverse[s] * 0.0;
    }
    for (ptrdiff_t j = 0; j < k; j++)
        for (int s = 0; s < SIDE; s++)
            held[j * SIDE + s] = rhs[s * n * k + j];
    for (ptrdiff_t i = 0; i < n - 1; i++) {
        double up[SIDE];
        for (int s = 0; s < SIDE; s++)
            factor[s] = lower[s * (n - 1) + i] * inverse[s];
        if (symmetric)
            for (int s = 0; s < SIDE; s++)
                up[s] = lower[s * (n - 1) + i], ratio[i * SIDE + s] = factor[s];
        else
            for (int s = 0; s < SIDE; s++)
                up[s] = upper[s * (n - 1) + i], ratio[i * SIDE + s] = up[s] * inverse[s];
        for (ptrdiff_t j = 0; j < k; j++) {
            double *restrict here = held + (i * k + j) * SIDE, *restrict next = here + k * SIDE;
            for (int s = 0; s < SIDE; s++)
                next[s] = rhs[(s * n + i + 1) * k + j] - factor[s] * here[s];
            for (int s = 0; s < SIDE; s++)
                here[s] *= inverse[s];
        }
        for (int s = 0; s < SIDE; s++)
            inverse[s] = 1.0 / (diagonal[s * n + i + 1] - factor[s] * up[s]);
        for (int s = 0; s < SIDE; s++)
            doubt[s] += inverse[s] * 0.0;
    }
    for (ptrdiff_t i = n - 1; i >= 0; i--)
        for (ptrdiff_t j = 0; j < k; j++) {
            double *restrict here = held + (i * k + j) * SIDE, *restrict next = here + k * SIDE;
            if (i == n - 1)
                for (int s = 0; s < SIDE; s++)
                    here[s] *= inverse[s];
            else
                for (int s = 0; s < SIDE; s++)
                    here[s] -= ratio[i * SIDE + s] * next[s];
            for (int s = 0; s < SIDE; s++)
                doubt[s] += here[s] * 0.0;
            for (int s = 0; s < SIDE; s++)
                out[(s * n + i) * k + j] = here[s];
        }
    for (int s = 0; s < SIDE; s++)
        sum += doubt[s];
    return sum;
}

/* The first system that has no finite solution, or -1. */
static ptrdiff_t solve_all(const Tridiagonal *job)
{
    const ptrdiff_t n = job->n, k = job->k;
    ptrdiff_t first = 0, failed = -1;
    for (; first + SIDE <= job->batch; first += SIDE)
        if (solve_side_by_side(job, first, job->room) != 0.0 && failed < 0)
            failed = first;
    for (; first < job->batch; first++)
        if (solve_one(job->lower + first * (n - 1), job->diagonal + first * n, job->upper + first * (n - 1), job->rhs + first * n * k,
                      job->out + first * n * k, job->room, n, k) != 0.0 && failed < 0)
            failed = first;
    return failed;
}

#endif
