"""Tiny ONNX models, one per thing an engine must get right, and what ONNX Runtime answers: test/data/onnx/.

reference.json: { onnxruntime, models: { file: { loads, inputs, outputs, cases: [{ inputs, outputs | error }] } } }.
A tensor is { name, datatype, shape, data, raw }: `data` is plain JSON (64-bit integers as decimal strings, FP16 and
BF16 as their bits, NaN and infinities as strings), `raw` the little-endian bytes in base64 (absent for BYTES).
"""

import base64
import ctypes
import json
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper, numpy_helper

FOLDER = Path(__file__).resolve().parents[2] / "test" / "data" / "onnx"
IR, OPSET = 10, 21  # the first with INT4

KSERVE = {
    T.BOOL: "BOOL", T.UINT8: "UINT8", T.UINT16: "UINT16", T.UINT32: "UINT32", T.UINT64: "UINT64", T.INT8: "INT8",
    T.INT16: "INT16", T.INT32: "INT32", T.INT64: "INT64", T.FLOAT16: "FP16", T.BFLOAT16: "BF16", T.FLOAT: "FP32",
    T.DOUBLE: "FP64", T.STRING: "BYTES",
}  # fmt: skip

info = helper.make_tensor_value_info
node = helper.make_node


def build(name, nodes, inputs, outputs, constants=(), ir=IR, opset=OPSET):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, producer_name="subten")
    onnx.checker.check_model(made)
    return made


def const(name, value, dtype):
    return numpy_helper.from_array(np.array(value, dtype), name)


# --- the values each datatype is tried with: ends of the range, and what is easily mangled -----------------------------


def samples_of(kind):
    np_type = helper.tensor_dtype_to_np_dtype(kind)
    if kind == T.STRING:
        return np.array([["", "a", "naïve"], ["日本語", "🙂", "two\nlines\t\"q\""]], object)
    if kind == T.BOOL:
        return np.array([[True, False, True], [False, False, True]])
    if kind in (T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16):
        limits = ml_dtypes.finfo(np_type)
        return np.array([[0.0, -0.0, 1.5], [float(limits.max), np.inf, float(limits.tiny)]], np_type)
    limits = np.iinfo(np_type)
    return np.array([[0, 1, limits.max], [limits.min, limits.max - 1, 100]], np_type)


def models():
    """Yields (file, model, cases); a case is {input name: array}; None: the model is there only to be loaded."""
    for kind, label in KSERVE.items():
        dims = ["n", 3]
        yield (
            f"identity_{label.lower()}",
            build("identity", [node("Identity", ["x"], ["y"])], [info("x", kind, dims)], [info("y", kind, dims)]),
            [{"x": samples_of(kind)}, {"x": samples_of(kind)[:0]}],
        )

    bf16 = helper.tensor_dtype_to_np_dtype(T.BFLOAT16)
    yield (
        "cast_bf16",
        build(
            "cast", [node("Cast", ["x"], ["y"], to=T.FLOAT), node("Cast", ["y"], ["z"], to=T.BFLOAT16)],
            [info("x", T.BFLOAT16, ["n"])], [info("y", T.FLOAT, ["n"]), info("z", T.BFLOAT16, ["n"])],
        ),
        [{"x": np.array([1.5, -2.0, 3.140625], bf16)}],
    )  # fmt: skip

    f32 = lambda *v: np.array(v, np.float32)
    yield (
        "scalar",
        build("scalar", [node("Add", ["x", "one"], ["y"])], [info("x", T.FLOAT, [])], [info("y", T.FLOAT, [])],
              [const("one", 1, np.float32)]),
        [{"x": np.array(41.5, np.float32)}],
    )  # fmt: skip
    yield (
        "sum_rows",  # a sum over nothing is 0: an empty input with an output that is not empty
        build("sum_rows", [node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], [info("x", T.FLOAT, ["n", 2])],
              [info("y", T.FLOAT, [2])], [const("axes", [0], np.int64)]),
        [{"x": f32([1, 2], [3, 4])}, {"x": np.zeros((0, 2), np.float32)}],
    )  # fmt: skip
    two_free = ["rows", "columns"]
    yield (
        "add_dynamic",
        build("add", [node("Add", ["a", "b"], ["sum"])], [info("a", T.FLOAT, two_free), info("b", T.FLOAT, two_free)],
              [info("sum", T.FLOAT, two_free)]),
        [
            {"a": f32([1, 2, 3], [4, 5, 6]), "b": f32([0.5, 0.25, 0.125], [1, 1, 1])},
            {"a": f32([1]), "b": f32([2])},
            {"a": np.zeros((0, 4), np.float32), "b": np.zeros((0, 4), np.float32)},
            {"a": f32([1, 2, 3]), "b": f32([1, 2])},  # shapes that the run refuses
        ],
    )  # fmt: skip
    yield (
        "nonzero",
        build("nonzero", [node("NonZero", ["x"], ["indices"])], [info("x", T.FLOAT, ["n"])],
              [info("indices", T.INT64, [1, "found"])]),
        [{"x": f32(0, 3, 0, 5, 6)}, {"x": f32(0, 0)}, {"x": f32(1)}],
    )  # fmt: skip
    yield (
        "present_strings",  # strings whose number is known only after the run
        build("present", [node("Compress", ["words", "keep"], ["kept"], axis=0)],
              [info("words", T.STRING, ["n"]), info("keep", T.BOOL, ["n"])], [info("kept", T.STRING, ["kept"])]),
        [{"words": np.array(["a", "", "ü"], object), "keep": np.array([True, False, True])}],
    )  # fmt: skip
    yield (
        "two_in_two_out",
        build(
            "pair",
            [node("Cast", ["count"], ["c"], to=T.FLOAT), node("Mul", ["value", "c"], ["product"]),
             node("Greater", ["value", "c"], ["above"])],
            [info("value", T.FLOAT, ["n"]), info("count", T.INT32, ["n"])],
            [info("product", T.FLOAT, ["n"]), info("above", T.BOOL, ["n"])],
        ),
        [{"value": f32(1.5, -2, 8), "count": np.array([2, 3, 7], np.int32)}],
    )  # fmt: skip
    yield (
        "optional_input",  # an initializer that is also an input: its value is the default
        build("optional", [node("Mul", ["x", "factor"], ["y"])],
              [info("x", T.FLOAT, ["n"]), info("factor", T.FLOAT, [1])], [info("y", T.FLOAT, ["n"])],
              [const("factor", [10], np.float32)]),
        [{"x": f32(1, 2)}, {"x": f32(1, 2), "factor": f32(3)}],
    )  # fmt: skip
    odd_in = ["a b/c:0", "ünïcode 🙂", "__proto__", "constructor"]
    odd_out = ["toString", "hasOwnProperty", "out 0:π", "then"]
    yield (
        "odd_names",
        build("odd", [node("Neg", [i], [o]) for i, o in zip(odd_in, odd_out)],
              [info(i, T.FLOAT, ["n"]) for i in odd_in], [info(o, T.FLOAT, ["n"]) for o in odd_out]),
        [{name: f32(k + 1, k + 0.5) for k, name in enumerate(odd_in)}],
    )  # fmt: skip
    yield (
        "proto_out",
        build("proto", [node("Identity", ["x"], ["__proto__"])], [info("x", T.FLOAT, ["n"])],
              [info("__proto__", T.FLOAT, ["n"])]),
        [{"x": f32(1, 2)}],
    )  # fmt: skip
    yield (
        "fixed_batch",
        build("fixed", [node("Relu", ["x"], ["y"])], [info("x", T.FLOAT, [4, 2])], [info("y", T.FLOAT, [4, 2])]),
        [{"x": np.arange(-4, 4, dtype=np.float32).reshape(4, 2)}],
    )
    yield (
        "fails_at_run",  # an index outside the table
        build("gather", [node("Gather", ["table", "index"], ["row"])], [info("index", T.INT64, ["n"])],
              [info("row", T.FLOAT, ["n"])], [const("table", [10, 20, 30], np.float32)]),
        [{"index": np.array([2, 0], np.int64)}, {"index": np.array([7], np.int64)}],
    )  # fmt: skip
    yield (
        "fails_reshape",  # five values do not make rows of two
        build("reshape", [node("Reshape", ["x", "shape"], ["y"])], [info("x", T.FLOAT, ["n"])],
              [info("y", T.FLOAT, ["rows", 2])], [const("shape", [-1, 2], np.int64)]),
        [{"x": f32(1, 2, 3, 4)}, {"x": f32(1, 2, 3, 4, 5)}],
    )  # fmt: skip

    for label, kind in (("fp8", T.FLOAT8E4M3FN), ("complex64", T.COMPLEX64)):
        yield (
            f"unsupported_{label}",
            build("identity", [node("Identity", ["x"], ["y"])], [info("x", kind, ["n"])], [info("y", kind, ["n"])]),
            None,
        )
    yield (
        "unsupported_int4",  # Identity has no INT4 in ONNX Runtime, DequantizeLinear has
        build("int4", [node("DequantizeLinear", ["x", "scale"], ["y"])], [info("x", T.INT4, ["n"])],
              [info("y", T.FLOAT, ["n"])], [const("scale", 0.5, np.float32)]),
        None,
    )  # fmt: skip
    yield (
        "unsupported_sequence",  # an output that is no tensor
        build("sequence", [node("SequenceConstruct", ["x"], ["list"])], [info("x", T.FLOAT, ["n"])],
              [helper.make_tensor_sequence_value_info("list", T.FLOAT, ["n"])]),
        None,
    )  # fmt: skip

    yield ("slow", slow(), [{"x": np.full((1, 4), 0.5, np.float32), "turns": np.array(3, np.int64)}])


SIDE = 160


def slow():
    """`turns` products of 160x160 matrices in a loop: as long a run as a test wants, from an input of four floats.

    The matrix (the identity) is made inside, so the file stays small and the numbers neither grow nor fade.
    """
    body = helper.make_graph(
        [node("Identity", ["going"], ["going_on"]), node("MatMul", ["state", "matrix"], ["next"])],
        "turn",
        [info("i", T.INT64, []), info("going", T.BOOL, []), info("state", T.FLOAT, [SIDE, SIDE])],
        [info("going_on", T.BOOL, []), info("next", T.FLOAT, [SIDE, SIDE])],
    )
    nodes = [
        node("EyeLike", ["zeros"], ["matrix"], dtype=T.FLOAT),
        node("ReduceSum", ["x"], ["total"], keepdims=0),
        node("Add", ["zeros", "total"], ["start"]),
        node("Loop", ["turns", "yes", "start"], ["end"], body=body),
        node("Slice", ["end", "from", "to"], ["y"]),
    ]
    constants = [const("yes", True, bool), const("from", [0, 0], np.int64), const("to", [1, 4], np.int64)]
    zeros = node("ConstantOfShape", ["side"], ["zeros"])
    constants.append(const("side", [SIDE, SIDE], np.int64))
    return build(
        "slow", [zeros, *nodes], [info("x", T.FLOAT, [1, 4]), info("turns", T.INT64, [])], [info("y", T.FLOAT, [1, 4])],
        constants,
    )  # fmt: skip


# --- asking ONNX Runtime ------------------------------------------------------------------------------------------------


def bits_of(value):
    """FP16 and BF16 travel as their bits, as they do in JavaScript."""
    return value.view(np.uint16) if value.dtype.itemsize == 2 and value.dtype.kind not in "iu" else value


def plain(value):
    flat = bits_of(value).ravel()
    if flat.dtype.kind == "f":
        words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        return [words.get(str(v), float(v)) for v in flat]
    if flat.dtype.itemsize == 8 and flat.dtype.kind in "iu":
        return [str(v) for v in flat]
    return flat.tolist()


def tensor(name, value, kind):
    out = {"name": name, "datatype": KSERVE[kind], "shape": list(value.shape), "data": plain(value)}
    if kind != T.STRING:
        out["raw"] = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return out


def declared(values):
    shape = lambda v: [d.dim_value if d.HasField("dim_value") else -1 for d in v.type.tensor_type.shape.dim]
    return [
        {"name": v.name, "datatype": KSERVE.get(v.type.tensor_type.elem_type), "shape": shape(v)} for v in values
    ]


def ask(session, graph, case):
    kinds = {v.name: v.type.tensor_type.elem_type for v in [*graph.input, *graph.output]}
    entry = {"inputs": [tensor(k, v, kinds[k]) for k, v in case.items()]}
    names = [o.name for o in graph.output]
    try:
        if T.BFLOAT16 in kinds.values():  # numpy has no BF16, OrtValues have no strings: two ways in
            feed = {
                k: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.ascontiguousarray(bits_of(v)), kinds[k])
                for k, v in case.items()
            }
            results = [to_numpy(r, kinds[n]) for n, r in zip(names, session.run_with_ort_values(names, feed))]
        else:
            results = session.run(names, case)
    except Exception as error:  # the binding throws a class per status code
        return entry | {"error": str(error)[:300]}
    entry["outputs"] = [tensor(n, r, kinds[n]) for n, r in zip(names, results)]
    return entry


def to_numpy(value, kind):
    if kind != T.BFLOAT16:
        return value.numpy()
    # The Python binding does not hand BF16 out, so its bytes are read in place.
    shape = value.shape()
    count = int(np.prod(shape))
    raw = ctypes.string_at(value.data_ptr(), 2 * count) if count else b""
    return np.frombuffer(raw, np.uint16).view(helper.tensor_dtype_to_np_dtype(T.BFLOAT16)).reshape(shape)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    ort.set_default_logger_severity(4)
    listing = {}
    for name, model, cases in models():
        file = f"{name}.onnx"
        (FOLDER / file).write_bytes(model.SerializeToString())
        defaults = {c.name for c in model.graph.initializer}
        entry = {"inputs": declared(model.graph.input), "outputs": declared(model.graph.output)}
        for value in entry["inputs"]:
            if value["name"] in defaults:
                value["optional"] = True
        try:
            session = ort.InferenceSession(FOLDER / file, providers=["CPUExecutionProvider"])
            entry["loads"] = True
        except Exception as error:
            session, entry["loads"], entry["error"] = None, False, str(error)[:300].replace(str(FOLDER), ".")
        if session and cases:
            entry["cases"] = [ask(session, model.graph, case) for case in cases]
        listing[file] = entry
    head = {"onnxruntime": ort.__version__, "opset": OPSET, "ir": IR}
    lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in listing.items())
    text = json.dumps(head, indent=1)[:-2] + ',\n "models": {\n' + lines + "\n }\n}\n"
    (FOLDER / "reference.json").write_text(text)


if __name__ == "__main__":
    main()
