// tiny.h: the interface of tiny.cpp, written by the Vitrine kernel compiler.
//   inputs[0]  float32 [1, 2]  x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00
//   outputs[0]  float32 [3]  x%22; system(%22id%22); //%5C%0A#include %22/etc/passwd%22%0A%2A/ %3F%3F/ %E2%80%AE %00y
// All row major, as the ONNX model has them, any alignment of whole elements; outputs may not overlap inputs.
#ifndef tiny_HEADER
#define tiny_HEADER
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
extern const uint32_t tiny_abi_version, tiny_input_count, tiny_output_count;  // ABI 1
extern const uint64_t tiny_input_bytes[];
extern const char* const tiny_input_names[];
extern const char* const tiny_input_types[];
extern const uint64_t tiny_output_bytes[];
extern const char* const tiny_output_names[];
extern const char* const tiny_output_types[];
extern const uint64_t tiny_workspace_bytes;  // 64
// One call is one inference. Not re-entrant: its activations lie in one static workspace.
void tiny_infer(const void* const* inputs, void* const* outputs);
// The same in a workspace of the caller: tiny_workspace_bytes bytes, aligned to 64. Re-entrant.
void tiny_infer_in(void* workspace, const void* const* inputs, void* const* outputs);
#ifdef __cplusplus
}
#endif
#endif
