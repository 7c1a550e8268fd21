// What one core can do at best: multiply-adds out of registers, and multiply-adds whose weights stream from a cache of a given size (compile with -DVECTOR_BYTES=64, 32 or 4).
#include <stdint.h>
#include <string.h>

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));
static const int LANES = VECTOR_BYTES / 4, CHAINS = 12;

// PASSES x CHAINS x 2 x LANES floating-point operations, no memory; y[0] keeps the compiler from leaving them out.
extern "C" void multiply_infer_in(void*, const void* const* inputs, void* const* outputs) {
    const float* x = (const float*)inputs[0];
    vec sums[CHAINS], a, b;
    for (int i = 0; i < LANES; ++i) a[i] = x[0], b[i] = x[1];
    for (int c = 0; c < CHAINS; ++c) sums[c] = a * (float)c;
#pragma GCC unroll 1
    for (int pass = 0; pass < PASSES; ++pass) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; ++c) sums[c] = sums[c] * a + b;
    }
    vec total = sums[0];
    for (int c = 1; c < CHAINS; ++c) total += sums[c];
    memcpy(outputs[0], &total, 4);
}

// Reads BYTES of the workspace once, a multiply-add per vector: what a batch of one does with its weights.
template <int64_t BYTES>
static inline void stream(void* workspace, const float* x, float* y) {
    const vec* w = (const vec*)workspace;
    vec sums[8], a;
    for (int i = 0; i < LANES; ++i) a[i] = x[0];
    for (int c = 0; c < 8; ++c) sums[c] = a;
#pragma GCC unroll 4
    for (int64_t k = 0; k < BYTES / VECTOR_BYTES; k += 8)
#pragma GCC unroll 8
        for (int c = 0; c < 8; ++c) sums[c] = a * w[k + c] + sums[c];
    vec total = sums[0];
    for (int c = 1; c < 8; ++c) total += sums[c];
    memcpy(y, &total, 4);
}

#define STREAM(NAME, BYTES) extern "C" void NAME##_infer_in(void* w, const void* const* in, void* const* out) { stream<BYTES>(w, (const float*)in[0], (float*)out[0]); }
STREAM(level_1, LEVEL_1)
STREAM(level_2, LEVEL_2)
STREAM(level_3, LEVEL_3)
