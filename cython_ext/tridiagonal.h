/* Thomas algorithm for tridiagonal systems: one at a time, and sixteen side by side in the lanes of two vectors, with the same bits. No header of Python here. */
#ifndef VITRINE_TRIDIAGONAL_H
#define VITRINE_TRIDIAGONAL_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define TRI_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRI_CLONES
#endif
#if defined(__SSE2__)
#include <emmintrin.h>
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
    ptrdiff_t far; /* whether the solutions are more than the caches hold, and are written past them */
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

/* `count` values of eight systems into lanes: value i of the eight goes to lanes + i * step. What does not fill a tile is turned with some of the values before it. */
TRI_INLINE void to_lanes(const double *values, ptrdiff_t count, double *lanes, ptrdiff_t step)
{
    if (count >= 8)
        for (ptrdiff_t i = 0; i < count; i += 8) {
            ptrdiff_t from = i + 8 <= count ? i : count - 8;
            turn_tile(values + from, count, lanes + from * step, step);
        }
    else
        for (ptrdiff_t i = 0; i < count; i++) {
            Lane row;
            for (int s = 0; s < SIDE; s++)
                row[s] = values[s * count + i];
            memcpy(lanes + i * step, &row, sizeof(Lane));
        }
}

TRI_INLINE void from_lanes(const double *lanes, ptrdiff_t count, double *values, ptrdiff_t step)
{
    if (count >= 8)
        for (ptrdiff_t i = 0; i < count; i += 8) {
            ptrdiff_t to = i + 8 <= count ? i : count - 8;
            turn_tile(lanes + to * step, step, values + to, count);
        }
    else
        for (ptrdiff_t i = 0; i < count; i++)
            for (int s = 0; s < SIDE; s++)
                values[s * count + i] = lanes[i * step + s];
}

/* Ask for `count` values, to read or to write. */
TRI_INLINE void ask_for(const double *values, ptrdiff_t count, const int write)
{
    for (ptrdiff_t i = 0; i < count; i += 8)
        if (write)
            __builtin_prefetch(values + i, 1);
        else
            __builtin_prefetch(values + i);
}

/* `count` values to where nobody will look at them soon: past the caches, so that what is there need not be read before it is written over. */
TRI_INLINE void write_past(const double *values, ptrdiff_t count, double *to)
{
#if defined(__SSE2__)
    ptrdiff_t i = 0;
    for (; i < count && ((size_t) (to + i) & 15); i++)
        to[i] = values[i];
    for (; i + 2 <= count; i += 2)
        _mm_stream_pd(to + i, _mm_loadu_pd(values + i));
    for (; i < count; i++)
        to[i] = values[i];
#else
    memcpy(to, values, count * sizeof(double));
#endif
}

/* From here on other threads see what was written past the caches. */
TRI_INLINE void write_done(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* SETS times eight systems that follow each other, in the same order of operations as one; the sets take turns, so that one's division waits beside the other's.
   room holds (3 n + 2 n k) SETS SIDE values and begins at a multiple of 64 bytes. A pivot of 0 and what is not finite end up in the solution: only that is looked at. */
#define SETS 2
TRI_INLINE double solve_sets(const Tridiagonal *job, ptrdiff_t first, double *room, const ptrdiff_t k, const int symmetric)
{
    const ptrdiff_t n = job->n, step = SETS * SIDE;
    Lane *lower = (Lane *) room, *diagonal = lower + SETS * n, *held = diagonal + SETS * n, *upper = symmetric ? lower : held + SETS * n * k;
    for (ptrdiff_t h = 0; h < SETS; h++) {
        const ptrdiff_t system = first + h * SIDE;
        to_lanes(job->lower + system * (n - 1), n - 1, (double *) (lower + h), step);
        to_lanes(job->diagonal + system * n, n, (double *) (diagonal + h), step);
        to_lanes(job->rhs + system * n * k, n * k, (double *) (held + h), step);
        if (!symmetric)
            to_lanes(job->upper + system * (n - 1), n - 1, (double *) (upper + h), step);
    }
    const ptrdiff_t later = first + 2 * step <= job->batch ? first + step : first;
    const double *next_lower = job->lower + later * (n - 1), *next_diagonal = job->diagonal + later * n, *next_rhs = job->rhs + later * n * k;
    double *out = job->out + first * n * k;
    Lane one = 1.0 / diagonal[0], other = 1.0 / diagonal[1];
    for (ptrdiff_t i = 0; i < n - 1; i++) {
        Lane *low = lower + SETS * i, *up = upper + SETS * i, *now = held + SETS * i * k, *next = now + SETS * k;
        Lane f = low[0] * one, g = low[1] * other, u = up[0], v = up[1];
        ask_for(next_lower + i * step, step, 0);       /* a little in every row: memory works while we do */
        ask_for(next_diagonal + i * step, step, 0);
        ask_for(next_rhs + i * step * k, step * k, 0);
        up[0] = symmetric ? f : u * one;
        up[1] = symmetric ? g : v * other;
        for (ptrdiff_t j = 0; j < k; j++) {
            next[SETS * j] -= f * now[SETS * j];
            next[SETS * j + 1] -= g * now[SETS * j + 1];
            now[SETS * j] *= one;
            now[SETS * j + 1] *= other;
        }
        one = 1.0 / (diagonal[SETS * i + 2] - f * u);
        other = 1.0 / (diagonal[SETS * i + 3] - g * v);
    }
    Lane *last = held + SETS * (n - 1) * k, doubt = one * 0.0, more = other * 0.0;
    for (ptrdiff_t j = 0; j < k; j++) {
        doubt += (last[SETS * j] *= one) * 0.0;
        more += (last[SETS * j + 1] *= other) * 0.0;
    }
    for (ptrdiff_t i = n - 2; i >= 0; i--) {
        Lane *now = held + SETS * i * k, *next = now + SETS * k, f = upper[SETS * i], g = upper[SETS * i + 1];
        if (!job->far)
            ask_for(out + i * step * k, step * k, 1);
        for (ptrdiff_t j = 0; j < k; j++) {
            doubt += (now[SETS * j] -= f * next[SETS * j]) * 0.0;
            more += (now[SETS * j + 1] -= g * next[SETS * j + 1]) * 0.0;
        }
    }
    double *whole = job->far ? room + step * (3 * n + n * k) : out;
    for (ptrdiff_t h = 0; h < SETS; h++)
        from_lanes((const double *) (held + h), n * k, whole + h * SIDE * n * k, step);
    if (job->far)
        write_past(whole, step * n * k, out);
    doubt += more;
    double sum = 0;
    for (int s = 0; s < SIDE; s++)
        sum += doubt[s];
    return sum;
}

TRI_CLONES static double solve_side_by_side(const Tridiagonal *job, ptrdiff_t first, double *room)
{
    const int symmetric = job->lower == job->upper;
    if (job->k == 2)
        return symmetric ? solve_sets(job, first, room, 2, 1) : solve_sets(job, first, room, 2, 0);
    if (job->k == 3)
        return symmetric ? solve_sets(job, first, room, 3, 1) : solve_sets(job, first, room, 3, 0);
    return solve_sets(job, first, room, job->k, symmetric);
}

/* The first system that has no finite solution, or -1. */
static ptrdiff_t solve_all(const Tridiagonal *job)
{
    const ptrdiff_t n = job->n, k = job->k;
    ptrdiff_t first = 0, failed = -1;

    for (; first + SETS * SIDE <= job->batch; first += SETS * SIDE)
        if (solve_side_by_side(job, first, job->room) != 0.0 && failed < 0)
            failed = first;
    if (job->far)
        write_done();
    for (; first < job->batch; first++)
        if (solve_one(job->lower + first * (n - 1), job->diagonal + first * n, job->upper + first * (n - 1), job->rhs + first * n * k,
                      job->out + first * n * k, job->room, n, k) != 0.0 && failed < 0)
            failed = first;
    return failed;
}

#endif
