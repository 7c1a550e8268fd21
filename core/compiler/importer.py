"""ONNX bytes to a frozen graph of static shapes (the post's section 3.1, first phase): parsed, checked, inferred and folded with the onnx package, nothing run."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.compiler.graph import CompileError, Graph, Node, Tensor, check
from core.errors import LimitError

MOST_BYTES = 256_000_000
MOST_NODES = 2_000
MOST_ELEMENTS = 1 << 26
FOLD_ELEMENTS = 1 << 16
OLDEST_OPSET = 6
DOMAINS = ("", "ai.onnx")
DTYPES = ("float32", "int64", "int32", "bool")
CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
SHAPE_OPERATORS = frozenset("""Add And Cast CastLike Ceil Concat ConstantOfShape Div Equal Expand Flatten Floor Gather Greater GreaterOrEqual Identity Less LessOrEqual Max Min
    Mod Mul Neg Not Or Range ReduceMax ReduceMin ReduceProd ReduceSum Reshape Slice Split Sqrt Squeeze Sub Transpose Unsqueeze Where""".split())
"""Operators that are computed at once where all they read is known and small: what exporters write around shapes, axes and scalar factors."""
GROWING = {"ConstantOfShape", "Expand", "Range"}

REFERENCE_OPERATORS = tuple("""Add AveragePool BatchNormalization Clip Concat Constant Conv Div Elu Erf Exp Flatten Gather Gelu Gemm GlobalAveragePool Identity LayerNormalization
    LeakyRelu MatMul MaxPool Mul Pad Pow ReduceMean Relu Reshape Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze""".split())
"""Operators of RAN networks whose node tests make the conformance score: 38 operators and 231 tests, as the reference counts them; which 38 is a reconstruction."""


@dataclass(frozen=True)
class Imported:
    """A model that was read: its graph with ONNX operator names, the opset, who exported it, and sentences a visitor should know."""

    graph: Graph
    opset: int
    exporter: str
    notes: tuple[str, ...] = ()


def read_model(data: bytes, name: str, shapes: Mapping[str, tuple[int, ...]] | None = None, bind: Mapping[str, np.ndarray] | None = None) -> Imported:
    """The model in these bytes.

    data    an ONNX file with its weights inside
    name    what to call it in messages and in the graph
    shapes  input -> sizes, for inputs whose sizes the file leaves open (or to change the batch)
    bind    input -> array: this input is known, it becomes a constant (lengths, axes and masks that decide shapes)
    Raises CompileError (an InputError) with the node, the input or the dimension at fault, LimitError over the limits.
    """
    model = _inlined(_parse(data, name), name)
    model.ir_version = max(model.ir_version, 4)  # from 4 on a weight need not be an input too; inference goes by that
    opset = _check_model(model, name)
    notes = _apply_bind(model, bind or {})
    _apply_shapes(model, shapes or {})
    outputs = _unique_outputs(model)
    _sort(model)
    _check_rest(model, name)
    known = _infer(model, opset)
    exporter = " ".join(part for part in (model.producer_name, model.producer_version) if part)[:80]
    return Imported(check(_graph(model, name, known, opset, outputs)), opset, exporter, notes)


# ---------------------------------------------------------------- reading

def _parse(data: bytes, name: str):
    import onnx
    from google.protobuf.message import DecodeError

    if len(data) > MOST_BYTES:
        raise LimitError(f"{name} has {len(data) / 1e6:,.0f} MB, and models of up to {MOST_BYTES / 1e6:,.0f} MB are compiled. Bring a smaller one.")
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise CompileError(f"{name} is not an ONNX file. Bring a model as torch.onnx.export writes it.") from error
    if not model.HasField("graph") or not model.opset_import or not model.graph.output:
        raise CompileError(f"{name} is not an ONNX model: it has no graph, no outputs or no operator set. Bring a model as torch.onnx.export writes it.")
    return model


def _inlined(model, name: str):
    """Local functions written out; how many nodes that makes is counted before."""
    import onnx.inliner

    if not model.functions:
        return model
    bodies = {(f.domain, f.name): f.node for f in model.functions}
    counted: dict[tuple[str, str], int] = {}

    def count(nodes, open_calls: tuple) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in open_calls:
                raise CompileError(f"The function {node.op_type!r} in {name} calls itself. Export the model without local functions.")
            if key in bodies and key not in counted:
                counted[key] = count(bodies[key], (*open_calls, key))
            total += counted.get(key, 1)
        return total

    _limit_nodes(count(model.graph.node, ()), name)
    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise CompileError(f"The local functions in {name} cannot be written out: {_first_line(error)}") from error


def _limit_nodes(found: int, name: str) -> None:
    if found > MOST_NODES:
        raise LimitError(f"{name} has {found:,} nodes, and up to {MOST_NODES:,} are compiled. Bring a smaller model.")


def _check_model(model, name: str) -> int:
    """Refuse what cannot be compiled, each with its reason. The opset of the default domain."""
    import onnx

    _limit_nodes(len(model.graph.node), name)
    opset = next((o.version for o in model.opset_import if o.domain in DOMAINS), 0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise CompileError(f"{name} uses operator set {opset}, and {OLDEST_OPSET} to {newest} are read. Export the model again with one of these.")
    for node in model.graph.node:
        _check_node(node)
    for weight in (*model.graph.initializer, *(s.values for s in model.graph.sparse_initializer)):
        _check_weight(weight)
    if model.graph.sparse_initializer:
        raise CompileError(f"{name} has sparse weights, which are not compiled. Store them as plain tensors.")
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            raise CompileError(f"{value.name!r} is a {value.type.WhichOneof('value') or 'value of unknown type'}, and only tensors are compiled.".replace("_type", ""))
    return opset


def _check_rest(model, name: str) -> None:
    """What onnx.checker has to say; the shapes of outputs are left out of it and out of inference, they may belong to another batch."""
    import onnx

    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
        value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise CompileError(f"{name} is not a valid ONNX model: {_first_line(error)}") from error
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _check_node(node) -> None:
    from core.compiler.passes import OPERATORS

    if node.op_type in CONTROL_FLOW:
        raise CompileError(f"{_which(node)} decides at run time what is computed, and control flow is not compiled. Export the model with this part unrolled.")
    if node.domain not in DOMAINS:
        raise CompileError(f"{_which(node)} belongs to {node.domain!r}, and only operators of ONNX itself are compiled.")
    if node.op_type not in OPERATORS and node.op_type not in SHAPE_OPERATORS:
        raise CompileError(f"{_which(node)} is an operator this compiler does not know. {len(OPERATORS | SHAPE_OPERATORS)} operators are known, and this is none of them.")


def _check_weight(weight) -> None:
    import onnx

    if weight.data_location == onnx.TensorProto.EXTERNAL:
        raise CompileError(f"The weight {weight.name!r} lies in another file, and only the model file was brought. Save the model with its weights inside.")
    if any(d < 0 for d in weight.dims):
        raise CompileError(f"The weight {weight.name!r} has a negative dimension.")


def _which(node) -> str:
    """How a node is named in a message: its operator and its name or first output."""
    label = f"named {node.name!r}" if node.name else f"that writes {node.output[0]!r}" if node.output else "without a name"
    return f"The node {node.op_type} {label}"


def _first_line(error: Exception) -> str:
    """The library's own first line, short and closed like a sentence."""
    line = next((part.strip() for part in str(error).splitlines() if part.strip()), type(error).__name__)
    return line[:300].rstrip(". :") + "."


# ---------------------------------------------------------------- inputs

def _apply_bind(model, bind: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Turn bound inputs into weights; older files list weights among the inputs, where they are dropped."""
    from onnx import numpy_helper

    names = {v.name for v in model.graph.input}
    for name, value in bind.items():
        if name not in names:
            raise CompileError(f"There is no input {name!r} to bind. The model has {_listed(names)}.")
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    weights = {w.name for w in model.graph.initializer}
    left = [v for v in model.graph.input if v.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(left)
    return tuple(f"The input {name!r} is taken as a constant." for name in bind)


def _apply_shapes(model, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write the asked sizes into the inputs, and see that every input is static, of a known type and not too large."""
    for name in shapes:
        if name not in {v.name for v in model.graph.input}:
            raise CompileError(f"There is no input {name!r} to give a shape. The model has {_listed(v.name for v in model.graph.input)}.")
    for value in model.graph.input:
        kind = value.type.tensor_type
        if value.name in shapes:
            _write_shape(value, tuple(shapes[value.name]))
        if not kind.HasField("shape"):
            raise CompileError(f"The input {value.name!r} has no shape. Give one, such as shapes=\"{value.name}=1x64\".")
        sizes = [d.dim_value if d.HasField("dim_value") else (d.dim_param or "?") for d in kind.shape.dim]
        if any(not isinstance(size, int) or size < 0 for size in sizes):
            raise CompileError(f"The input {value.name!r} has the shape {_times(sizes)}, and every size must be a number. "
                               f"Give them, such as shapes=\"{value.name}={_times(s if isinstance(s, int) and s > 0 else 1 for s in sizes)}\".")
        _check_size(value.name, sizes)
        _dtype(kind.elem_type, f"The input {value.name!r}")


def _write_shape(value, sizes: tuple[int, ...]) -> None:
    dims = value.type.tensor_type.shape.dim
    if value.type.tensor_type.HasField("shape") and len(dims) != len(sizes):
        raise CompileError(f"The input {value.name!r} has {len(dims)} dimensions, and the shape {_times(sizes)} gives {len(sizes)}.")
    if any(size < 1 for size in sizes):
        raise CompileError(f"The shape {_times(sizes)} for the input {value.name!r} has a size below 1.")
    for dim in dims:
        dim.Clear()
    while len(dims) < len(sizes):
        dims.add()
    for dim, size in zip(dims, sizes):
        dim.dim_value = size
    value.type.tensor_type.shape.SetInParent()


def _check_size(name: str, sizes) -> None:
    total = 1
    for size in sizes:
        total *= int(size)
    if total > MOST_ELEMENTS:
        raise LimitError(f"{name!r} has the shape {_times(sizes)}, {total:,} elements, and tensors of up to {MOST_ELEMENTS:,} are compiled.")


def _times(sizes) -> str:
    return "x".join(map(str, sizes)) or "scalar"


def _listed(names) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"


def _dtype(element: int, where: str) -> str:
    """The NumPy name of an ONNX element type this compiler takes. Raises CompileError for others."""
    import onnx

    try:
        found = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element)).name
    except (KeyError, TypeError, ValueError):
        found = "unknown"
    if found not in DTYPES:
        raise CompileError(f"{where} is of type {onnx.TensorProto.DataType.Name(element).lower() if found == 'unknown' and element in onnx.TensorProto.DataType.values() else found},"
                           f" and float32 models are compiled. Export the model in float32.")
    return found


# ---------------------------------------------------------------- order

def _unique_outputs(model) -> tuple[str, ...]:
    """The names of the outputs as the file has them; in the model each stays once and those that are inputs or weights go, as inference wants it."""
    names = tuple(v.name for v in model.graph.output)
    given = {v.name for v in model.graph.input} | {w.name for w in model.graph.initializer}
    once = {v.name: v for v in reversed(model.graph.output)}
    kept = [once[name] for name in dict.fromkeys(names) if name not in given]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    return names


def _sort(model) -> None:
    """Put the nodes in an order in which everything is written before it is read; nodes that no output needs are dropped."""
    graph = model.graph
    given = {v.name for v in graph.input} | {w.name for w in graph.initializer}
    writer = {}
    for node in graph.node:
        for name in filter(None, node.output):
            if name in writer or name in given:
                raise CompileError(f"{name!r} is written twice, the second time by {_which(node)[4:]}.")
            writer[name] = node
    _check_reads(graph, given, writer)
    ordered = _ordered(graph, given, writer)
    del graph.node[:]
    graph.node.extend(ordered)


def _check_reads(graph, given: set[str], writer: Mapping[str, object]) -> None:
    for node in graph.node:
        for name in filter(None, node.input):
            if name not in given and name not in writer:
                raise CompileError(f"{_which(node)} reads {name!r}, which is no input, no weight and written by no node. The weights seem to be missing: save the model with them.")
    for value in graph.output:
        if value.name not in given and value.name not in writer:
            raise CompileError(f"The output {value.name!r} is written by no node.")


def _ordered(graph, given: set[str], writer: Mapping[str, object]) -> list:
    """Depth first from the outputs, without recursion."""
    done, open_now, ordered = set(given), set(), []
    stack = [(value.name, False) for value in reversed(graph.output)]
    while stack:
        name, ready = stack.pop()
        if name in done:
            continue
        node = writer[name]
        if ready:
            ordered.append(node)
            done.update(node.output)
        elif name in open_now:
            raise CompileError(f"{_which(node)} waits for its own result: the graph has a cycle.")
        else:
            open_now.update(node.output)
            stack.append((name, True))
            stack.extend((other, False) for other in reversed(node.input) if other and other not in done)
    return ordered


# ---------------------------------------------------------------- shapes and small constants

def _infer(model, opset: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Every value's type and shape by onnx.shape_inference; what only depends on shapes is computed and written in as a constant, until nothing changes."""
    del model.graph.value_info[:]
    for _ in range(MOST_NODES):
        known = _inferred(model)
        if not _fold(model, known, opset) and not _as_input(model, known):
            break
    for node in model.graph.node:
        for name in filter(None, node.output):
            if name not in known:
                raise CompileError(f"{_which(node)} gives {name!r} a shape that depends on the data. Only models whose shapes are known beforehand are compiled.")
            _check_size(name, known[name][1])
    return known


def _inferred(model) -> dict[str, tuple[int, tuple[int, ...]]]:
    import onnx

    try:
        made = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise CompileError(f"The shapes do not fit together: {_first_line(error)}") from error
    known = {w.name: (w.data_type, tuple(w.dims)) for w in made.graph.initializer}
    for value in (*made.graph.input, *made.graph.value_info, *made.graph.output):
        kind = value.type.tensor_type
        if value.type.HasField("tensor_type") and kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            known[value.name] = (kind.elem_type, tuple(d.dim_value for d in kind.shape.dim))
    return known


def _as_input(model, known: dict[str, tuple]) -> bool:
    """Tell the shape of what onnx infers none for although it is the input's; True when there was any."""
    from onnx import helper

    found = [n for n in model.graph.node if n.op_type == "GroupNormalization" and n.output[0] not in known and n.input[0] in known]
    model.graph.value_info.extend(helper.make_tensor_value_info(n.output[0], *known[n.input[0]]) for n in found)
    return bool(found)


def _fold(model, known: Mapping[str, tuple], opset: int) -> bool:
    """Compute the nodes that are constant already and small; True when there were any."""
    from onnx import numpy_helper

    small = {w.name: w for w in model.graph.initializer if int(np.prod(w.dims, dtype=np.float64)) <= FOLD_ELEMENTS}
    arrays: dict[str, np.ndarray] = {}
    kept, outputs = [], {v.name for v in model.graph.output}
    for node in model.graph.node:
        made = None if outputs & set(node.output) else _value(node, small, arrays, known)
        if made is None:
            kept.append(node)
        else:
            arrays.update(zip(node.output, made))
    if not arrays:
        return False
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items())
    return True


def _value(node, small: Mapping, arrays: dict[str, np.ndarray], known: Mapping[str, tuple]) -> list[np.ndarray] | None:
    """What the node gives, where that is already certain and small."""
    from onnx import numpy_helper

    if node.op_type in ("Shape", "Size") and node.input[0] in known:
        return [_shape_of(node, known[node.input[0]][1])]
    if node.op_type == "Constant":
        return _evaluated(node, {})
    if node.op_type not in SHAPE_OPERATORS or not all(name in arrays or name in small for name in filter(None, node.input)):
        return None
    feeds = {name: arrays[name] if name in arrays else numpy_helper.to_array(small[name]) for name in filter(None, node.input)}
    if node.op_type in GROWING and _grown(node, feeds) > FOLD_ELEMENTS:
        raise LimitError(f"{_which(node)} would write {_grown(node, feeds):,} constant elements, and up to {FOLD_ELEMENTS:,} are folded.")
    return _evaluated(node, feeds)


def _shape_of(node, shape: tuple[int, ...]) -> np.ndarray:
    if node.op_type == "Size":
        return np.array(int(np.prod(shape, dtype=np.int64)), np.int64)
    limits = {a.name: a.i for a in node.attribute}
    return np.array(shape[slice(limits.get("start"), limits.get("end"))], np.int64)


def _grown(node, feeds: Mapping[str, np.ndarray]) -> int:
    values = [feeds[name] for name in node.input]
    if node.op_type == "Range":
        return int(max(0, np.ceil((values[1] - values[0]) / values[2]))) if values[2] else 0
    return int(np.prod(np.maximum(values[-1], 1).astype(np.float64)))


def _evaluated(node, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    try:
        return ReferenceEvaluator(node).run(None, dict(feeds))
    except Exception as error:  # the library raises whatever NumPy raised
        raise CompileError(f"{_which(node)} cannot be computed from its constants: {_first_line(error)}") from error


# ---------------------------------------------------------------- the graph

def _graph(model, name: str, known: Mapping[str, tuple], opset: int, outputs: tuple[str, ...]) -> Graph:
    inputs = tuple(v.name for v in model.graph.input)
    constants = {w.name: _array(w) for w in model.graph.initializer}
    tensors = {n: Tensor(n, known[n][1], _dtype(known[n][0], f"The input {n!r}")) for n in inputs}
    nodes = []
    for proto in model.graph.node:
        if proto.op_type == "Constant":  # one that leaves the graph
            constants[proto.output[0]] = _evaluated(proto, {})[0]
            continue
        node = Node(proto.op_type, tuple(proto.input), tuple(proto.output), _attributes(proto) | {"opset": opset}, (proto.name or next(filter(None, proto.output), ""),))
        nodes.append(node)
        tensors |= {n: Tensor(n, known[n][1], _dtype(known[n][0], f"The value {n!r}, written by {_which(proto)[4:]},")) for n in proto.output if n}
    return _written(Graph(name, inputs, outputs, tensors, constants, tuple(nodes)))


def _written(graph: Graph) -> Graph:
    """Outputs that are inputs or constants get a node that writes them, and no name stands twice among the outputs: what follows can rely on both."""
    taken, outputs, nodes, tensors = {*graph.tensors, *graph.constants}, [], list(graph.nodes), dict(graph.tensors)
    for name in graph.outputs:
        if name in graph.inputs or name in graph.constants or name in outputs:
            copy = next(c for k in range(len(taken) + 1) if (c := f"{name}.out{k or ''}") not in taken)
            dtype = tensors[name].dtype if name in tensors else graph.constants[name].dtype.name
            tensors[copy], nodes = Tensor(copy, graph.shape(name), dtype), [*nodes, Node("Identity", (name,), (copy,), {}, (name,))]
            taken.add(copy)
            name = copy
        outputs.append(name)
    return replace(graph, outputs=tuple(outputs)).with_nodes(tuple(nodes), tensors)


def _array(weight) -> np.ndarray:
    from onnx import numpy_helper

    try:
        made = numpy_helper.to_array(weight)
    except (ValueError, TypeError, KeyError) as error:
        raise CompileError(f"The weight {weight.name!r} is damaged: {_first_line(error)}") from error
    if made.dtype.kind not in "fiub":
        raise CompileError(f"The weight {weight.name!r} is of type {made.dtype.name}, and float32 models are compiled.")
    made = np.ascontiguousarray(made).reshape(made.shape)
    made.setflags(write=False)
    return made


def _attributes(proto) -> dict[str, object]:
    from onnx import helper

    return {a.name: _plain(helper.get_attribute_value(a)) for a in proto.attribute}


def _plain(value):
    """Attributes as plain values: text decoded, lists as tuples, tensors as arrays."""
    if isinstance(value, bytes):
        return value.decode("utf8", "replace")
    if isinstance(value, (int, float, str)):
        return value
    if hasattr(value, "data_type"):
        return _array(value)
    if hasattr(value, "__iter__"):
        return tuple(_plain(item) for item in value)
    return str(value)


def operators_of(graph: Graph) -> Mapping[str, int]:
    """How often each operator stands in a graph, the most frequent first."""
    return dict(Counter(node.op for node in graph.nodes).most_common())
