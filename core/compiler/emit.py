"""The generator: a graph and the chosen variants become one C++ file and one header, deterministic to the byte, readable block by block."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from core.compiler.buffers import Place, Plan, plan
from core.compiler.graph import ROWS, CompileError, Graph, Node, Tensor, check
from core.compiler.lower.registry import variants
from core.compiler.lower.variant import TARGETS, Code, Target, Variant

ABI_VERSION = 1
TEMPLATES = Path(__file__).resolve().parent / "templates"
FLAGS = ("-O3", "-std=c++17", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-fno-trapping-math", "-mprefer-vector-width=512")
"""What the file is meant to be compiled with, beside the flags of its target. No -Ofast: sums keep the order in which they are written."""
C_TYPES = {"float32": "float", "int64": "int64_t", "int32": "int32_t", "bool": "bool", "float64": "double", "uint8": "uint8_t", "int8": "int8_t"}
LARGE_BYTES = 4 << 20
"""Weights beyond this go into a file beside the source: the compiler reads about two megabytes of numbers a second."""


def flags_for(target: Target, optimise: str = "-O3") -> tuple[str, ...]:
    """What a file of this target is compiled with; the plain one gets nothing that only one processor family knows."""
    return (optimise, *(f for f in FLAGS if f != "-O3" and (target.lanes > 1 or not f.startswith("-m"))), *target.flags)


@dataclass(frozen=True)
class EmitOptions:
    """What a file says of itself and where its weights go.

    name          the prefix of every exported name; made a C identifier; "" takes the graph's
    model_sha256  of the ONNX file, hexadecimal, for the provenance header
    notes         more lines of that header: (what, value)
    weights       inside | blob | auto: arrays in the source, a file beside it that the assembler includes, or by size
    any_layout    inputs and outputs may lie in any layout: single nodes that are timed
    """

    name: str = ""
    model_sha256: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    weights: str = "auto"
    any_layout: bool = False


@dataclass(frozen=True)
class Span:
    """Which lines of the .cpp (counted from 1, both included) compute one node; `weights` those that hold its constants, None without."""

    node: int
    variant: str
    first: int
    last: int
    weights: tuple[int, int] | None = None


@dataclass(frozen=True)
class Program:
    """A generated program.

    name              prefix of its exported functions and constants, a C identifier
    cpp, header       the texts of NAME.cpp and NAME.h
    blob              NAME.bin, empty when the weights are inside
    body, templates   the .cpp without includes and templates, and the templates it needs, in order: `join` makes one file of several programs
    inputs, outputs   as the ONNX model has them
    spans             where each node's block is
    mapping           node index -> variant name, aliases left out
    workspace_bytes   what NAME_infer_in must be given, 64-byte aligned
    multiplies        multiply-adds of the chosen variants; weight_bytes: what they stream
    """

    name: str
    target: Target
    cpp: str
    header: str
    blob: bytes
    body: str
    templates: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    spans: tuple[Span, ...]
    mapping: Mapping[int, str]
    workspace_bytes: int
    multiplies: int = 0
    weight_bytes: int = 0


def emit(graph: Graph, choices: Mapping[int, str] | None = None, target: Target = TARGETS["avx512"], options: EmitOptions = EmitOptions()) -> Program:
    """The program of a graph: `choices` maps the index of a node to the name of its variant, the first one where it says nothing.

    Raises CompileError for a node that no lowering takes, an unknown variant, or an input or output that is not in ONNX layout.
    """
    check(graph)
    _check_interface(graph, options.any_layout)
    writer = _Writer(graph, target, identifier(options.name or graph.name), options)
    blocks = writer.blocks(dict(choices or {}))
    return writer.program(blocks)


def join(programs: Sequence[Program]) -> str:
    """One translation unit that holds several programs of one target, their shared templates once; their weights must be inside or included."""
    if len({p.target.name for p in programs}) > 1 or len({p.name for p in programs}) < len(programs):
        raise CompileError("Programs in one file need one target and different names.")
    needed = order(t for p in programs for t in p.templates)
    return "\n".join((_preamble(programs[0].target, ()), _templates(needed), *(p.body for p in programs)))


# ---------------------------------------------------------------- names that may be anything

_WORDS = frozenset("""alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr const_cast continue decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto if inline int long main mutable namespace new noexcept not not_eq nullptr operator or or_eq
private protected public register reinterpret_cast return short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq std vec ivec""".split())


def identifier(name: str, limit: int = 40) -> str:
    """A C identifier that resembles the name: ASCII letters, digits and single underscores, never a keyword, never reserved."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name[:400]).strip("_")[:limit].strip("_")
    if not plain or plain[0].isdigit() or plain in _WORDS:
        plain = "m_" + plain if plain else "model"
    return plain


def identifiers(names: Sequence[str], prefix: str = "v") -> dict[str, str]:
    """A different C identifier for every name, whatever the names are: a number and what resembles the name."""
    return {name: f"{prefix}{index}_{identifier(name, 24)}" for index, name in enumerate(dict.fromkeys(names))}


def comment(text: str, limit: int = 120) -> str:
    """A text that cannot leave a line comment: printable ASCII without backslash, question mark, star and quotes; the rest as %XX of its UTF-8."""
    def safe(character: str) -> str:
        if character.isascii() and character.isprintable() and character not in "\\?*%\"'":
            return character
        return "".join(f"%{byte:02X}" for byte in character.encode("utf8", "replace"))
    whole = "".join(safe(c) for c in text[:limit])
    return whole if len(text) <= limit else whole + "..."


def literal(text: str) -> str:
    """A C string literal of any text: everything but letters, digits and a few marks in octal."""
    return '"' + "".join(chr(b) if chr(b).isascii() and (chr(b).isalnum() or chr(b) in "_ ./:-,[]()") else f"\\{b:03o}" for b in text.encode("utf8", "replace")) + '"'


# ---------------------------------------------------------------- numbers

def number(value, dtype: str) -> str:
    """A value as a C++ literal that gives the same bits: C++17 hexadecimal floats, infinities and NaN by the compiler's builtins."""
    if dtype == "bool":
        return "true" if value else "false"
    if np.dtype(dtype).kind in "iu":
        return _integer(int(value), dtype)
    suffix = "f" if dtype == "float32" else ""
    value = float(value)
    if value != value:
        return f'__builtin_nan{suffix}("")'
    if value in (float("inf"), float("-inf")):
        return ("-" if value < 0 else "") + f"__builtin_inf{suffix}()"
    if value == int(value) and abs(value) < 1e6 and not (value == 0 and np.signbit(value)):
        return f"{int(value)}.0{suffix}"
    mantissa, exponent = value.hex().split("p")
    return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + f"p{exponent}{suffix}"


def _integer(value: int, dtype: str) -> str:
    if dtype == "int64":
        return "INT64_MIN" if value == -2**63 else f"{value}LL"
    return "INT32_MIN" if value == -2**31 else str(value)


def array(name: str, values: np.ndarray, width: int = 150) -> list[str]:
    """The lines of an aligned constant array, padded with zeros to whole 64 bytes so that a vector may be read over its end."""
    dtype = str(values.dtype)
    if dtype not in C_TYPES:
        raise CompileError(f"A constant of type {dtype} cannot be stored.")
    flat = np.ascontiguousarray(values).reshape(-1)
    size = -(-max(flat.nbytes, 1) // 64) * 64 // flat.itemsize
    lines, line = [f"alignas(64) static const {C_TYPES[dtype]} {name}[{size}] = {{"], ""
    for value in flat.tolist():
        text = number(value, dtype) + ","
        if len(line) + len(text) > width:
            lines.append(line)
            line = ""
        line += text
    return [*lines, line + "};"] if line else [*lines, "};"]


# ---------------------------------------------------------------- templates

@cache
def template(name: str) -> str:
    """The text of a template."""
    path = TEMPLATES / name
    if path.parent != TEMPLATES or not path.is_file():
        raise CompileError(f"There is no template {name!r}.")
    return path.read_text("utf8").rstrip() + "\n"


def order(names) -> tuple[str, ...]:
    """The templates and those they need (`// needs: a.h b.h`), each once, a needed one before its reader."""
    done: list[str] = []

    def add(name: str) -> None:
        if name not in done:
            for need in re.findall(r"^// needs: (.*)$", template(name), re.M):
                for other in need.split():
                    add(other)
            done.append(name)
    for name in names:
        add(name)
    return tuple(done)


def _templates(names: Sequence[str]) -> str:
    if not names:
        return ""
    return "\n".join(("namespace {", *(f"// ---- {name}\n{template(name)}" for name in names), "}  // namespace\n"))


def _preamble(target: Target, includes: Sequence[str]) -> str:
    """Includes, what the target needs, and the width of its registers."""
    lines = [f'#include "{name}"' for name in includes] + ["#include <math.h>", "#include <stddef.h>", "#include <stdint.h>"]
    for macro in target.requires:
        lines += [f"#if !defined({macro})", f'#error "This file is written for {target.name}: compile it with {" ".join(target.flags)}"', "#endif"]
    lines += ["#include <immintrin.h>"] if target.lanes > 1 else []
    lines += [f"#define VEC_LANES {target.lanes}  // float32 values in a register; with VEC_PLAIN defined, helpers are the plain loops that define them", ""]
    return "\n".join(lines)


# ---------------------------------------------------------------- one program

@dataclass(frozen=True)
class _Block:
    """The code of one node: its constants' lines, its lines, its call."""

    node: int
    variant: Variant
    weights: list[str]
    lines: list[str]
    call: str
    code: Code


@dataclass
class _Operands:
    """Hands out the C++ expression of each tensor a body asks for, and remembers which."""

    names: Mapping[str, str]
    asked: dict[str, None] = field(default_factory=dict)

    def __call__(self, name: str) -> str:
        if name not in self.names:
            raise CompileError(f"A lowering asked for {name!r}, which the graph does not have.")
        self.asked[name] = None
        return self.names[name]


class _Writer:
    """Writes one graph for one target. Nothing in it depends on anything but its arguments."""

    def __init__(self, graph: Graph, target: Target, name: str, options: EmitOptions) -> None:
        self.graph, self.target, self.name, self.options = graph, target, name, options
        self.tensors = identifiers(tuple(graph.tensors))
        self.raw = identifiers(tuple(graph.constants), "c")
        self.used_raw: dict[str, None] = {}
        self.blob = bytearray()

    def blocks(self, choices: dict[int, str]) -> list[_Block]:
        """The code of every node that computes something."""
        chosen = [(i, n, self._choose(i, n, choices.pop(i, ""))) for i, n in enumerate(self.graph.nodes) if n.op != "Reshape"]
        if choices:
            raise CompileError(f"The mapping names node {min(choices)}, which the graph does not compute.")
        emitted = []
        for index, node, variant in chosen:
            operands = _Operands({**self.tensors, **self.raw})
            emitted.append((index, node, variant, operands, variant.emit(operands)))
        self.inside = self._weights_inside(code for *_, code in emitted)
        return [self._block(*parts) for parts in emitted]

    def _choose(self, index: int, node: Node, wanted: str) -> Variant:
        offered = variants(node, self.graph, self.target)
        found = next((v for v in offered if v.name == wanted or not wanted), None)
        if found is None:
            raise CompileError(f"{node.op} has no variant {wanted!r}; it has {', '.join(repr(v.name) for v in offered)}.")
        return found

    def _weights_inside(self, codes) -> bool:
        if self.options.weights not in ("inside", "blob", "auto"):
            raise CompileError(f"weights = {self.options.weights!r}; choose inside, blob or auto.")
        size = sum(a.nbytes for c in codes for a in c.constants.values())
        return self.options.weights == "inside" or (self.options.weights == "auto" and size <= LARGE_BYTES)

    def _block(self, index: int, node: Node, variant: Variant, operands: _Operands, code: Code) -> _Block:
        self.used_raw.update({name: None for name in operands.asked if name in self.raw})
        passed = [name for name in operands.asked if name in self.tensors]
        parameters = [f"{self._type(name, node)} __restrict {self.tensors[name]}" for name in passed]
        arguments = [self.tensors[name] for name in passed]
        if code.scratch:
            parameters.append("char* __restrict scratch")
            arguments.append(f"scratch_{index}")
        weights = [line for key, values in code.constants.items() for line in self._store(key, values)]
        lines = [f"static inline void compute({', '.join(parameters)}) {{", *(f"    {line}".rstrip() for line in code.body.strip("\n").split("\n")), "}"]
        return _Block(index, variant, weights, lines, f"node_{index}::compute({', '.join(arguments)});", code)

    def _type(self, name: str, node: Node) -> str:
        kind = C_TYPES[self.graph.tensors[name].dtype]
        return f"{kind}*" if name in node.outputs else f"const {kind}*"

    def _store(self, key: str, values: np.ndarray) -> list[str]:
        """A constant inside the source, or in the blob with a pointer to it."""
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise CompileError(f"A lowering named a constant {key!r}, which is no identifier.")
        if self.inside or values.nbytes < 1024:
            return array(key, values)
        self.blob += bytes(-len(self.blob) % 64)
        kind, start = C_TYPES[str(values.dtype)], len(self.blob)
        self.blob += np.ascontiguousarray(values).tobytes()
        self.blob += bytes(-len(self.blob) % 64)
        return [f"static const {kind}* const {key} = reinterpret_cast<const {kind}*>({self.name}_blob + {start});  // {values.size} values"]

    def program(self, blocks: list[_Block]) -> Program:
        """The whole text around the blocks."""
        buffers = plan(self.graph, {b.node: b.code.scratch for b in blocks})
        places = (*(p for p in buffers.places.values() if p.kind == "constant"), *(Place("constant", name=n) for n in self.graph.outputs if n in self.raw))
        self.used_raw.update({place.name: None for place in places})
        templates = order(t for b in blocks for t in b.code.templates)
        body, spans = self._body(blocks, buffers)
        head = "\n".join((*self._provenance(blocks), _preamble(self.target, [f"{self.name}.h"]), _templates(templates)))
        shift = head.count("\n") + 1
        moved = tuple(Span(s.node, s.variant, s.first + shift, s.last + shift, s.weights and (s.weights[0] + shift, s.weights[1] + shift)) for s in spans)
        inputs, outputs = (tuple(self._value(n) for n in names) for names in (self.graph.inputs, self.graph.outputs))
        return Program(self.name, self.target, head + "\n" + body, self._header(buffers.bytes), bytes(self.blob), body, templates, inputs, outputs, moved,
                       {b.node: b.variant.name for b in blocks}, buffers.bytes, sum(b.variant.multiplies for b in blocks), sum(b.variant.weight_bytes for b in blocks))

    def _provenance(self, blocks: list[_Block]) -> list[str]:
        compiler = f"g++ {' '.join(flags_for(self.target))}"
        notes = [("model", comment(self.graph.name)), ("model sha256", comment(self.options.model_sha256) or "not stated"), ("target", self.target.name), ("compile with", compiler),
                 *((comment(k), comment(v)) for k, v in self.options.notes), ("nodes", str(len(blocks)))]
        return [f"// {self.name}.cpp: written by the Vitrine kernel compiler, ABI {ABI_VERSION}. Do not edit; compile the model again.",
                *(f"//   {key + ':':14s} {value}" for key, value in notes),
                "// One block per node, in the order they run. No allocation, lock, exception or system call; activations lie in one static workspace.", ""]

    def _body(self, blocks: list[_Block], buffers: Plan) -> tuple[str, list[Span]]:
        lines, spans = [*self._blob_lines(), f"namespace program_{self.name} {{", ""], []
        for name in self.used_raw:
            lines += array(self.raw[name], self.graph.constants[name])
        for block in blocks:
            first = len(lines) + 1
            lines += self._describe(block)
            lines.append(f"namespace node_{block.node} {{")
            weights = (len(lines) + 1, len(lines) + len(block.weights)) if block.weights else None
            lines += [*block.weights, *block.lines, "}", ""]
            spans.append(Span(block.node, block.variant.name, first, len(lines) - 1, weights))
        lines += [*self._run(blocks, buffers), "", f"}}  // namespace program_{self.name}", "", *self._exports(buffers.bytes)]
        return "\n".join(lines) + "\n", spans

    def _blob_lines(self) -> list[str]:
        """The assembler takes the weights from the file beside the source (found through -I)."""
        if not self.blob:
            return []
        symbol = f"{self.name}_blob"
        text = f'.pushsection .rodata\\n.balign 64\\n.hidden {symbol}\\n.globl {symbol}\\n{symbol}:\\n.incbin \\"{self.name}.bin\\"\\n.popsection\\n'
        return [f'asm("{text}");', f'extern "C" __attribute__((visibility("hidden"))) const unsigned char {symbol}[];', ""]

    def _describe(self, block: _Block) -> list[str]:
        node = self.graph.nodes[block.node]
        origins = ", ".join(comment(o, 60) for o in node.origins[:8]) + (f" and {len(node.origins) - 8} more" if len(node.origins) > 8 else "")
        lines = [f"// [{block.node}] {comment(node.op)}, variant {comment(block.variant.name)}" + (f": from {origins}" if origins else "")]
        for arrow, names in (("<-", node.inputs), ("->", node.outputs)):
            lines += [f"//   {arrow} {self._about(name)}" for name in filter(None, names)]
        return lines

    def _about(self, name: str) -> str:
        if name in self.graph.tensors:
            tensor = self.graph.tensors[name]
            return f"{self.tensors[name]}: {tensor.dtype} {list(tensor.shape)}" + (f" as {tensor.layout}" if tensor.layout != ROWS else "") + f", {comment(name, 60)}"
        values = self.graph.constants[name]
        return f"constant {values.dtype} {list(values.shape)}, {comment(name, 60)}"

    def _run(self, blocks: list[_Block], buffers: Plan) -> list[str]:
        """The function that calls the nodes in order."""
        touched = dict.fromkeys(t for b in blocks for t in (*self.graph.nodes[b.node].inputs, *self.graph.nodes[b.node].outputs))
        needed = [name for name in (*touched, *buffers.copies.values()) if name in self.tensors]
        return ["static inline void run(char* const workspace, const void* const* inputs, void* const* outputs) {",
                "    (void)workspace, (void)inputs, (void)outputs;",
                *(f"    {self._pointer(name, buffers.places[name])}" for name in dict.fromkeys(needed)),
                *(f"    char* const scratch_{b.node} = workspace + {buffers.scratch[b.node]};" for b in blocks if b.code.scratch),
                *(f"    {b.call}" for b in blocks),
                *(f"    {self._copy(position, name)}" for position, name in buffers.copies.items()), "}"]

    def _pointer(self, name: str, place: Place) -> str:
        kind, variable = C_TYPES[self.graph.tensors[name].dtype], self.tensors[name]
        if place.kind == "input":
            return f"const {kind}* const {variable} = static_cast<const {kind}*>(inputs[{place.number}]);"
        if place.kind == "output":
            return f"{kind}* const {variable} = static_cast<{kind}*>(outputs[{place.number}]);"
        if place.kind == "constant":
            return f"const {kind}* const {variable} = {self.raw[place.name]};"
        return f"{kind}* const {variable} = reinterpret_cast<{kind}*>(workspace + {place.number});"

    def _copy(self, position: int, name: str) -> str:
        """An output that is an input, a constant or another output under a second name."""
        about = self._value(name)
        source = self.tensors.get(name) or self.raw[name]
        return f"__builtin_memcpy(outputs[{position}], {source}, {about.bytes});"

    def _value(self, name: str) -> Tensor:
        """What the interface says of an input or output."""
        if name in self.graph.tensors:
            return self.graph.tensors[name]
        return Tensor(name, tuple(self.graph.constants[name].shape), str(self.graph.constants[name].dtype))

    def _exports(self, workspace_bytes: int) -> list[str]:
        """The C interface: the same names and order as the header."""
        name, values = self.name, {"input": [self._value(n) for n in self.graph.inputs], "output": [self._value(n) for n in self.graph.outputs]}
        lines = [f"static_assert(sizeof(bool) == 1, \"a bool is a byte in the interface\");", 'extern "C" {',
                 f"extern const uint32_t {name}_abi_version = {ABI_VERSION}, {name}_input_count = {len(values['input'])}, {name}_output_count = {len(values['output'])};",
                 f"extern const uint64_t {name}_workspace_bytes = {workspace_bytes};"]
        for side, tensors in values.items():
            lines += [f"extern const uint64_t {name}_{side}_bytes[] = {{{', '.join(str(t.bytes) for t in tensors) or '0'}}};",
                      f"extern const char* const {name}_{side}_names[] = {{{', '.join(literal(t.name) for t in tensors) or '0'}}};",
                      f"extern const char* const {name}_{side}_types[] = {{{', '.join(literal(t.dtype + str(list(t.shape))) for t in tensors) or '0'}}};"]
        static = f"    alignas(64) static char workspace[{workspace_bytes}];"
        return [*lines, f"void {name}_infer_in(void* workspace, const void* const* inputs, void* const* outputs) {{",
                f"    program_{name}::run(static_cast<char*>(workspace), inputs, outputs);", "}",
                f"void {name}_infer(const void* const* inputs, void* const* outputs) {{", static, f"    program_{name}::run(workspace, inputs, outputs);", "}", "}"]

    def _header(self, workspace_bytes: int) -> str:
        """NAME.h, for C and C++."""
        name = self.name
        sides = (("inputs", self.graph.inputs), ("outputs", self.graph.outputs))
        about = [f"//   {side}[{i}]  {self._value(n).dtype} {list(self._value(n).shape)}  {comment(n, 60)}" for side, names in sides for i, n in enumerate(names)]
        fields = [f"extern const {kind} {name}_{side}_{what}[];" for side in ("input", "output")
                  for kind, what in (("uint64_t", "bytes"), ("char* const", "names"), ("char* const", "types"))]
        return "\n".join([f"// {name}.h: the interface of {name}.cpp, written by the Vitrine kernel compiler.", *about,
                          "// All row major, as the ONNX model has them, any alignment of whole elements; outputs may not overlap inputs.", f"#ifndef {name}_HEADER", f"#define {name}_HEADER",
                          "#include <stdint.h>", "#ifdef __cplusplus", 'extern "C" {', "#endif",
                          f"extern const uint32_t {name}_abi_version, {name}_input_count, {name}_output_count;  // ABI {ABI_VERSION}", *fields,
                          f"extern const uint64_t {name}_workspace_bytes;  // {workspace_bytes}",
                          "// One call is one inference. Not re-entrant: its activations lie in one static workspace.",
                          f"void {name}_infer(const void* const* inputs, void* const* outputs);",
                          f"// The same in a workspace of the caller: {name}_workspace_bytes bytes, aligned to 64. Re-entrant.",
                          f"void {name}_infer_in(void* workspace, const void* const* inputs, void* const* outputs);",
                          "#ifdef __cplusplus", "}", "#endif", "#endif", ""])


def _check_interface(graph: Graph, any_layout: bool = False) -> None:
    """Inputs and outputs lie as ONNX has them, in types that C++ has."""
    for name in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors.get(name)
        if tensor is not None and tensor.layout != ROWS and not any_layout:
            raise CompileError(f"The input or output {name!r} has the layout {tensor.layout}; a Relayout has to stand between.")
    for tensor in graph.tensors.values():
        if tensor.dtype not in C_TYPES:
            raise CompileError(f"{tensor.name!r} is of type {tensor.dtype}; what can be compiled: {', '.join(C_TYPES)}.")
