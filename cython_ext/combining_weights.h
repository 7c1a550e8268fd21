/* Joint LMMSE weights of 16 groups at once and their use, in one precision: combining.h includes this with REAL and IN(name) defined.
   A value is a row of LANES numbers, one per group; a complex value two rows, real part first. `layers` is even here (combining.h pads). */

/* out[c][k] = sum over n of filter[n][k] columns[c][n], for two layers from k on and `width` columns; the sums stay in registers. */
INLINE void IN(two_layers)(const REAL *filter, int count, int layers, const REAL *const *columns, const int width, REAL *const *out)
{
    REAL sum[4][2][2][LANES] = {0};
    for (int n = 0; n < count; n++, filter += 2 * LANES * layers)
        for (int c = 0; c < width; c++) {
            const REAL *re = columns[c] + 2 * LANES * n, *im = re + LANES;
            for (int k = 0; k < 2; k++) {
                const REAL *f_re = filter + 2 * LANES * k, *f_im = f_re + LANES;
                EACH_LANE {
                    sum[c][k][0][lane] += f_re[lane] * re[lane];
                    sum[c][k][1][lane] += f_re[lane] * im[lane];
                }
                EACH_LANE {
                    sum[c][k][0][lane] -= f_im[lane] * im[lane];
                    sum[c][k][1][lane] += f_im[lane] * re[lane];
                }
            }
        }
    for (int c = 0; c < width; c++)
        for (int k = 0; k < 2; k++)
            EACH_LANE {
                out[c][2 * LANES * k + lane] = sum[c][k][0][lane];
                out[c][2 * LANES * k + LANES + lane] = sum[c][k][1][lane];
            }
}

/* The same for all layers and 1 to 4 columns: trip counts the compiler knows. */
CLONES static void IN(apply)(const REAL *filter, int count, int layers, const REAL *const *columns, int width, REAL *const *out)
{
    for (int k = 0; k < layers; k += 2) {
        REAL *here[4];
        for (int c = 0; c < width; c++)
            here[c] = out[c] + 2 * LANES * k;
        const REAL *pair = filter + 2 * LANES * k;
        switch (width) {
        case 4: IN(two_layers)(pair, count, layers, columns, 4, here); break;
        case 3: IN(two_layers)(pair, count, layers, columns, 3, here); break;
        case 2: IN(two_layers)(pair, count, layers, columns, 2, here); break;
        default: IN(two_layers)(pair, count, layers, columns, 1, here);
        }
    }
}

/* white[n][k] = conj(h[n][k]) / sd of antenna n; zero in the layer that is not there. */
INLINE void IN(whiten)(const float *h, const float *noise_var, int antennas, int real_layers, int layers, REAL *white)
{
    for (int n = 0; n < antennas; n++) {
        const REAL scale = (REAL) (1 / sqrt((double) noise_var[n]));
        for (int k = 0; k < layers; k++, white += 2 * LANES)
            if (k < real_layers) {
                EACH_LANE white[lane] = h[lane] * scale;
                EACH_LANE white[LANES + lane] = -h[LANES + lane] * scale;
                h += 2 * LANES;
            } else
                EACH_ROW(2) white[lane] = 0;
    }
}

/* Two by two entries of gram[i][j] = sum over n of white[n][i] conj(white[n][j]) = (H^H R^-1 H)_ij. */
INLINE void IN(gram_tile)(const REAL *white, int antennas, int layers, int i, int j, REAL *gram)
{
    REAL sum[2][2][2][LANES] = {0};
    for (int n = 0; n < antennas; n++, white += 2 * LANES * layers)
        for (int a = 0; a < 2; a++)
            for (int b = 0; b < 2; b++) {
                const REAL *p = white + 2 * LANES * (i + a), *q = white + 2 * LANES * (j + b);
                EACH_LANE {
                    sum[a][b][0][lane] += p[lane] * q[lane];
                    sum[a][b][1][lane] += p[LANES + lane] * q[lane];
                }
                EACH_LANE {
                    sum[a][b][0][lane] += p[LANES + lane] * q[LANES + lane];
                    sum[a][b][1][lane] -= p[lane] * q[LANES + lane];
                }
            }
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++)
            for (int part = 0; part < 2; part++)
                EACH_LANE gram[2 * LANES * ((i + a) * layers + j + b) + LANES * part + lane] = sum[a][b][part][lane];
}

/* sum += a b, or a conj(b) with sign = -1. */
INLINE void IN(add_product)(REAL *sum, const REAL *a, const REAL *b, const int sign)
{
    EACH_LANE {
        sum[lane] += a[lane] * b[lane] - sign * (a[LANES + lane] * b[LANES + lane]);
        sum[LANES + lane] += a[LANES + lane] * b[lane] + sign * (a[lane] * b[LANES + lane]);
    }
}

/* factor = R of I + gram = R R^H (lower triangle), its diagonal inverted. A pivot is at least 1, as I + gram is: rounding cannot make it less. */
INLINE void IN(cholesky)(const REAL *gram, int layers, REAL *factor)
{
    for (int k = 0; k < layers; k++)
        for (int i = k; i < layers; i++) {
            REAL sum[2 * LANES] = {0};
            REAL *entry = factor + 2 * LANES * (i * layers + k);
            const REAL *given = gram + 2 * LANES * (i * layers + k), *inverse = factor + 2 * LANES * (k * layers + k);
            for (int j = 0; j < k; j++)
                IN(add_product)(sum, factor + 2 * LANES * (i * layers + j), factor + 2 * LANES * (k * layers + j), -1);
            if (i == k)
                EACH_LANE {
                    REAL pivot = 1 + given[lane] - sum[lane];
                    entry[lane] = 1 / IN(root)(pivot > 1 ? pivot : 1);
                    entry[LANES + lane] = 0;
                }
            else
                EACH_LANE {
                    entry[lane] = (given[lane] - sum[lane]) * inverse[lane];
                    entry[LANES + lane] = (given[LANES + lane] - sum[LANES + lane]) * inverse[lane];
                }
        }
}

/* The lower triangle of R replaced by that of R^-1, column by column. */
INLINE void IN(invert)(REAL *factor, int layers)
{
    for (int k = 0; k < layers; k++)
        for (int i = k + 1; i < layers; i++) {
            REAL sum[2 * LANES] = {0};
            REAL *entry = factor + 2 * LANES * (i * layers + k);
            const REAL *inverse = factor + 2 * LANES * (i * layers + i);
            for (int j = k; j < i; j++)
                IN(add_product)(sum, factor + 2 * LANES * (i * layers + j), factor + 2 * LANES * (j * layers + k), 1);
            EACH_LANE {
                entry[lane] = -sum[lane] * inverse[lane];
                entry[LANES + lane] = -sum[LANES + lane] * inverse[lane];
            }
        }
}

/* turn[j][k] = A_kj of A = (I + gram)^-1 = C^H C, where C = R^-1. */
INLINE void IN(product)(const REAL *inverse, int layers, REAL *turn)
{
    for (int k = 0; k < layers; k++)
        for (int j = 0; j <= k; j++) {
            REAL sum[2 * LANES] = {0};
            REAL *entry = turn + 2 * LANES * (j * layers + k), *mirrored = turn + 2 * LANES * (k * layers + j);
            for (int i = k; i < layers; i++)
                IN(add_product)(sum, inverse + 2 * LANES * (i * layers + j), inverse + 2 * LANES * (i * layers + k), -1);
            EACH_LANE {
                mirrored[lane] = entry[lane] = sum[lane];       /* sum is A_jk^* = A_kj */
                mirrored[LANES + lane] = -sum[LANES + lane];
                entry[LANES + lane] = sum[LANES + lane];
            }
        }
}

/* SINR of every layer and the columns of `turn` divided by the bias (W H)_kk = 1 - A_kk, which is (A gram)_kk where that has more digits.
   doubt: trace(I + gram) times the greatest A_kk, between cond / layers and cond * layers. */
INLINE void IN(unbias)(const REAL *gram, int real_layers, int layers, REAL *turn, REAL *sinr, REAL *doubt)
{
    REAL trace[LANES] = {0}, greatest[LANES] = {0};
    for (int k = 0; k < real_layers; k++) {
        REAL bias[LANES] = {0}, scale[LANES];
        const REAL *own = turn + 2 * LANES * (k * layers + k);
        for (int j = 0; j < real_layers; j++) {
            const REAL *a = turn + 2 * LANES * (j * layers + k), *g = gram + 2 * LANES * (MAX(j, k) * layers + MIN(j, k));
            const int sign = j < k ? -1 : 1;                    /* gram_jk, of which the lower triangle is there */
            EACH_LANE bias[lane] += a[lane] * g[lane] - sign * (a[LANES + lane] * g[LANES + lane]);
        }
        EACH_LANE {
            REAL a = own[lane];
            bias[lane] = a < (REAL) 0.5 ? 1 - a : bias[lane];
            scale[lane] = bias[lane] < SILENT ? 0 : 1 / bias[lane];
            sinr[k * LANES + lane] = bias[lane] < SILENT ? 0 : bias[lane] / a;
            trace[lane] += 1 + gram[2 * LANES * (k * layers + k) + lane];
            greatest[lane] = greatest[lane] > a ? greatest[lane] : a;
        }
        for (int j = 0; j < layers; j++) {
            REAL *a = turn + 2 * LANES * (j * layers + k);
            EACH_LANE {
                a[lane] *= scale[lane];
                a[LANES + lane] *= scale[lane];
            }
        }
    }
    EACH_LANE doubt[lane] = trace[lane] * greatest[lane];
}

/* From h[n][k] to the filters of 16 groups: `turn` is unbiased A, `white` becomes the matched filter (H^H R^-1)_kn, sinr float[layers]. */
CLONES static void IN(weigh)(const float *h, const float *noise_var, int antennas, int real_layers, int layers, REAL *white, REAL *gram, REAL *factor, REAL *turn,
                      REAL *sinr, REAL *doubt)
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
        REAL *row = white + 2 * LANES * layers * n;
        EACH_ROW(2 * layers) row[lane] *= scale;
    }
}

/* weight[n][k] = W_kn = sum over j of turn[j][k] white[n][j]: pays where more columns than antennas follow. */
static void IN(form)(const REAL *white, const REAL *turn, int antennas, int layers, REAL *weight)
{
    for (int n = 0; n < antennas; n += 4) {
        int width = MIN(4, antennas - n);
        const REAL *columns[4];
        REAL *out[4];
        for (int c = 0; c < width; c++) {
            columns[c] = white + 2 * LANES * layers * (n + c);
            out[c] = weight + 2 * LANES * layers * (n + c);
        }
        IN(apply)(turn, layers, layers, columns, width, out);
    }
}
