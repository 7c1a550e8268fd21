"""One evaluation of the network, and a whole restoration, in the latent and on the full spectrogram at equal channels (the post's claim)."""

import contextlib
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from core.speech.autoencoder import Autoencoder
from core.speech.evaluation import seconds_per_evaluation
from core.speech.sampler import Plan, Restorer, fast
from core.speech.score import Network, size_of
from core.speech.stft import BINS, PATCH, RATE_HZ, frames_of, stft
from core.speech.weights import load_network
from tests.bench.harness import Section

SECONDS = 4.0


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Cost per evaluation of three widths; end to end for several step counts. Weights do not matter here, so the nets are untrained."""
    torch.set_num_threads(1)
    names, repeats = ("s",) if options.quick else ("s", "m", "l"), 1 if options.quick else 3
    section = Section("evaluation", "One evaluation of the network at equal channels", "thread seconds per second of 48 kHz sound, least of the repeats, one thread; untrained nets of the shipped shapes")
    for name in names:
        latent, full = (seconds_per_evaluation(size_of(name, domain), SECONDS, repeats) for domain in ("latent", "stft"))
        section.rows.append(dict(name=f"width {name}", parameters=sum(p.numel() for p in Network(size_of(name)).parameters()), **{"latent s": latent, "STFT s": full, "times cheaper": full / latent}))
    yield section, dict(evaluation_times_cheaper=section.rows[-2 if len(section.rows) > 1 else 0]["times cheaper"])
    yield _runtimes(load_network(), repeats), None
    yield _whole(options, "s" if options.quick else "m", repeats)


def _runtimes(net: Network, repeats: int) -> Section:
    """torch as it is used, in single precision, and ONNX Runtime on the same net, also with 8-bit weights; interleaved."""
    section = Section("runtimes", "One evaluation of the network, by what runs it", "thread seconds per second of sound, least of the repeats, one thread; error: largest against torch in single precision")
    frames = frames_of(int(SECONDS * RATE_HZ)) // PATCH
    state = torch.randn(1, net.size.planes, BINS // PATCH, frames, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)
    with tempfile.TemporaryDirectory() as folder:
        calls = _runs(net, (state, state, torch.ones(1)), Path(folder))
        wanted, spent = calls["torch, single precision"](), {name: [] for name in calls}
        for _ in range(repeats + 1):
            for name, call in calls.items():
                begun = time.thread_time()
                found = call()
                spent[name].append((time.thread_time() - begun) / SECONDS)
                if len(spent[name]) == 1:
                    section.rows.append(dict(name=name, error=float(np.abs(found - wanted).max())))
    for row in section.rows:
        row["seconds"] = min(spent[row["name"]][1:])
    return section


def _runs(net: Network, inputs: tuple[torch.Tensor, ...], folder: Path) -> dict[str, Callable[[], np.ndarray]]:
    options, names = ort.SessionOptions(), ("state", "noisy", "time")
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, inputs, str(folder / "net.onnx"), dynamo=False, opset_version=17, input_names=list(names))
    quantize_dynamic(folder / "net.onnx", folder / "net8.onnx", weight_type=QuantType.QInt8)
    feed = {name: value.numpy() for name, value in zip(names, inputs)}

    def torch_run(context: Callable = contextlib.nullcontext) -> np.ndarray:
        with torch.inference_mode(), context():
            return net(*inputs).float().numpy()

    def session(name: str) -> Callable[[], np.ndarray]:
        run = ort.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
        return lambda: run.run(None, feed)[0]

    return {"torch, as used (bf16 where the processor has it)": lambda: torch_run(fast), "torch, single precision": torch_run,
            "ONNX Runtime, single precision": session("net.onnx"), "ONNX Runtime, 8-bit weights": session("net8.onnx")}


def _whole(options: Namespace, name: str, repeats: int) -> tuple[Section, dict]:
    section = Section("end_to_end", f"A whole restoration, width {name}: STFT, autoencoder, network, back", "thread seconds per second of sound, least of the repeats; the same steps of the bridge on both sides, interleaved")
    wave = (0.1 * np.random.default_rng(0).standard_normal(int(SECONDS * RATE_HZ))).astype(np.float32)
    autoencoder = Autoencoder()
    autoencoder.begin(stft(torch.from_numpy(wave.reshape(4, -1))))
    nets = {"latent": Restorer(Network(size_of(name)).use(autoencoder).eval(), autoencoder.eval()), "STFT": Restorer(Network(size_of(name, "stft")).eval())}
    for steps in (1,) if options.quick else (1, 4, 8):
        spent: dict[str, list[float]] = {side: [] for side in nets}
        for _ in range(repeats + 1):
            for side, net in nets.items():
                begun = time.thread_time()
                net.restore(wave, Plan(steps=steps))
                spent[side].append((time.thread_time() - begun) / SECONDS)
        latent, full = min(spent["latent"][1:]), min(spent["STFT"][1:])
        section.rows.append(dict(name=f"{steps} step{'s' if steps > 1 else ''}", **{"latent s": latent, "STFT s": full, "times cheaper": full / latent}))
    return section, dict(end_to_end_times_cheaper=section.rows[-1]["times cheaper"])
