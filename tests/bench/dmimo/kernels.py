"""The radio kernels against tuned NumPy (and torch): IQ combining, the chain from fronthaul bytes to LLRs, LLRs and block floating point alone.

Each rival has its own best layout, prepared before the clock runs: [groups, symbols x span, antennas] for combining, planes for LLRs, chunks that fit the cache
for block floating point. Process CPU time, one thread, in turns; best of a block of calls, then the median over rounds of (fastest rival / kernel).
"""

import ctypes
import shutil
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

import cython_ext
from core.ran import kernels
from tests.bench.harness import Ratio, Section

SHAPES = ((16, 8), (32, 8), (64, 8), (64, 4))
SUBCARRIERS, SYMBOLS, PRBS = 3276, 13, 273
SCALE = 2.0 ** -11
BLOCK = 3
"""Calls of which the fastest counts in a round."""
NOTE = f"{SUBCARRIERS} subcarriers, {SYMBOLS} symbols, one thread; rival / kernel, so that more is better for us"


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Combining, the chain, and the small kernels; headline figures are medians of rounds."""
    rounds = 3 if options.quick else 9
    shapes = SHAPES[:1] if options.quick else SHAPES
    peak, how = fma_peak()
    versions["FMA peak"] = f"{peak / 1e9:.0f} GFLOP/s ({how})"
    yield combining_section(shapes, rounds, peak, how)
    yield chain_section(shapes, rounds)
    yield small_section(2 if options.quick else rounds)


# Timing

def rounds_of(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """CPU seconds of each call: the best of a block, `rounds` times, blocks in turn and their order turned round every other round."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls)[::-1 if turn % 2 else 1]:
            times[name].append(min(_seconds(calls[name]) for _ in range(BLOCK)))
    return {name: np.array(found) for name, found in times.items()}


def _seconds(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


def gain(times: Mapping[str, np.ndarray], ours: str, rivals: str) -> Ratio:
    """The fastest of the calls whose names begin with `rivals`, over ours, round by round."""
    fastest = np.min([found for name, found in times.items() if name.startswith(rivals)], axis=0)
    low, median, high = np.percentile(fastest / np.maximum(times[ours], 1e-9), [10, 50, 90])
    return Ratio(float(median), float(low), float(high))


# FMA peak

PROBE = """
typedef float lane __attribute__((vector_size(64)));
__attribute__((noinline, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) float spin(long rounds, float by)
{
    lane sums[12], factor = {0};
    for (int k = 0; k < 16; k++) factor[k] = by;
    for (int k = 0; k < 12; k++) sums[k] = factor + (float) k;
    for (long n = 0; n < rounds; n++)
        for (int k = 0; k < 12; k++) sums[k] = sums[k] * factor + factor;
    for (int k = 1; k < 12; k++) sums[0] += sums[k];
    return sums[0][0];
}
"""


def fma_peak() -> tuple[float, str]:
    """Highest rate seen of single-precision multiply-adds on one thread, FLOP/s, and by what: a C loop on registers, else NumPy's matrix product."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler:
        with tempfile.TemporaryDirectory(prefix="vitrine-peak-") as place:
            source, library = Path(place, "peak.c"), Path(place, "peak.so")
            source.write_text(PROBE)
            built = subprocess.run([compiler, "-O3", "-shared", "-fPIC", str(source), "-o", str(library)], capture_output=True)
            if built.returncode == 0:
                spin = ctypes.CDLL(str(library)).spin
                spin.argtypes, spin.restype = (ctypes.c_long, ctypes.c_float), ctypes.c_float
                return 2 * 16 * 12 * 200_000 / min(_seconds(lambda: spin(200_000, 0.5)) for _ in range(30)), "C loop on registers"
    a = np.ones((512, 512), np.float32)
    out = np.empty_like(a)
    return 2 * 512 ** 3 / min(_seconds(lambda: np.matmul(a, a, out=out)) for _ in range(20)), "NumPy matrix product"


# Combining

def scene(groups: int, span: int, antennas: int, layers: int, seed: int = 0, spread: float = 1.0):
    """y, h, noise_var of independent fading (spread 1) or users side by side (spread near 0), noise 0.05 to 0.15 a layer."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return ((rng.standard_normal(shape, np.float32) + 1j * rng.standard_normal(shape, np.float32)) * np.float32(np.sqrt(0.5))).astype(np.complex64)
    h = np.float32(np.sqrt(1 - spread)) * normal(groups, antennas, 1) + np.float32(np.sqrt(spread)) * normal(groups, antennas, layers)
    noise_var = rng.uniform(0.05, 0.15, antennas).astype(np.float32)
    x = (rng.choice([-1, 1], (SYMBOLS, groups, layers, span)) * np.complex64(1)).astype(np.complex64)
    y = (h @ x).swapaxes(2, 3) + np.sqrt(noise_var) * normal(SYMBOLS, groups, span, antennas)
    return np.ascontiguousarray(y.reshape(SYMBOLS, groups * span, antennas), np.complex64), h, noise_var


def numpy_combining(y, h, noise_var, chunk: int, form: bool) -> Callable[[], object]:
    """Whiten, Gram, inv, then W applied (form) or matched filter and A, `chunk` groups at a time; y [groups, columns, ant], outputs kept between calls."""
    groups, columns, _ = y.shape
    layers = h.shape[2]
    x, sinr = np.empty((groups, columns, layers), np.complex64), np.empty((groups, layers), np.float32)
    scale, eye, k = (1 / np.sqrt(noise_var)).astype(np.float32)[:, None], np.eye(layers, dtype=np.complex64), np.arange(layers)

    def run():
        for first in range(0, groups, chunk):
            part = slice(first, first + chunk)
            white = h[part] * scale
            inverse = np.linalg.inv(white.conj().swapaxes(1, 2) @ white + eye)
            left = inverse[:, k, k].real
            sinr[part] = 1 / left - 1
            inverse *= (1 / (1 - left))[:, :, None]
            matched = (white * scale).conj()
            if form:
                np.matmul(y[part], matched @ inverse.swapaxes(1, 2), out=x[part])
            else:
                np.matmul(y[part] @ matched, inverse.swapaxes(1, 2), out=x[part])
        return x, sinr
    return run


def torch_combining(y, h, noise_var) -> Callable[[], object] | None:
    """The same in torch with W applied, or None where torch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    y, h, scale = torch.from_numpy(y), torch.from_numpy(h), torch.from_numpy((1 / np.sqrt(noise_var)).astype(np.float32))[:, None]
    eye = torch.eye(h.shape[2], dtype=torch.complex64)

    def run():
        with torch.inference_mode():
            for part, columns in zip(h.split(128), y.split(128)):
                white = part * scale
                inverse = torch.linalg.inv(white.mH @ white + eye)
                left = torch.diagonal(inverse, dim1=1, dim2=2).real
                columns @ ((white * scale).conj() @ (inverse / (1 - left)[:, :, None]).mT)
    return run


def flops(groups: int, span: int, antennas: int, layers: int) -> float:
    """Real operations the cheaper of both algorithms needs (Gram half, factor, inverse, product, columns): padding and conversions do not count."""
    columns = SYMBOLS * span
    weights = 4 * antennas * layers * (layers + 1) + 4 * layers ** 3
    formed = 8 * antennas * layers ** 2 + 8 * antennas * layers * columns
    return groups * (weights + min(formed, 8 * layers * (antennas + layers) * columns))


def combining_section(shapes, rounds: int, peak: float, how: str) -> tuple[Section, dict]:
    section = Section("combining", "IQ combining, CPU time", f"{NOTE}; rivals: whiten, Gram, inv, W or matched filter, chunks of 64, 512, all; share of "
                      f"{peak / 1e9:.0f} GFLOP/s ({how}); clustered: users side by side, every group in float64 with us, in float32 with NumPy")
    for antennas, layers in shapes:
        for span, spread in ((1, 1.0), (6, 1.0), *(((1, 1e-3),) if (antennas, layers) == (32, 8) else ())):
            section.rows.append(_combining_row(antennas, layers, span, spread, rounds, peak))
    plain = [row for row in section.rows if not row["name"].endswith("clustered")]
    worst = {f"combine_{form}_g{span}": min(row[f"NumPy / {form}"].median for row in plain if row["span"] == span)
             for form in ("rows", "planes") for span in (1, 6)}
    return section, {**worst, "combine_peak_share": min(row["share of peak"] for row in plain)}


def _combining_row(antennas: int, layers: int, span: int, spread: float, rounds: int, peak: float) -> dict:
    groups = SUBCARRIERS // span
    y, h, noise_var = scene(groups, span, antennas, layers, spread=spread)
    own = np.ascontiguousarray(y.reshape(SYMBOLS, groups, span, antennas).swapaxes(0, 1)).reshape(groups, SYMBOLS * span, antennas)
    symbols, sinr = np.empty((*y.shape[:2], layers), np.complex64), np.empty((groups, layers), np.float32)
    py, ph = kernels.to_planes(y, span), kernels.channel_planes(h)
    px, ps = kernels.aligned((*py.shape[:3], layers, 2, 16), np.float32), kernels.aligned((len(ph), layers, 16), np.float32)
    calls = {f"NumPy {chunk} {form}": numpy_combining(own, h, noise_var, chunk, form) for chunk in (64, 512, groups) for form in (True, False)}
    torch_run = torch_combining(own, h, noise_var)
    calls |= {"torch": torch_run} if torch_run else {}
    calls |= {"rows": lambda: cython_ext.combine_iq(y, h, noise_var, symbols, sinr),
              "planes": lambda: cython_ext.combine_planes(py, ph, noise_var, groups, px, ps)}
    times = rounds_of(calls, rounds)
    row = {"name": f"{antennas} x {layers}, G={span}{'' if spread == 1 else ', clustered'}", "span": span, "rounds": rounds,
           "NumPy / rows": gain(times, "rows", "NumPy"), "NumPy / planes": gain(times, "planes", "NumPy")}
    row |= {"torch / planes": gain(times, "planes", "torch")} if torch_run else {}
    return row | {"rows ms": 1e3 * np.median(times["rows"]), "planes ms": 1e3 * np.median(times["planes"]), "in float64": calls["planes"](),
                  "share of peak": float(flops(groups, span, antennas, layers) / np.median(times["planes"]) / peak)}


# The chain

def numpy_unpack(packed: np.ndarray, out: np.ndarray) -> None:
    """Nine bits by shifts of 16-bit words, 8,192 blocks at a time: int16[n, 24] of uint8[n, 28]. Faster here than unpackbits by far."""
    shift = np.arange(8, dtype=np.uint16)
    for first in range(0, len(packed), 8192):
        part = packed[first:first + 8192]
        body = part[:, 1:].reshape(len(part), 3, 9).astype(np.uint16)
        word = body[:, :, :8] << 8
        word |= body[:, :, 1:]
        word <<= shift
        values = word.view(np.int16)
        values >>= 7
        values <<= part[:, 0].astype(np.int16)[:, None, None]
        out[first:first + 8192] = values.reshape(len(part), 24)


def numpy_pack(values: np.ndarray, out: np.ndarray) -> None:
    """The reverse."""
    left, right = (7 - np.arange(8)).astype(np.uint16), np.arange(1, 9).astype(np.uint16)
    for first in range(0, len(values), 8192):
        part = values[first:first + 8192]
        seen = np.bitwise_or.reduce(part ^ (part >> 15), axis=1)
        exponent = np.maximum(np.frexp(seen.astype(np.float32))[1] - 8, 0)
        mantissa = ((part >> exponent.astype(np.int16)[:, None]).view(np.uint16) & 511).reshape(len(part), 3, 8)
        body = np.zeros((len(part), 3, 9), np.uint8)
        body[:, :, :8] = mantissa >> right
        body[:, :, 1:] |= (mantissa << left).astype(np.uint8)
        out[first:first + 8192, 0] = exponent
        out[first:first + 8192, 1:] = body.reshape(len(part), 27)


def numpy_llrs(x: np.ndarray, slope: np.ndarray, out: np.ndarray) -> None:
    """64QAM, closed form, in place on planes: x float32[2, n], slope = 4 a SINR float32[n], out float32[6, n]."""
    a = np.float32(1 / np.sqrt(42))
    spare = np.empty_like(x[0])
    for axis in range(2):
        value, first, second, third = x[axis], out[axis], out[2 + axis], out[4 + axis]
        np.abs(value, out=third)
        np.copyto(first, third)
        for m in (1, 2, 3):
            np.subtract(third, 2 * m * a, out=spare)
            np.maximum(spare, 0, out=spare)
            first += spare
        np.copysign(first, value, out=first)
        np.subtract(4 * a, third, out=second)
        np.abs(second, out=third)
        np.subtract(third, 2 * a, out=spare)
        np.maximum(spare, 0, out=spare)
        spare += third
        np.copysign(spare, second, out=second)
        np.subtract(2 * a, third, out=third)
        for llr in (first, second, third):
            llr *= slope


def numpy_chain(packed: np.ndarray, h: np.ndarray, noise_var: np.ndarray, chunk: int, form: bool) -> Callable[[], np.ndarray]:
    """Bytes to LLRs at G = 1: unpack, complex [subcarriers, symbols, ant], combine, 64QAM LLRs on planes, int8; every buffer kept between calls."""
    symbols, antennas, prbs, _ = packed.shape
    values = np.empty((symbols * antennas * prbs, 24), np.int16)
    y = np.empty((12 * prbs, symbols, antennas), np.complex64)
    combine = numpy_combining(y, h, noise_var, chunk, form)
    planes = np.empty((2, *y.shape[:2], h.shape[2]), np.float32)
    llrs = np.empty((6, planes[0].size), np.float32)
    whole = np.empty(llrs.shape, np.int8)

    def run():
        numpy_unpack(packed.reshape(-1, 28), values)
        iq = values.reshape(symbols, antennas, 12 * prbs, 2).transpose(2, 0, 1, 3)
        np.multiply(iq, np.float32(SCALE), out=y.view(np.float32).reshape(iq.shape))
        x, sinr = combine()
        planes[0], planes[1] = x.real, x.imag
        slope = np.broadcast_to((np.float32(4 / np.sqrt(42)) * sinr)[:, None], x.shape).reshape(-1)
        numpy_llrs(planes.reshape(2, -1), slope, llrs)
        np.rint(np.clip(llrs, -7, 7, out=llrs), out=llrs)
        np.copyto(whole, llrs, casting="unsafe")
        return whole
    return run


def chain_section(shapes, rounds: int) -> tuple[Section, dict]:
    section = Section("chain", "Uplink chain, CPU time: 9-bit block floating point bytes to 4-bit LLRs of 64QAM, G=1",
                      f"{NOTE}; LLRs differ: share of all that are not NumPy's")
    for antennas, layers in shapes:
        y, h, noise_var = scene(SUBCARRIERS, 1, antennas, layers)
        iq = np.clip(np.rint(y.view(np.float32).reshape(*y.shape, 2) / SCALE), -32768, 32767).astype(np.int16)
        packed = kernels.bfp_pack(np.ascontiguousarray(iq.swapaxes(1, 2)).reshape(SYMBOLS, antennas, PRBS, 24), 9)
        planes = kernels.channel_planes(h)
        calls = {f"NumPy {chunk} {form}": numpy_chain(packed, h, noise_var, chunk, form) for chunk in (64, 512) for form in (True, False)}
        calls["ours"] = lambda packed=packed, planes=planes, noise_var=noise_var: kernels.uplink_llrs(packed, 9, planes, noise_var, 6, scale=SCALE)
        times = rounds_of(calls, max(3, rounds - 2))
        section.rows.append({"name": f"{antennas} x {layers}", "rounds": len(times["ours"]), "NumPy / chain": gain(times, "ours", "NumPy"),
                             "ms": 1e3 * np.median(times["ours"]),
                             "NumPy ms": 1e3 * min(np.median(found) for name, found in times.items() if name != "ours"),
                             "LLRs differ": _differ(calls["ours"]().llrs, calls["NumPy 64 True"](), layers)})
    return section, {"chain": min(row["NumPy / chain"].median for row in section.rows)}


def _differ(ours: np.ndarray, rival: np.ndarray, layers: int) -> float:
    """Share of LLRs that differ; ours [symbols, blocks, 1, layers, 6, 16], the rival's [6, subcarriers x symbols x layers]."""
    rows = np.moveaxis(ours[:, :, 0], -1, 2).reshape(SYMBOLS, -1, layers, 6)[:, :SUBCARRIERS]
    return float(np.mean(rows.transpose(3, 1, 0, 2).reshape(6, -1) != rival))


# LLRs and block floating point alone

def small_section(rounds: int) -> tuple[Section, dict]:
    rng = np.random.default_rng(0)
    section = Section("small_kernels", "LLRs and block floating point alone, CPU time",
                      "rival / kernel, outputs kept between calls; NumPy: planes in place and in chunks, shifts of words")
    llr_times = rounds_of(_llr_calls(rng), rounds)
    values = (rng.standard_normal((14 * 32 * PRBS, 24)) * 2000).astype(np.int16)
    packed, back = np.empty((len(values), 28), np.uint8), np.empty_like(values)
    sums = rng.integers(-7, 8, (2, 2_000_000)).astype(np.int8)
    total, wide = np.empty_like(sums[0]), np.empty(sums.shape[1], np.int8)
    packing = {"NumPy": lambda: numpy_pack(values, packed), "ours": lambda: cython_ext.bfp_pack(values, 9, packed)}
    unpacking = {"NumPy": lambda: numpy_unpack(packed, back), "ours": lambda: cython_ext.bfp_unpack(packed, 9, back)}
    adding = {"NumPy": lambda: np.clip(np.add(sums[0], sums[1], out=wide), -7, 7, out=wide), "ours": lambda: cython_ext.add_llrs(sums[0], sums[1], 7, total)}
    pairs = {
        "64QAM LLRs, float": ("ours", "NumPy", llr_times), "64QAM LLRs, int8": ("ours int8", "in int8", llr_times),
        "BFP pack, 9 bits": ("ours", "NumPy", rounds_of(packing, rounds)), "BFP unpack, 9 bits": ("ours", "NumPy", rounds_of(unpacking, rounds)),
        "LLR addition": ("ours", "NumPy", rounds_of(adding, rounds)),
    }
    for name, (ours, rivals, times) in pairs.items():
        section.rows.append({"name": name, "rounds": rounds, "NumPy / kernel": gain(times, ours, rivals), "ms": 1e3 * np.median(times[ours])})
    keys = dict(zip(pairs, ("llr_planes", "llr_int8", "bfp_pack", "bfp_unpack", "llr_add")))
    return section, {keys[row["name"]]: row["NumPy / kernel"].median for row in section.rows}


def _llr_calls(rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    """340,704 symbols and more (padding): ours on blocked planes, NumPy on planes [2, n], whole and in chunks."""
    x = kernels.aligned((SYMBOLS, 205, 1, 8, 2, 16), np.float32)
    x[...] = rng.standard_normal(x.shape, np.float32) * np.float32(0.7)
    sinr = rng.uniform(1, 50, (205, 8, 16)).astype(np.float32)
    llrs, whole = kernels.aligned((*x.shape[:4], 6, 16), np.float32), kernels.aligned((*x.shape[:4], 6, 16), np.int8)
    flat = np.ascontiguousarray(np.moveaxis(x, 4, 0)).reshape(2, -1)
    slope = np.broadcast_to(np.float32(4 / np.sqrt(42)) * sinr[:, None], (SYMBOLS, 205, 1, 8, 16)).reshape(-1)
    out, small = np.empty((6, flat.shape[1]), np.float32), np.empty((6, flat.shape[1]), np.int8)

    def in_chunks(size, to_int8):
        for first in range(0, flat.shape[1], size):
            part = slice(first, first + size)
            numpy_llrs(flat[:, part], slope[part], out[:, part])
            if to_int8:
                np.rint(np.clip(out[:, part], -7, 7, out=out[:, part]), out=out[:, part])
                np.copyto(small[:, part], out[:, part], casting="unsafe")
    sizes = {"whole": flat.shape[1], "chunks": 4096}
    calls = {f"NumPy {name}": lambda size=size: in_chunks(size, False) for name, size in sizes.items()}
    calls |= {f"in int8 {name}": lambda size=size: in_chunks(size, True) for name, size in sizes.items()}
    return calls | {"ours": lambda: cython_ext.demap_planes(x, sinr, 6, llrs), "ours int8": lambda: cython_ext.demap_planes_int8(x, sinr, 6, 1.0, 7, whole)}
