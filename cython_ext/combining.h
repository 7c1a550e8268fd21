/* Fused IQ combining for 16 groups of subcarriers at once: plain C on vectors of 16, cloned per processor level where that can be chosen at load time. */
#ifndef VITRINE_COMBINING_H
#define VITRINE_COMBINING_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vectors.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define SILENT 1e-30f        /* a layer of less SINR than this is not heard: its symbols and SINR are 0 */
#define DOUBTFUL 48.0f       /* a group whose doubt exceeds this is computed again in double */

#define ENTRY(matrix, i, j) ((matrix) + 2 * ((i) * layers + (j)))     /* of a matrix of complex lanes */

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
    float *h, *sinr;
    double *sinr_d;
    lane_float *white, *weight, *gram, *factor, *turn, *columns, *matched, *out;
    lane_double *white_d, *weight_d, *gram_d, *factor_d, *turn_d;
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
    TAKE(white_d, n * l * complex_row);
    TAKE(weight_d, n * l * complex_row);
    TAKE(gram_d, l * l * complex_row);
    TAKE(factor_d, l * l * complex_row);
    TAKE(turn_d, l * l * complex_row);
    TAKE(sinr_d, l * row);
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
        for (int k = 0; k < LANES; k++) {
            out[2 * LANES * r + 2 * k] = in[LANES * r + k];
            out[2 * LANES * r + 2 * k + 1] = in[LANES * (r + rows / 2) + k];
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

/* out[k][r] = row r [k], k < count; the last of `real` rows stands for those that are not there. A last part of less than 16 goes over what is there. */
CLONES static void read_rows(const float *rows, ptrdiff_t stride, int real, int count, float *out)
{
    float tile[16 * LANES];
    if (count < LANES) {
        for (int k = 0; k < count; k++)
            for (int r = 0; r < LANES; r++)
                out[LANES * k + r] = rows[stride * MIN(r, real - 1) + k];
        return;
    }
    for (int k = 0; k < count; k += LANES) {
        k = MIN(k, count - LANES);
        for (int r = 0; r < LANES; r++)
            memcpy(tile + LANES * r, rows + stride * MIN(r, real - 1) + k, sizeof(float) * LANES);
        turn_sixteen(tile, out + LANES * k);
    }
}

/* The way back. `in` is used up. */
CLONES static void write_rows(float *in, int count, float *rows, ptrdiff_t stride, int real)
{
    float tile[16 * LANES];
    int k = 0;
    for (; k + 16 <= count; k += 16) {
        turn_sixteen(in + LANES * k, tile);
        for (int r = 0; r < real; r++)
            memcpy(rows + stride * r + k, tile + LANES * r, sizeof(float) * LANES);
    }
    for (; k + 8 <= count; k += 8) {
        shuffle(in + LANES * k, tile, 8);
        shuffle(tile, in + LANES * k, 8);
        shuffle(in + LANES * k, tile, 8);
        for (int r = 0; r < real; r++)
            memcpy(rows + stride * r + k, tile + 8 * r, sizeof(float) * 8);
    }
    for (; k < count; k++)
        for (int r = 0; r < real; r++)
            rows[stride * r + k] = in[LANES * k + r];
}

/* One block */

/* The formed weights and the SINR of one block again, in double, eight groups at a time. */
static void weights_in_double(const Combining *job, const Buffers *b, const float *h)
{
    const int n = job->antennas, l = PADDED(job->layers);
    double unused[8];
    for (int half = 0; half < LANES; half += 8) {
        weigh_double(h + half, job->noise_var, n, job->layers, l, b->white_d, b->gram_d, b->factor_d, b->turn_d, b->sinr_d, unused);
        form_double(b->white_d, b->turn_d, n, l, b->weight_d);
        for (int row = 0; row < 2 * n * l; row++)
            for (int lane = 0; lane < 8; lane++)
                ((float *) (b->weight + row))[half + lane] = (float) b->weight_d[row][lane];
        for (int k = 0; k < job->layers; k++)
            for (int lane = 0; lane < 8; lane++)
                b->sinr[LANES * k + half + lane] = (float) b->sinr_d[8 * k + lane];
    }
}

/* Weights of one block: its SINR, and what `block_columns` applies. Where a group is ill-conditioned the whole block is weighed again in double and has its
   weights formed: W is not ill-conditioned, only the way to it is. Returns how many groups that were. */
static int block_weights(const Combining *job, const Buffers *b, const float *h, int real, int *formed)
{
    const int n = job->antennas, l = PADDED(job->layers);
    float doubt[LANES];
    int count = 0;
    weigh_float(h, job->noise_var, n, job->layers, l, b->white, b->gram, b->factor, b->turn, b->sinr, doubt);
    for (int lane = 0; lane < real; lane++)
        count += !(doubt[lane] <= DOUBTFUL);
    *formed = count || n < job->symbols * job->span;
    if (count)
        weights_in_double(job, b, h);
    else if (*formed)
        form_float(b->white, b->turn, n, l, b->weight);
    return count;
}

/* Up to four columns y[n] into out[k]: by the weights, or by matched filter and turn. */
static void block_columns(const Combining *job, const Buffers *b, const lane_float *const *columns, int width, lane_float *const *out, int formed)
{
    const int n = job->antennas, l = PADDED(job->layers);
    lane_float *matched[4] = {b->matched, b->matched + 2 * l, b->matched + 4 * l, b->matched + 6 * l};
    if (formed) {
        apply_float(b->weight, n, l, columns, width, out);
        return;
    }
    apply_float(b->white, n, l, columns, width, matched);
    apply_float(b->turn, l, l, (const lane_float *const *) matched, width, out);
}

/* Every column of a block in even shares of at most four. `rows`: y and x are complex64 rows, else planes. */
static void block_symbols(const Combining *job, const Buffers *b, ptrdiff_t block, int real, int rows, int formed)
{
    const ptrdiff_t total = (ptrdiff_t) job->symbols * job->span, tiles = (total + 3) / 4;
    const ptrdiff_t n = job->antennas, l = job->layers, blocks = (job->groups + LANES - 1) / LANES, subcarriers = job->groups * job->span;
    const int through = rows || l != PADDED(l);                 /* the output goes through a buffer */
    for (ptrdiff_t t = 0, first = 0, width; t < tiles; t++, first += width) {
        const lane_float *columns[4];
        lane_float *out[4];
        width = (total - first + tiles - t - 1) / (tiles - t);
        for (int c = 0; c < width; c++) {
            const ptrdiff_t s = (first + c) / job->span, j = (first + c) % job->span, at = (s * blocks + block) * job->span + j;
            columns[c] = rows ? b->columns + 2 * n * c : (const lane_float *) job->y + at * n * 2;
            out[c] = through ? b->out + 2 * PADDED(l) * c : (lane_float *) job->x + at * l * 2;
            if (rows)
                read_rows(job->y + 2 * n * (s * subcarriers + block * LANES * job->span + j), 2 * n * job->span, real, (int) (2 * n), (float *) columns[c]);
        }
        block_columns(job, b, columns, (int) width, out, formed);
        for (int c = 0; c < width && through; c++) {
            const ptrdiff_t s = (first + c) / job->span, j = (first + c) % job->span, at = (s * blocks + block) * job->span + j;
            if (rows)
                write_rows((float *) out[c], (int) (2 * l), job->x + 2 * l * (s * subcarriers + block * LANES * job->span + j), 2 * l * job->span, real);
            else
                memcpy(job->x + at * l * 2 * LANES, out[c], sizeof(float) * 2 * LANES * l);
        }
    }
}

static ptrdiff_t combine(const Combining *job, int rows)
{
    const ptrdiff_t n = job->antennas, l = job->layers, blocks = (job->groups + LANES - 1) / LANES;
    Buffers buffers;
    ptrdiff_t recomputed = 0;
    lay_out(job, &buffers);
    for (ptrdiff_t block = 0; block < blocks; block++) {
        const int real = (int) MIN(LANES, job->groups - LANES * block);
        const float *h = job->h + block * n * l * 2 * LANES;
        int formed;
        if (rows) {
            read_rows(job->h + 2 * n * l * LANES * block, 2 * n * l, real, (int) (2 * n * l), buffers.h);
            h = buffers.h;
        }
        recomputed += block_weights(job, &buffers, h, real, &formed);
        if (rows)
            for (int r = 0; r < real; r++)
                for (int k = 0; k < l; k++)
                    job->sinr[(LANES * block + r) * l + k] = buffers.sinr[LANES * k + r];
        else
            memcpy(job->sinr + block * l * LANES, buffers.sinr, sizeof(float) * LANES * l);
        block_symbols(job, &buffers, block, real, rows, formed);
    }
    return recomputed;
}

/* y[symbols][sc][antennas], h[groups][antennas][layers], x[symbols][sc][layers] complex64, sinr[groups][layers]; returns how many groups were done again. */
static ptrdiff_t combine_rows(const Combining *job)
{
    return combine(job, 1);
}

/* y[symbols][blocks][span][antennas][2][16], h[blocks][antennas][layers][2][16], x[symbols][blocks][span][layers][2][16], sinr[blocks][layers][16]. */
static ptrdiff_t combine_blocks(const Combining *job)
{
    return combine(job, 0);
}

#endif
