"""ONNX Runtime in a process of its own for the race: one thread, one pinned core, inputs and outputs bound in advance; commands and times as JSON lines. Run by file, never imported."""

import json
import os
import sys
import time


def main() -> None:
    """Arguments: model, inputs (.npz in the order of the model), where to write the outputs (.npz), processor (-1: any)."""
    model, inputs, outputs, core = sys.argv[1:]
    if int(core) >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core)})
    call, version = prepared(model, inputs, outputs)
    print(json.dumps(dict(ready=version)), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(blocks(call, **asked["blocks"]) if "blocks" in asked else singles(call, **asked["singles"])), flush=True)


def prepared(model: str, inputs: str, outputs: str):
    """A call without arguments, after one that wrote its outputs; and the version."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = np.load(inputs)
    feeds = [given[name] for name in given.files]
    np.savez(outputs, *session.run(None, {value.name: array for value, array in zip(session.get_inputs(), feeds)}))
    binding = session.io_binding()
    for value, array in zip(session.get_inputs(), feeds):
        binding.bind_ortvalue_input(value.name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for value, array in zip(session.get_outputs(), (done := np.load(outputs)).values()):
        binding.bind_ortvalue_output(value.name, onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)))
    done.close()
    return lambda: session.run_with_iobinding(binding), onnxruntime.__version__


def blocks(call, count: int, block_us: float) -> list[float]:
    """us per call of `count` blocks of about block_us."""
    call()
    begun = time.perf_counter_ns()
    for _ in range(3):
        call()
    calls = max(1, round(block_us * 3e3 / max(time.perf_counter_ns() - begun, 1)))
    found = []
    for _ in range(count):
        begun = time.perf_counter_ns()
        for _ in range(calls):
            call()
        found.append((time.perf_counter_ns() - begun) / calls / 1e3)
    return found


def singles(call, count: int) -> list[float]:
    """us of single calls."""
    found = []
    for _ in range(count):
        begun = time.perf_counter_ns()
        call()
        found.append((time.perf_counter_ns() - begun) / 1e3)
    return found


if __name__ == "__main__":
    main()
