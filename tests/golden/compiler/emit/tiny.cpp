// tiny.cpp: written by the Vitrine kernel compiler, ABI 1. Do not edit; compile the model again.
//   model:         x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00
//   model sha256:  abababababababababababababababababababababababababababababababab
//   target:        avx2
//   compile with:  g++ -O3 -std=c++17 -ffp-contract=off -fno-exceptions -fno-rtti -fno-math-errno -fno-trapping-math -mprefer-vector-width=512 -mavx2 -mfma
//   budget:        2 us%0A#error
//   nodes:         2
// One block per node, in the order they run. No allocation, lock, exception or system call; activations lie in one static workspace.

#include "tiny.h"
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#if !defined(__AVX2__)
#error "This file is written for avx2: compile it with -mavx2 -mfma"
#endif
#if !defined(__FMA__)
#error "This file is written for avx2: compile it with -mavx2 -mfma"
#endif
#include <immintrin.h>
#define VEC_LANES 8  // float32 values in a register; with VEC_PLAIN defined, helpers are the plain loops that define them

// (templates)

namespace program_tiny {

alignas(64) static const float c0_w[16] = {
0x1p-1f,-0x1.4p+0f,0x1.555556p-2f,2.0f,0x1.16c2p-133f,-0x0p+0f,};
// [0] Dense, variant plain: from x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00, b%0A}
//   <- v0_x_system_id_include_etc: float32 [1, 2], x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00
//   <- constant float32 [2, 3], w%5C
//   -> v1_x_system_id_include_etc: float32 [1, 3], x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00a
namespace node_0 {
static inline void compute(const float* __restrict v0_x_system_id_include_etc, float* __restrict v1_x_system_id_include_etc) {
    const auto finish = [](auto in0) {
        using V [[maybe_unused]] = decltype(in0);
        (void)in0;
        const auto t0 = map_relu(in0);
        return t0;
    };
    { constexpr int i0 = 0; (void)i0;
        for (int i1 = 0; i1 < 3; ++i1) {
            float value = 0.0f;
            const float* const row = v0_x_system_id_include_etc + i0 * 2;
            for (int k = 0; k < 2; ++k) value = vec_fma(row[k * 1], c0_w[k * 3 + i1], value);
            value = finish(value);
            v1_x_system_id_include_etc[i0 * 3 + i1] = value;
        }
    }
}
}

// [2] Map, variant vectors: from add
//   <- v2_x_system_id_include_etc: float32 [3], x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00b
//   -> v3_x_system_id_include_etc: float32 [3], x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00y
namespace node_2 {
static inline void compute(const float* __restrict v2_x_system_id_include_etc, float* __restrict v3_x_system_id_include_etc) {
    const auto apply = [](auto in0) {
        using V [[maybe_unused]] = decltype(in0);
        (void)in0;
        const auto t0 = splat<V>(0x1.999999999999ap-4f);
        const auto t1 = in0 + t0;
        return t1;
    };
    float* const y = v3_x_system_id_include_etc + 0;
    const float* const p0 = v2_x_system_id_include_etc + 0;
    int j = 0; (void)j;
    for (; j + VEC_LANES <= 3; j += VEC_LANES) vec_store(y + j, apply(vec_load(p0 + j)));
    if (const int left = 3 % VEC_LANES) vec_store_first(y + j, apply(vec_load_first(p0 + j, left)), left);
}
}

static inline void run(char* const workspace, const void* const* inputs, void* const* outputs) {
    (void)workspace, (void)inputs, (void)outputs;
    const float* const v0_x_system_id_include_etc = static_cast<const float*>(inputs[0]);
    float* const v1_x_system_id_include_etc = reinterpret_cast<float*>(workspace + 0);
    float* const v2_x_system_id_include_etc = reinterpret_cast<float*>(workspace + 0);
    float* const v3_x_system_id_include_etc = static_cast<float*>(outputs[0]);
    node_0::compute(v0_x_system_id_include_etc, v1_x_system_id_include_etc);
    node_2::compute(v2_x_system_id_include_etc, v3_x_system_id_include_etc);
}

}  // namespace program_tiny

static_assert(sizeof(bool) == 1, "a bool is a byte in the interface");
extern "C" {
extern const uint32_t tiny_abi_version = 1, tiny_input_count = 1, tiny_output_count = 1;
extern const uint64_t tiny_workspace_bytes = 64;
extern const uint64_t tiny_input_bytes[] = {8};
extern const char* const tiny_input_names[] = {"x\042\073 system(\042id\042)\073 //\134\012\043include \042/etc/passwd\042\012\052/ \077\077/ \342\200\256 \000"};
extern const char* const tiny_input_types[] = {"float32[1, 2]"};
extern const uint64_t tiny_output_bytes[] = {12};
extern const char* const tiny_output_names[] = {"x\042\073 system(\042id\042)\073 //\134\012\043include \042/etc/passwd\042\012\052/ \077\077/ \342\200\256 \000y"};
extern const char* const tiny_output_types[] = {"float32[3]"};
void tiny_infer_in(void* workspace, const void* const* inputs, void* const* outputs) {
    program_tiny::run(static_cast<char*>(workspace), inputs, outputs);
}
void tiny_infer(const void* const* inputs, void* const* outputs) {
    alignas(64) static char workspace[64];
    program_tiny::run(workspace, inputs, outputs);
}
}
