// OpenVINO behind the entry the toolchain calls: compiled model and request are made at the first call; one thread, latency hint, float32.
// Numbers are copied into and out of the request's own tensors: binding the caller's buffers instead was not faster.
#include <cstring>
#include <openvino/openvino.hpp>

struct Loaded {
    ov::Core core;
    ov::CompiledModel model = core.compile_model(MODEL, "CPU", ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::inference_num_threads(1), ov::num_streams(1),
                                                 ov::hint::inference_precision(ov::element::f32), ov::hint::enable_cpu_pinning(false));
    ov::InferRequest request = model.create_infer_request();
    std::vector<ov::Tensor> inputs, outputs;
    Loaded() {
        for (size_t i = 0; i < model.inputs().size(); ++i) inputs.push_back(request.get_input_tensor(i));
        for (size_t i = 0; i < model.outputs().size(); ++i) outputs.push_back(request.get_output_tensor(i));
    }
};

extern "C" void ENTRY(void*, const void* const* in, void* const* out) {
    static Loaded loaded;
    for (size_t i = 0; i < loaded.inputs.size(); ++i) std::memcpy(loaded.inputs[i].data(), in[i], loaded.inputs[i].get_byte_size());
    loaded.request.infer();
    for (size_t i = 0; i < loaded.outputs.size(); ++i) std::memcpy(out[i], loaded.outputs[i].data(), loaded.outputs[i].get_byte_size());
}
