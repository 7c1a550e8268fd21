/* Joint LMMSE weights of some groups at once and their use, in one precision: combining.h includes this with REAL and IN(name) defined.
   LANE is a row of WIDE numbers (64 bytes), one per group; a complex value is two rows, real part first. `layers` is even here (combining.h pads). */

#define LANE IN(lane)
typedef REAL LANE __attribute__((vector_size(64), aligned(16), may_alias));
#define WIDE ((int) (64 / sizeof(REAL)))
#define EACH_LANE for (int lane = 0; lane < WIDE; lane++)

/* sum += a b, or a conj(b) with conj = -1. */
INLINE void IN(add_product)(LANE *sum, const LANE *a, const LANE *b, const REAL conj)
{
    sum[0] += a[0] * b[0];
    sum[1] += a[1] * b[0];
    sum[0] -= conj * a[1] * b[1];
    sum[1] += conj * a[0] * b[1];
}

/* out[c][k] = sum over n of filter[n][k] columns[c][n], for two layers from k on and `width` columns; the sums stay in registers. */
INLINE void IN(two_layers)(const LANE *filter, int count, int layers, const LANE *const *columns, const int width, LANE *const *out)
{
    LANE sum[4][2][2] = {0};
    for (int n = 0; n < count; n++)
        for (int c = 0; c < width; c++)
            for (int k = 0; k < 2; k++)
                IN(add_product)(sum[c][k], ENTRY(filter, n, k), columns[c] + 2 * n, 1);
    for (int c = 0; c < width; c++)
        for (int part = 0; part < 4; part++)
            out[c][part] = sum[c][part / 2][part % 2];
}

/* The same for all layers and 1 to 4 columns: trip counts the compiler knows. */
CLONES static void IN(apply)(const LANE *filter, int count, int layers, const LANE *const *columns, int width, LANE *const *out)
{
    for (int k = 0; k < layers; k += 2) {
        LANE *here[4];
        for (int c = 0; c < width; c++)
            here[c] = out[c] + 2 * k;
        switch (width) {
        case 4: IN(two_layers)(ENTRY(filter, 0, k), count, layers, columns, 4, here); break;
        case 3: IN(two_layers)(ENTRY(filter, 0, k), count, layers, columns, 3, here); break;
        case 2: IN(two_layers)(ENTRY(filter, 0, k), count, layers, columns, 2, here); break;
        default: IN(two_layers)(ENTRY(filter, 0, k), count, layers, columns, 1, here);
        }
    }
}

/* white[n][k] = conj(h[n][k]) / sd of antenna n; zero in the layer that is not there. */
INLINE void IN(whiten)(const float *restrict h, const float *noise_var, int antennas, int real_layers, int layers, LANE *restrict white)
{
    for (int n = 0; n < antennas; n++, h += 2 * LANES * real_layers, white += 2 * layers) {
        const REAL scale = (REAL) (1 / sqrt((double) noise_var[n]));
        for (int k = 0; k < real_layers; k++) {
            EACH_LANE ((REAL *) (white + 2 * k))[lane] = h[2 * LANES * k + lane] * scale;
            EACH_LANE ((REAL *) (white + 2 * k))[WIDE + lane] = -h[2 * LANES * k + LANES + lane] * scale;
        }
        for (int k = 2 * real_layers; k < 2 * layers; k++)
            white[k] = (LANE) {0};
    }
}

/* Two by two entries of gram[i][j] = sum over n of white[n][i] conj(white[n][j]) = (H^H R^-1 H)_ij. */
INLINE void IN(gram_tile)(const LANE *white, int antennas, int layers, int i, int j, LANE *gram)
{
    LANE sum[2][2][2] = {0};
    for (int n = 0; n < antennas; n++)
        for (int a = 0; a < 2; a++)
            for (int b = 0; b < 2; b++)
                IN(add_product)(sum[a][b], ENTRY(white, n, i + a), ENTRY(white, n, j + b), -1);
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 4; b++)
            ENTRY(gram, i + a, j)[b] = sum[a][b / 2][b % 2];
}

/* factor = R of I + gram = R R^H (lower triangle), its diagonal inverted. A pivot is at least 1, as I + gram is: rounding cannot make it less. */
INLINE void IN(cholesky)(const LANE *restrict gram, int layers, LANE *restrict factor)
{
    for (int k = 0; k < layers; k++)
        for (int i = k; i < layers; i++) {
            LANE sum[2] = {0}, *entry = ENTRY(factor, i, k);
            for (int j = 0; j < k; j++)
                IN(add_product)(sum, ENTRY(factor, i, j), ENTRY(factor, k, j), -1);
            sum[0] = ENTRY(gram, i, k)[0] - sum[0];
            sum[1] = ENTRY(gram, i, k)[1] - sum[1];
            if (i == k) {
                EACH_LANE ((REAL *) entry)[lane] = 1 / IN(root)(sum[0][lane] > 0 ? 1 + sum[0][lane] : 1);
                entry[1] = (LANE) {0};
            } else {
                entry[0] = sum[0] * ENTRY(factor, k, k)[0];
                entry[1] = sum[1] * ENTRY(factor, k, k)[0];
            }
        }
}

/* The lower triangle of R replaced by that of C = R^-1, column by column. */
INLINE void IN(invert)(LANE *factor, int layers)
{
    for (int k = 0; k < layers; k++)
        for (int i = k + 1; i < layers; i++) {
            LANE sum[2] = {0};
            for (int j = k; j < i; j++)
                IN(add_product)(sum, ENTRY(factor, i, j), ENTRY(factor, j, k), 1);
            ENTRY(factor, i, k)[0] = -sum[0] * ENTRY(factor, i, i)[0];
            ENTRY(factor, i, k)[1] = -sum[1] * ENTRY(factor, i, i)[0];
        }
}

/* turn[j][k] = A_kj of A = (I + gram)^-1 = C^H C. */
INLINE void IN(product)(const LANE *restrict inverse, int layers, LANE *restrict turn)
{
    for (int k = 0; k < layers; k++)
        for (int j = 0; j <= k; j++) {
            LANE sum[2] = {0};
            for (int i = k; i < layers; i++)
                IN(add_product)(sum, ENTRY(inverse, i, j), ENTRY(inverse, i, k), -1);       /* A_jk^* = A_kj */
            ENTRY(turn, k, j)[0] = sum[0];
            ENTRY(turn, k, j)[1] = -sum[1];
            ENTRY(turn, j, k)[0] = sum[0];
            ENTRY(turn, j, k)[1] = sum[1];
        }
}

/* SINR of every layer and the columns of `turn` divided by the bias (W H)_kk = 1 - A_kk, which is (A gram)_kk where that has more digits.
   doubt: trace(I + gram) times the greatest A_kk, between cond / layers and cond * layers. */
INLINE void IN(unbias)(const LANE *gram, int real_layers, int layers, LANE *turn, REAL *sinr, REAL *doubt)
{
    REAL trace[WIDE], greatest[WIDE];
    EACH_LANE trace[lane] = greatest[lane] = 0;
    for (int k = 0; k < real_layers; k++) {
        const REAL *own = (const REAL *) ENTRY(turn, k, k);
        REAL scale[WIDE];
        LANE bias = {0};
        for (int j = 0; j < real_layers; j++) {
            const LANE *a = ENTRY(turn, j, k), *g = ENTRY(gram, MAX(j, k), MIN(j, k));      /* of gram the lower triangle is there */
            bias += j < k ? a[0] * g[0] + a[1] * g[1] : a[0] * g[0] - a[1] * g[1];
        }
        EACH_LANE {
            REAL a = own[lane], share = a < (REAL) 0.5 ? 1 - a : bias[lane];
            scale[lane] = share < SILENT ? 0 : 1 / share;
            sinr[k * WIDE + lane] = share < SILENT ? 0 : share / a;
            trace[lane] += 1 + ((const REAL *) ENTRY(gram, k, k))[lane];
            greatest[lane] = greatest[lane] > a ? greatest[lane] : a;
        }
        for (int j = 0; j < layers; j++)
            for (int part = 0; part < 2; part++)
                ENTRY(turn, j, k)[part] *= *(const LANE *) scale;
    }
    EACH_LANE doubt[lane] = trace[lane] * greatest[lane];
}

/* From h[n][k], in rows of 16, to the filters of WIDE groups: `turn` is unbiased A, `white` becomes the matched filter (H^H R^-1)_kn, sinr[layers][WIDE]. */
CLONES static void IN(weigh)(const float *h, const float *noise_var, int antennas, int real_layers, int layers, LANE *white, LANE *gram, LANE *factor,
                             LANE *turn, REAL *sinr, REAL *doubt)
{
    IN(whiten)(h, noise_var, antennas, real_layers, layers, white);
    for (int i = 0; i < layers; i += 2)
        for (int j = 0; j <= i; j += 2)
            IN(gram_tile)(white, antennas, layers, i, j, gram);
    IN(cholesky)(gram, layers, factor);
    IN(invert)(factor, layers);
    IN(product)(factor, layers, turn);
    IN(unbias)(gram, real_layers, layers, turn, sinr, doubt);
    for (int n = 0; n < antennas; n++) {
        const REAL scale = (REAL) (1 / sqrt((double) noise_var[n]));
        for (int k = 0; k < 2 * layers; k++)
            ENTRY(white, n, 0)[k] *= scale;
    }
}

/* weight[n][k] = W_kn = sum over j of turn[j][k] white[n][j]: pays where more columns than antennas follow. */
static void IN(form)(const LANE *white, const LANE *turn, int antennas, int layers, LANE *weight)
{
    for (int n = 0; n < antennas; n += 4) {
        const int width = MIN(4, antennas - n);
        const LANE *columns[4];
        LANE *out[4];
        for (int c = 0; c < width; c++) {
            columns[c] = ENTRY(white, n + c, 0);
            out[c] = ENTRY(weight, n + c, 0);
        }
        IN(apply)(turn, layers, layers, columns, width, out);
    }
}
#undef LANE
#undef WIDE
#undef EACH_LANE
