/* Thomas algorithm for tridiagonal systems: one at a time, and eight side by side in the lanes of a vector, with the same bits. No header of Python here. */
#ifndef VITRINE_TRIDIAGONAL_H
#define VITRINE_TRIDIAGONAL_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define TRI_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRI_CLONES
#endif
#if !defined(__GNUC__)
#error "This kernel is written with the vector types of GCC and Clang."
#endif
#define TRI_INLINE static inline __attribute__((always_inline))
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

typedef double Lane __attribute__((vector_size(64)));
#if defined(__clang__) || __GNUC__ >= 12
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef long long Places __attribute__((vector_size(64)));
#define PICK(a, b, ...) __builtin_shuffle(a, b, (Places) {__VA_ARGS__})
#endif

/* Rows and columns of 8 x 8 values exchanged: row r of `from` begins at from + r * from_step. */
TRI_INLINE void turn_tile(const double *from, ptrdiff_t from_step, double *to, ptrdiff_t to_step)
{
    Lane a[8], b[8], c[8];
    for (int r = 0; r < 8; r++)
        memcpy(&a[r], from + r * from_step, sizeof(Lane));
    for (int r = 0; r < 8; r += 2) {
        b[r] = PICK(a[r], a[r + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        b[r + 1] = PICK(a[r], a[r + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int r = 0; r < 8; r += 4)
        for (int k = 0; k < 2; k++) {
            c[r + k] = PICK(b[r + k], b[r + 2 + k], 0, 1, 8, 9, 4, 5, 12, 13);
            c[r + 2 + k] = PICK(b[r + k], b[r + 2 + k], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int r = 0; r < 4; r++) {
        Lane low = PICK(c[r], c[r + 4], 0, 1, 2, 3, 8, 9, 10, 11), high = PICK(c[r], c[r + 4], 4, 5, 6, 7, 12, 13, 14, 15);
        memcpy(to + r * to_step, &low, sizeof(Lane));
        memcpy(to + (r + 4) * to_step, &high, sizeof(Lane));
    }
}

/* `count` values of eight systems into lanes, lanes[i][system], and what the next eight will need asked for. */
TRI_INLINE void to_lanes(const double *values, ptrdiff_t count, double *lanes)
{
    ptrdiff_t i = 0;
    for (; i + 8 <= count; i += 8) {
        turn_tile(values + i, count, lanes + i * SIDE, SIDE);
        for (int r = 0; r < 8; r++)
            __builtin_prefetch(values + i + (r + SIDE) * count);
    }
    for (; i < count; i++)
        for (int s = 0; s < SIDE; s++)
            lanes[i * SIDE + s] = values[s * count + i];
}

TRI_INLINE void from_lanes(const double *lanes, ptrdiff_t count, double *values)
{
    ptrdiff_t i = 0;
    for (; i + 8 <= count; i += 8) {
        turn_tile(lanes + i * SIDE, SIDE, values + i, count);
        for (int r = 0; r < 8; r++)
            __builtin_prefetch(values + i + (r + SIDE) * count, 1);
    }
    for (; i < count; i++)
        for (int s = 0; s < SIDE; s++)
            values[s * count + i] = lanes[i * SIDE + s];
}

/* Eight systems that follow each other, in the same order of operations as one; room holds (3 n + n k) SIDE values and begins at a multiple of 64 bytes. */
TRI_CLONES static double solve_side_by_side(const Tridiagonal *job, ptrdiff_t first, double *room)
{
    const ptrdiff_t n = job->n, k = job->k, symmetric = job->lower == job->upper;
    Lane *lower = (Lane *) room, *upper = lower + n, *diagonal = upper + n, *held = diagonal + n;
    to_lanes(job->lower + first * (n - 1), n - 1, (double *) lower);
    to_lanes(job->diagonal + first * n, n, (double *) diagonal);
    to_lanes(job->rhs + first * n * k, n * k, (double *) held);
    if (!symmetric)
        to_lanes(job->upper + first * (n - 1), n - 1, (double *) upper);
    Lane inverse = 1.0 / diagonal[0], doubt = inverse * 0.0;
    for (ptrdiff_t i = 0; i < n - 1; i++) {
        Lane up = symmetric ? lower[i] : upper[i], factor = lower[i] * inverse;
        upper[i] = symmetric ? factor : up * inverse;
        for (ptrdiff_t j = i * k; j < i * k + k; j++) {
            held[j + k] -= factor * held[j];
            held[j] *= inverse;
        }
        inverse = 1.0 / (diagonal[i + 1] - factor * up);
        doubt += inverse * 0.0;
    }
    for (ptrdiff_t j = (n - 1) * k; j < n * k; j++) {
        held[j] *= inverse;
        doubt += held[j] * 0.0;
    }
    for (ptrdiff_t i = n - 2; i >= 0; i--)
        for (ptrdiff_t j = i * k; j < i * k + k; j++) {
            held[j] -= upper[i] * held[j + k];
            doubt += held[j] * 0.0;
        }
    from_lanes((const double *) held, n * k, job->out + first * n * k);
    double sum = 0;
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
