// y[c * y_row + r] = x[r * x_row + c] for a matrix of `rows` x `columns`: register blocks turned by shuffles, the rest value by value.
// needs: math_vec.h

INLINE void shape_transpose(const float* x, long x_row, float* y, long y_row, int rows, int columns) {
    int whole_rows = rows - rows % VEC_LANES, whole_columns = columns - columns % VEC_LANES;
    for (int r = 0; r < whole_rows; r += VEC_LANES)
        for (int c = 0; c < whole_columns; c += VEC_LANES) {
            vec block[VEC_LANES];
#pragma GCC unroll 16
            for (int k = 0; k < VEC_LANES; ++k) block[k] = vec_load(x + (r + k) * x_row + c);
            vec_transpose(block);
#pragma GCC unroll 16
            for (int k = 0; k < VEC_LANES; ++k) vec_store(y + (c + k) * y_row + r, block[k]);
        }
    for (int r = 0; r < rows; ++r)
        for (int c = r < whole_rows ? whole_columns : 0; c < columns; ++c) y[c * y_row + r] = x[r * x_row + c];
}
