/* Fused IQ combining for 16 groups of subcarriers at once: plain loops over LANES, cloned per processor level where the compiler can choose at load time. */
#ifndef VITRINE_COMBINING_H
#define VITRINE_COMBINING_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#define restrict
#endif

#define LANES 16
#define EACH_LANE for (int lane = 0; lane < LANES; lane++)
#define EACH_ROW(rows) for (int lane = 0; lane < (rows) * LANES; lane++)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define SILENT 1e-30f        /* a layer of less SINR than this is not heard: its symbols and SINR are 0 */
#define DOUBTFUL 1e4f        /* a group whose doubt exceeds this is computed again in double */

#define REAL float
#define IN(name) name##_float
#define root_float sqrtf
#include "combining_weights.h"
#undef REAL
#undef IN

#define REAL double
#define IN(name) name##_double
#define root_double sqrt
#include "combining_weights.h"
#undef REAL
#undef IN

typedef struct {
    const float *y, *h, *noise_var;     /* rows or planes; noise_var[antennas] */
    float *x, *sinr;
    ptrdiff_t groups;
    int antennas, layers, symbols, span;
    char *room;                         /* combining_room bytes, aligned to 64 */
} Combining;

/* What one block of 16 groups is worked on in. `layers` of the buffers is even. */
typedef struct {
    float *h, *white, *weight, *gram, *factor, *turn, *sinr, *columns, *matched, *out;
    double *white_d, *weight_d, *gram_d, *factor_d, *turn_d, *sinr_d, *columns_d, *out_d;
} Buffers;

#define PADDED(layers) (((layers) + 1) & ~1)

/* Lay the buffers out behind each other; returns the bytes they take. */
static size_t lay_out(const Combining *job, Buffers *b)
{
    const size_t n = job->antennas, l = PADDED(job->layers), row = LANES * sizeof(float), complex_row = 2 * row;
    size_t at = 0;
#define TAKE(name, bytes) (b->name = (void *) (job->room + at), at += (bytes))
    TAKE(h, n * l * complex_row);
    TAKE(white, n * l * complex_row);
    TAKE(weight, n * l * complex_row);
    TAKE(gram, l * l * complex_row);
    TAKE(factor, l * l * complex_row);
    TAKE(turn, l * l * complex_row);
    TAKE(sinr, l * row);
    TAKE(columns, 4 * n * complex_row + 4 * row);
    TAKE(matched, 4 * l * complex_row);
    TAKE(out, 4 * l * complex_row);
    TAKE(white_d, 2 * n * l * complex_row);
    TAKE(weight_d, 2 * n * l * complex_row);
    TAKE(gram_d, 2 * l * l * complex_row);
    TAKE(factor_d, 2 * l * l * complex_row);
    TAKE(turn_d, 2 * l * l * complex_row);
    TAKE(sinr_d, 2 * l * row);
    TAKE(columns_d, 2 * 4 * n * complex_row);
    TAKE(out_d, 2 * 4 * l * complex_row);
#undef TAKE
    return at;
}

static size_t combining_room(int antennas, int layers)
{
    Combining job = {0};
    Buffers unused;
    job.antennas = antennas;
    job.layers = layers;
    return lay_out(&job, &unused);
}

/* Rows of complex64 <-> lanes: a perfect shuffle of 2^k rows of 16, k times, turns them round. */

INLINE void shuffle(const float *restrict in, float *restrict out, const int rows)
{
    for (int r = 0; r < rows / 2; r++)
        EACH_LANE {
            out[2 * LANES * r + 2 * lane] = in[LANES * r + lane];
            out[2 * LANES * r + 2 * lane + 1] = in[LANES * (r + rows / 2) + lane];
        }
}

INLINE void turn_sixteen(float *tile, float *out)
{
    float other[16 * LANES];
    shuffle(tile, other, 16);
    shuffle(other, tile, 16);
    shuffle(tile, other, 16);
    shuffle(other, out, 16);
}

/* out[k][lane] = row of the lane [k], k < count; a last part of less than 16 goes over what is there already. */
CLONES static void to_lanes(const float *const *rows, int count, float *out)
{
    float tile[16 * LANES];
    if (count < LANES) {
        for (int k = 0; k < count; k++)
            EACH_LANE out[LANES * k + lane] = rows[lane][k];
        return;
    }
    for (int k = 0; k < count; k += LANES) {
        k = MIN(k, count - LANES);
        for (int r = 0; r < 16; r++)
            memcpy(tile + LANES * r, rows[r] + k, sizeof(float) * LANES);
        turn_sixteen(tile, out + LANES * k);
    }
}

/* The way back, for the first `real` lanes. */
CLONES static void from_lanes(float *in, int count, int real, float *const *rows)
{
    float tile[16 * LANES];
    int k = 0;
    for (; k + 16 <= count; k += 16) {
        turn_sixteen(in + LANES * k, tile);
        for (int r = 0; r < real; r++)
            memcpy(rows[r] + k, tile + LANES * r, sizeof(float) * LANES);
    }
    if (k + 8 == count) {
        shuffle(in + LANES * k, tile, 8);
        shuffle(tile, in + LANES * k, 8);
        shuffle(in + LANES * k, tile, 8);
        for (int r = 0; r < real; r++)
            memcpy(rows[r] + k, tile + 8 * r, sizeof(float) * 8);
        return;
    }
    for (; k < count; k++)
        for (int r = 0; r < real; r++)
            rows[r][k] = in[LANES * k + r];
}

/* One block */

/* Weights of block `b`: writes its SINR, marks the lanes to do again; returns how many these are. */
static int block_weights(const Combining *job, const Buffers *b, const float *h, int real, const int formed, uint8_t *again)
{
    const int n = job->antennas, l = PADDED(job->layers);
    float doubt[LANES];
    int count = 0;
    weigh_float(h, job->noise_var, n, job->layers, l, b->white, b->gram, b->factor, b->turn, b->sinr, doubt);
    for (int lane = 0; lane < LANES; lane++) {
        again[lane] = lane < real && !(doubt[lane] <= DOUBTFUL);
        count += again[lane];
    }
    if (count) {
        double unused[LANES];
        weigh_double(h, job->noise_var, n, job->layers, l, b->white_d, b->gram_d, b->factor_d, b->turn_d, b->sinr_d, unused);
        form_double(b->white_d, b->turn_d, n, l, b->weight_d);
        for (int k = 0; k < job->layers; k++)
            EACH_LANE if (again[lane]) b->sinr[LANES * k + lane] = (float) b->sinr_d[LANES * k + lane];
    }
    if (formed && count < real)
        form_float(b->white, b->turn, n, l, b->weight);
    return count;
}

/* Up to four columns y[n] into out[k]: by the weights, or matched filter and turn; the marked lanes in double. */
static void block_columns(const Combining *job, const Buffers *b, const float *const *columns, int width, float *const *out, const int formed, int all_again,
                          int count, const uint8_t *again)
{
    const int n = job->antennas, l = PADDED(job->layers);
    if (!all_again && formed)
        apply_float(b->weight, n, l, columns, width, out);
    else if (!all_again) {
        float *matched[4];
        for (int c = 0; c < 4; c++)
            matched[c] = b->matched + 2 * LANES * l * c;
        apply_float(b->white, n, l, columns, width, matched);
        apply_float(b->turn, l, l, (const float *const *) matched, width, out);
    }
    if (count) {
        double *exact[4];
        for (int c = 0; c < width; c++) {
            double *column = b->columns_d + 2 * LANES * n * c;
            exact[c] = b->out_d + 2 * LANES * l * c;
            EACH_ROW(2 * n) column[lane] = columns[c][lane];
        }
        const double *exact_columns[4];
        for (int c = 0; c < 4; c++)
            exact_columns[c] = b->columns_d + 2 * LANES * n * c;
        apply_double(b->weight_d, n, l, exact_columns, width, exact);
        for (int c = 0; c < width; c++)
            for (int k = 0; k < 2 * job->layers; k++)
                EACH_LANE if (again[lane]) out[c][LANES * k + lane] = (float) exact[c][LANES * k + lane];
    }
}

/* Every column of a block in even shares of at most four. `rows`: y and x are complex64 rows, else planes. */
static void block_symbols(const Combining *job, const Buffers *b, ptrdiff_t block, int real, const int rows, const int formed, int count, const uint8_t *again)
{
    const ptrdiff_t total = (ptrdiff_t) job->symbols * job->span, tiles = (total + 3) / 4;
    const ptrdiff_t n = job->antennas, l = job->layers, blocks = (job->groups + LANES - 1) / LANES, row_count = job->groups * job->span;
    for (ptrdiff_t t = 0, first = 0; t < tiles; t++) {
        const int width = (int) ((total - first + tiles - t - 1) / (tiles - t));
        const float *columns[4];
        float *out[4];
        for (int c = 0; c < width; c++) {
            const ptrdiff_t s = (first + c) / job->span, j = (first + c) % job->span, at = (s * blocks + block) * job->span + j;
            columns[c] = job->y + at * n * 2 * LANES;
            out[c] = job->x + at * l * 2 * LANES;
            if (rows || l != PADDED(l))
                out[c] = b->out + 2 * LANES * PADDED(l) * c;
            if (rows) {
                const float *from[LANES];
                for (int r = 0; r < LANES; r++)
                    from[r] = job->y + 2 * n * (s * row_count + (block * LANES + MIN(r, real - 1)) * job->span + j);
                to_lanes(from, (int) (2 * n), b->columns + 2 * LANES * n * c);
                columns[c] = b->columns + 2 * LANES * n * c;
            }
        }
        block_columns(job, b, columns, width, out, formed, count == real, count, again);
        for (int c = 0; c < width && (rows || l != PADDED(l)); c++) {
            const ptrdiff_t s = (first + c) / job->span, j = (first + c) % job->span;
            if (rows) {
                float *to[LANES];
                for (int r = 0; r < real; r++)
                    to[r] = job->x + 2 * l * (s * row_count + (block * LANES + r) * job->span + j);
                from_lanes(out[c], (int) (2 * l), real, to);
            } else
                memcpy(job->x + ((s * blocks + block) * job->span + j) * l * 2 * LANES, out[c], sizeof(float) * 2 * LANES * l);
        }
        first += width;
    }
}

static ptrdiff_t combine(const Combining *job, const int rows, const int formed)
{
    const ptrdiff_t n = job->antennas, l = job->layers, blocks = (job->groups + LANES - 1) / LANES;
    Buffers buffers;
    ptrdiff_t recomputed = 0;
    lay_out(job, &buffers);
    for (ptrdiff_t block = 0; block < blocks; block++) {
        const int real = (int) MIN(LANES, job->groups - LANES * block);
        const float *h = job->h + block * n * l * 2 * LANES;
        uint8_t again[LANES];
        if (rows) {
            const float *from[LANES];
            for (int r = 0; r < LANES; r++)
                from[r] = job->h + 2 * n * l * (LANES * block + MIN(r, real - 1));
            to_lanes(from, (int) (2 * n * l), buffers.h);
            h = buffers.h;
        }
        int count = block_weights(job, &buffers, h, real, formed, again);
        if (rows)
            for (int r = 0; r < real; r++)
                for (int k = 0; k < l; k++)
                    job->sinr[(LANES * block + r) * l + k] = buffers.sinr[LANES * k + r];
        else
            memcpy(job->sinr + block * l * LANES, buffers.sinr, sizeof(float) * LANES * l);
        block_symbols(job, &buffers, block, real, rows, formed, count, again);
        recomputed += count;
    }
    return recomputed;
}

/* y[symbols][sc][antennas], h[groups][antennas][layers], x[symbols][sc][layers] complex64, sinr[groups][layers]; returns how many groups were done again. */
static ptrdiff_t combine_rows(const Combining *job)
{
    return job->antennas < job->symbols * job->span ? combine(job, 1, 1) : combine(job, 1, 0);
}

/* y[symbols][blocks][span][antennas][2][16], h[blocks][antennas][layers][2][16], x[symbols][blocks][span][layers][2][16], sinr[blocks][layers][16]. */
static ptrdiff_t combine_blocks(const Combining *job)
{
    return job->antennas < job->symbols * job->span ? combine(job, 0, 1) : combine(job, 0, 0);
}

#endif
