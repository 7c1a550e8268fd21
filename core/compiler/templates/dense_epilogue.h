// What happens to a sum before it is stored: scale of the row, bias, residual, activation, all while it is still in a register.
// needs: math_functions.h

enum { RESIDUAL_NONE, RESIDUAL_BEFORE, RESIDUAL_AFTER };

// y = act(sum scale + bias + residual) or act(sum scale + bias) + residual. What is not wanted is not computed: every flag is known while compiling.
template <class ACT, bool SCALE, bool BIAS, int RESIDUAL> struct dense_epilogue {
    INLINE vec of(vec sum, vec scale, vec bias, vec residual) {
        if (SCALE && BIAS) sum = vec_fma(sum, scale, bias);
        else if (SCALE) sum = sum * scale;
        else if (BIAS) sum = sum + bias;
        if (RESIDUAL == RESIDUAL_BEFORE) sum = sum + residual;
        sum = ACT::of(sum);
        return RESIDUAL == RESIDUAL_AFTER ? sum + residual : sum;
    }
    static constexpr bool scaled = SCALE, biased = BIAS, residual = RESIDUAL != RESIDUAL_NONE;
};
