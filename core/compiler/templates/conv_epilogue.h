// What happens to the sums of one pixel before they are stored, and a second, activated copy for blocks that normalise before they convolve.
// needs: dense_epilogue.h

// y = act(sum + bias + residual) or act(sum + bias) + residual; activated = act2(gamma y + beta)
template <class ACT, bool BIAS, int RESIDUAL, bool SECOND, class ACT2> struct conv_epilogue {
    const float *bias, *residual;
    float* y;
    const float *gamma, *beta;
    float* activated;

    // `channel` counts from the first one of the picture, `at` is where the value lies in y, `count` how many channels there are from here on
    INLINE void store(const conv_epilogue& e, vec sum, int channel, long at, int count) {
        if (BIAS) sum = sum + vec_load_up_to(e.bias + channel, count);
        if (RESIDUAL == RESIDUAL_BEFORE) sum = sum + vec_load_up_to(e.residual + at, count);
        sum = ACT::of(sum);
        if (RESIDUAL == RESIDUAL_AFTER) sum = sum + vec_load_up_to(e.residual + at, count);
        vec_store_up_to(e.y + at, sum, count);
        if (SECOND) vec_store_up_to(e.activated + at, ACT2::of(vec_fma(sum, vec_load_up_to(e.gamma + channel, count), vec_load_up_to(e.beta + channel, count))), count);
    }
};
