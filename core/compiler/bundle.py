"""The bundle: a zip with source, header, build file, a test on recorded values, a benchmark and the report, ready for cmake."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np

from core.compiler.emit import Program, comment, flags_for
from core.compiler.verify import TOLERANCE

EPOCH = (1980, 1, 1, 0, 0, 0)


def bundle(program: Program, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray], report: Mapping[str, object], tolerance: float = TOLERANCE) -> bytes:
    """The zip of a program: the same arguments give the same bytes.

    inputs, outputs  recorded values, in the program's order; the outputs come from a reference, not from the program
    report           what report.json holds; anything JSON can
    tolerance        of the test: largest difference over the largest recorded value
    """
    name = program.name
    files: dict[str, bytes] = {
        f"{name}.cpp": program.cpp.encode(), f"{name}.h": program.header.encode(),
        "CMakeLists.txt": _cmake(program).encode(), f"{name}_test.cpp": _test(program, tolerance).encode(), f"{name}_benchmark.cpp": _benchmark(program).encode(),
        "recorded.inputs": _packed(inputs, program.inputs), "recorded.outputs": _packed(outputs, program.outputs),
        "README.md": _readme(program).encode(), "report.json": (json.dumps(report, indent=2, sort_keys=True, default=str) + "\n").encode(),
    }
    if program.blob:
        files[f"{name}.bin"] = program.blob
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            about = zipfile.ZipInfo(f"{name}/{path}", EPOCH)
            about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(about, data)
    return packed.getvalue()


def _packed(arrays: Sequence[np.ndarray], tensors) -> bytes:
    return b"".join(np.ascontiguousarray(a, t.dtype).tobytes() for a, t in zip(arrays, tensors, strict=True))


def _cmake(program: Program) -> str:
    name, flags = program.name, " ".join(flag for flag in flags_for(program.target) if not flag.startswith("-std="))
    needs = f'set_source_files_properties({name}.cpp PROPERTIES OBJECT_DEPENDS "${{CMAKE_CURRENT_SOURCE_DIR}}/{name}.bin")\n' if program.blob else ""
    return f"""cmake_minimum_required(VERSION 3.16)
project({name} CXX)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)

add_library({name} STATIC {name}.cpp)
target_include_directories({name} PUBLIC "${{CMAKE_CURRENT_SOURCE_DIR}}")
target_compile_options({name} PRIVATE {flags})
{needs}
enable_testing()
add_executable({name}_test {name}_test.cpp)
target_link_libraries({name}_test PRIVATE {name} m)
add_test(NAME {name}_test COMMAND {name}_test "${{CMAKE_CURRENT_SOURCE_DIR}}")

add_executable({name}_benchmark {name}_benchmark.cpp)
target_compile_options({name}_benchmark PRIVATE -O2)
target_link_libraries({name}_benchmark PRIVATE {name} m)
"""


_READ = """static std::vector<char> read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::vector<char>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// The values of all tensors of one side, cut out of the recorded bytes.
static std::vector<char*> cut(std::vector<char>& bytes, const uint64_t* sizes, uint32_t count) {
    std::vector<char*> parts;
    size_t at = 0;
    for (uint32_t i = 0; i < count; at += sizes[i++]) parts.push_back(bytes.data() + at);
    if (at != bytes.size()) parts.clear();
    return parts;
}
"""


def _includes(name: str, *more: str) -> str:
    wanted = sorted({"cstdint", "cstdio", "fstream", "iterator", "string", "vector", *more})
    return f'#include "{name}.h"\n' + "".join(f"#include <{header}>\n" for header in wanted) + "\n"


def _test(program: Program, tolerance: float) -> str:
    """Compares one call with the recorded values of the reference."""
    name = program.name
    return f"""// Runs {name} on the recorded inputs and compares with the recorded outputs of the reference. Argument: the folder of the recordings.
{_includes(name, "cmath", "cstring", "algorithm")}{_READ}
static double value(const char* data, const char* type, size_t i) {{
    if (!strncmp(type, "float32", 7)) {{ float v; memcpy(&v, data + 4 * i, 4); return v; }}
    if (!strncmp(type, "int64", 5)) {{ int64_t v; memcpy(&v, data + 8 * i, 8); return (double)v; }}
    if (!strncmp(type, "int32", 5)) {{ int32_t v; memcpy(&v, data + 4 * i, 4); return v; }}
    return data[i];
}}

int main(int argc, char** argv) {{
    const std::string folder = argc > 1 ? argv[1] : ".";
    std::vector<char> given = read(folder + "/recorded.inputs"), wanted = read(folder + "/recorded.outputs"), made(wanted.size());
    std::vector<char*> in = cut(given, {name}_input_bytes, {name}_input_count), out = cut(made, {name}_output_bytes, {name}_output_count);
    std::vector<char*> expected = cut(wanted, {name}_output_bytes, {name}_output_count);
    if (in.size() != {name}_input_count || out.size() != {name}_output_count) {{
        printf("the recordings in %s are missing or have another size\\n", folder.c_str());
        return 2;
    }}
    {name}_infer((const void* const*)in.data(), (void* const*)out.data());
    double worst = 0;
    for (uint32_t o = 0; o < {name}_output_count; ++o) {{
        const char* type = {name}_output_types[o];
        const size_t width = !strncmp(type, "int64", 5) ? 8 : !strncmp(type, "float32", 7) || !strncmp(type, "int32", 5) ? 4 : 1, count = {name}_output_bytes[o] / width;
        double largest = 1e-30, apart = 0;
        for (size_t i = 0; i < count; ++i) {{
            const double a = value(out[o], type, i), b = value(expected[o], type, i);
            if (a == b || (a != a && b != b)) continue;
            if (!(std::fabs(a - b) < 1e300)) apart = 1e300;
            apart = std::max(apart, std::fabs(a - b));
        }}
        for (size_t i = 0; i < count; ++i) if (std::fabs(value(expected[o], type, i)) < 1e37) largest = std::max(largest, std::fabs(value(expected[o], type, i)));
        printf("%s: largest difference %.3g, over the largest value %.3g\\n", {name}_output_names[o], apart, apart / largest);
        worst = std::max(worst, apart / largest);
    }}
    const bool good = worst <= {tolerance!r};
    puts(good ? "passed" : "FAILED");
    return good ? 0 : 1;
}}
"""


def _benchmark(program: Program) -> str:
    """Times one pinned core."""
    name = program.name
    return f"""// Times {name} on one core: best and median of blocks of about 200 us, then single calls. Arguments: folder of the recordings, core, single calls.
{_includes(name, "algorithm", "chrono", "cstdlib")}#ifdef __linux__
#include <sched.h>
#endif

{_READ}
static double now_us() {{ return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count(); }}

int main(int argc, char** argv) {{
    std::vector<char> given = read(std::string(argc > 1 ? argv[1] : ".") + "/recorded.inputs");
    std::vector<char*> in = cut(given, {name}_input_bytes, {name}_input_count);
    if (in.size() != {name}_input_count) {{
        puts("usage: {name}_benchmark FOLDER_OF_THE_RECORDINGS [CORE] [CALLS]");
        return 2;
    }}
    std::vector<std::vector<char>> results;
    std::vector<void*> out;
    for (uint32_t o = 0; o < {name}_output_count; ++o) results.emplace_back({name}_output_bytes[o] + 64);
    for (auto& one : results) out.push_back(one.data());
#ifdef __linux__
    if (argc > 2) {{
        cpu_set_t core;
        CPU_ZERO(&core);
        CPU_SET(atoi(argv[2]), &core);
        sched_setaffinity(0, sizeof core, &core);
    }}
#endif
    const auto infer = [&] {{ {name}_infer((const void* const*)in.data(), out.data()); }};
    infer();
    double start = now_us();
    for (int i = 0; i < 10; ++i) infer();
    const int calls = std::max(1, (int)(200.0 / std::max(1e-3, (now_us() - start) / 10)));
    std::vector<double> blocks, singles;
    for (int b = 0; b < 200; ++b) {{
        start = now_us();
        for (int i = 0; i < calls; ++i) infer();
        blocks.push_back((now_us() - start) / calls);
    }}
    for (int i = argc > 3 ? atoi(argv[3]) : 10000; i > 0; --i) {{
        start = now_us();
        infer();
        singles.push_back(now_us() - start);
    }}
    std::sort(blocks.begin(), blocks.end());
    std::sort(singles.begin(), singles.end());
    printf("us per call: best block %.3f, median block %.3f", blocks.front(), blocks[blocks.size() / 2]);
    if (!singles.empty()) printf("; single calls: median %.3f, p99.9 %.3f, worst %.3f", singles[singles.size() / 2], singles[(singles.size() - 1) * 999 / 1000], singles.back());
    puts("");
    return 0;
}}
"""


def _readme(program: Program) -> str:
    name = program.name
    sides = "\n".join(f"- `{side}[{i}]`: {t.dtype} {list(t.shape)}, `{comment(t.name, 60)}`"
                      for side, tensors in (("inputs", program.inputs), ("outputs", program.outputs)) for i, t in enumerate(tensors))
    return f"""# {name}

One function, no runtime. Written for {program.target.name} by the Vitrine kernel compiler; where the flags are missing, `{name}.cpp` refuses to compile.

```
cmake -S . -B build && cmake --build build
ctest --test-dir build --output-on-failure
build/{name}_benchmark . 1
```

## Interface

`void {name}_infer(const void* const* inputs, void* const* outputs);` is one inference. It allocates nothing, locks nothing and makes no system call.
It is not re-entrant; `{name}_infer_in` takes a workspace of `{name}_workspace_bytes` bytes (aligned to 64) and is.

{sides}

All tensors are row major, as the ONNX model has them. `report.json` says what was measured and what the result was compared with.
"""
