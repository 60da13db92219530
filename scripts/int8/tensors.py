"""What there is to quantise in a model: prints, as JSON, the range of each convolution's weights by channel with the error
that eight bits make of them, and the ranges of activations over some rows.

    python scripts/int8/tensors.py model.onnx rows.npz
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper


def quantised(w: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Symmetric, seven bits and a sign: what S8 weights keep of `w`, whose largest magnitude is `largest`."""
    scale = np.maximum(largest, 1e-12) / 127
    return np.clip(np.round(w / scale), -127, 127) * scale


def sqnr_db(x: np.ndarray, kept: np.ndarray) -> float:
    """Signal to quantisation noise, dB."""
    return float(10 * np.log10((x**2).sum() / max(((x - kept) ** 2).sum(), 1e-30)))


def weights(graph: onnx.GraphProto) -> list[dict]:
    constants = {each.name: each for each in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in constants:
            continue
        w = numpy_helper.to_array(constants[node.input[1]]).astype(np.float64)
        rows = w.reshape(w.shape[0], -1) if node.op_type == "Conv" else w.T.reshape(w.shape[-1], -1)
        by_channel = np.abs(rows).max(1, keepdims=True)
        whole = by_channel.max()
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        found.append({
            "layer": node.name,
            "kind": "depthwise" if group > 1 else node.op_type.lower(),
            "channels": len(rows),
            "smallest": float(by_channel.min()),
            "median": float(np.median(by_channel)),
            "largest": float(whole),
            "perTensorDb": sqnr_db(rows, quantised(rows, whole)),
            "perChannelDb": sqnr_db(rows, quantised(rows, by_channel)),
            # The channel that one scale for all of them serves worst.
            "worstChannelDb": min(sqnr_db(row, quantised(row, whole)) for row in rows),
        })
    return found


def activations(model: onnx.ModelProto, rows: dict[str, np.ndarray]) -> list[dict]:
    names = [n.output[0] for n in model.graph.node if n.op_type in ("Relu", "Clip")]
    if not names:
        names = [n.output[0] for n in model.graph.node if n.op_type == "Conv"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = []
    for name, value in zip(names, session.run(names, rows)):
        x = value.ravel()
        found.append({
            "tensor": name,
            "max": float(x.max()),
            "p9999": float(np.percentile(x, 99.99)),
            "p99": float(np.percentile(x, 99)),
            "mean": float(x.mean()),
        })
    return found


def main() -> None:
    model = onnx.load(sys.argv[1])
    with np.load(sys.argv[2]) as file:
        inputs = {each.name for each in model.graph.input}
        rows = {name: file[name][:128] for name in file.files if name in inputs}
    print(json.dumps({"weights": weights(model.graph), "activations": activations(model, rows)}))


if __name__ == "__main__":
    main()
