"""ncnn behind one JSON line per question: load a model that pnnx made, say its output, time it on one pinned core. Runs in ncnn's own environment."""

import json
import os
import sys
import time

import ncnn
import numpy as np


def load(stem: str) -> "ncnn.Net":
    """float32 all through, Winograd on, one thread."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_winograd_convolution = True
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_vulkan_compute"):
        setattr(net.opt, name, False)
    if net.load_param(f"{stem}.param") or net.load_model(f"{stem}.bin"):
        raise ValueError("ncnn cannot load what pnnx made")
    return net


def answer(asked: dict) -> dict:
    os.sched_setaffinity(0, {asked["core"]})
    net, x = load(asked["stem"]), np.load(asked["input"])
    mat = ncnn.Mat(np.ascontiguousarray(x[0] if x.ndim > 1 else x)).clone()

    def once():
        extractor = net.create_extractor()
        extractor.input("in0", mat)
        return extractor, extractor.extract("out0")[1]
    extractor, out = once()
    output = np.array(out.clone()).ravel().tolist()
    begun = time.perf_counter()
    for _ in range(3):
        once()
    calls, found = max(1, round(200e-6 * 3 / (time.perf_counter() - begun))), []
    for _ in range(asked["blocks"]):
        begun = time.perf_counter()
        for _ in range(calls):
            once()
        found.append((time.perf_counter() - begun) / calls * 1e6)
    return dict(best_us=min(found), median_us=float(np.median(found)), output=output)


def main() -> None:
    print(json.dumps(dict(ready=getattr(ncnn, "__version__", "?"))), flush=True)
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:
            said = dict(error=f"{type(error).__name__}: {error}"[:200])
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
