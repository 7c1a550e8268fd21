"""What a lowering offers for a node: variants, each with its code, its cost and what it needs; the generator and the optimiser see nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from core.compiler.graph import Graph, Node


@dataclass(frozen=True)
class Target:
    """The processor a file is written for.

    name   avx512, avx2 or scalar
    lanes  float32 values in a vector register: 16, 8, 1
    flags  what the compiler must be given; `requires` are the macros whose absence makes the file refuse to compile (#error)
    """

    name: str
    lanes: int
    flags: tuple[str, ...]
    requires: tuple[str, ...]


TARGETS: Mapping[str, Target] = {
    "avx512": Target("avx512", 16, ("-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mavx2", "-mfma"), ("__AVX512F__", "__AVX512VL__", "__AVX512DQ__", "__FMA__")),
    "avx2": Target("avx2", 8, ("-mavx2", "-mfma"), ("__AVX2__", "__FMA__")),
    "scalar": Target("scalar", 1, (), ()),
}


@dataclass(frozen=True)
class Code:
    """The C++ of one node under one variant.

    body       statements inside a block of their own. Tensors are named by `operand(name)` (see Lower.emit); constants by the keys of `constants`.
    templates  files of core/compiler/templates/ the body calls into (each lands in the .cpp once, in the order of their own `// needs:` lines)
    constants  arrays to store in the program (packed weights, tables): key -> float32, int32 or int64 array; keys are valid C identifiers unique in this node
    scratch    bytes of 64-byte aligned private memory the body may use as `scratch` (a char*); shared between nodes, not kept
    """

    body: str
    templates: tuple[str, ...] = ()
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    scratch: int = 0


@dataclass(frozen=True)
class Variant:
    """One way to compute a node.

    name        short and stable, shown on the page and stored in the mapping: "gemv 8", "direct 14x2", "winograd 4x6", "plain"
    emit        (operand: name -> C expression of a typed pointer) -> Code
    multiplies  multiply-adds it does, padding and overhang included (0: not worth counting); the limit of a node is the least over its variants
    weight_bytes  what is streamed from memory per call
    error       relative error it may add (0: rounding of float32 sums only); Winograd and polynomials state theirs
    """

    name: str
    emit: Callable[[Callable[[str], str]], Code]
    multiplies: int = 0
    weight_bytes: int = 0
    error: float = 0.0


Lowering = Callable[[Node, Graph, Target], tuple[Variant, ...]]
"""(node, graph, target) -> variants, the one expected to be best first; an empty tuple means that this family does not take this node."""
