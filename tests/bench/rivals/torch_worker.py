"""The six models in eager torch, rebuilt from the constants of the ONNX file: one thread, one pinned core, one JSON line per question. Runs in the studio's own environment."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from core.compiler.hand.weights import MODELS, Parameters, batch_norm, read  # noqa: E402


def dnn(weights, biases, found: Parameters) -> Callable:
    def run(x):
        for n, (w, b) in enumerate(zip(weights, biases)):
            x = F.linear(x, w, b)
            x = F.relu(x) if n + 1 < len(weights) else x
        return x
    return run


def cnn(weights, biases, found: Parameters) -> Callable:
    norms = [tuple(torch.tensor(part, dtype=torch.float32)[:, None, None] for part in batch_norm(norm)) for norm in found.norms]

    def run(x):
        if not norms:
            for w, b in zip(weights[:-1], biases):
                x = F.relu(F.conv2d(x, w, b, padding=1))
            return F.conv2d(x, weights[-1], biases[-1])
        x = F.conv2d(x, weights[0], biases[0], padding=1)
        for n, (scale, shift) in enumerate(norms):
            y = F.relu(F.conv2d(F.relu(x * scale + shift), weights[1 + 2 * n], biases[1 + 2 * n], padding=1))
            x = x + F.conv2d(y, weights[2 + 2 * n], padding=1)
        return F.conv2d(x, weights[-1], biases[-1])
    return run


def transformer(weights, biases, found: Parameters) -> Callable:
    norms = [tuple(torch.tensor(part, dtype=torch.float32) for part in norm[:2]) for norm in found.norms]
    position, weights = torch.tensor(found.position, dtype=torch.float32), [w.T.contiguous() for w in weights]

    def run(x):
        normed = iter(norms)
        x = F.linear(x, weights[0], biases[0]) + position
        for n in range(1, len(weights) - 1, 4):
            q, k, v = F.linear(F.layer_norm(x, (64,), *next(normed)), weights[n], biases[n]).reshape(1, x.shape[1], 3, 4, 16).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
            x = x + F.linear(mixed, weights[n + 1], biases[n + 1])
            x = x + F.linear(F.gelu(F.linear(F.layer_norm(x, (64,), *next(normed)), weights[n + 2], biases[n + 2])), weights[n + 3], biases[n + 3])
        return F.linear(F.layer_norm(x, (64,), *next(normed)), weights[-1], biases[-1])
    return run


def answer(asked: dict) -> dict:
    os.sched_setaffinity(0, {asked["core"]})
    torch.set_num_threads(1)
    found, x = read(Path(asked["model"]).read_bytes()), torch.tensor(np.load(asked["input"]))
    weights, biases = ([torch.tensor(part, dtype=torch.float32) for part in side] for side in (found.weights, found.biases))
    run = {"dnn": dnn, "cnn": cnn, "transformer": transformer}[MODELS[asked["name"]].family](weights, biases, found)
    with torch.inference_mode():
        output = run(x).ravel().tolist()
        begun = time.perf_counter()
        for _ in range(3):
            run(x)
        calls, times = max(1, round(200e-6 * 3 / (time.perf_counter() - begun))), []
        for _ in range(asked["blocks"]):
            begun = time.perf_counter()
            for _ in range(calls):
                run(x)
            times.append((time.perf_counter() - begun) / calls * 1e6)
    return dict(best_us=min(times), median_us=float(np.median(times)), output=output)


def main() -> None:
    print(json.dumps(dict(ready=torch.__version__)), flush=True)
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:
            said = dict(error=f"{type(error).__name__}: {error}"[:200])
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
