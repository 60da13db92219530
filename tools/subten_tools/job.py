"""One request: a model in, a model out, and what there is to know about the way between."""

import math
import os
import resource
import time
from collections import Counter
from pathlib import Path

import onnx
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from .layers import layer_errors, sensitivity
from .measure import Reference
from .model_file import OLDEST_OPSET, opset_of, prepare, raise_opset, read_model, save, session
from .other_precisions import quantise_dynamic, to_float16
from .protocol import ToolError
from .ranges import batch_rows, collect_ranges
from .rows import Rows
from .settings import chosen_nodes, settings_of
from .static_int8 import check_symmetric, quantise, quantised_nodes


def run(request, events, versions):
    began = time.monotonic()
    source, folder, settings = request["model"], request["work"], settings_of(request)
    events.progress("prepare", 0, 1)
    model = read_model(source)
    source_bytes = model.ByteSize()
    before = {node.name for node in model.graph.node}
    ir = model.ir_version
    model, opset = raise_opset(model, events)
    prepared = prepare(model, folder, ir, events)
    rows = Rows(request["rows"], session(prepared)) if request.get("rows") else None
    nodes = onnx.load(prepared).graph.node
    exclude = settings.exclude = chosen_nodes(request["exclude"], nodes, before - {node.name for node in nodes})
    events.progress("prepare", 1, 1)

    result = {"excluded": exclude, "opset": {"before": opset, "after": max(opset, OLDEST_OPSET)}, "versions": versions}
    if request["precision"] == "int8":
        if rows is None:
            raise ToolError("INVALID_INPUT", "static INT8 needs calibration rows", "Give --calibration.")
        made, found = _static(prepared, rows, settings, exclude, request["analysis"], events)
        result.update(found)
    elif request["precision"] == "int8-dynamic":
        made, quantised = quantise_dynamic(prepared, folder, settings, exclude)
        result["quantised"] = quantised
    else:
        made, quantised = to_float16(prepared, exclude)
        result["quantised"] = quantised
    result["float"] = _left_float(nodes, result["quantised"], made)
    save(made, request["output"], ir)
    session(request["output"])
    if rows is not None and "outputs" not in result:
        batch = rows.batch(16)
        reference = Reference(prepared, rows, batch, request["analysis"]["rows"])
        result["outputs"] = reference.compare(request["output"])
    result["opset"]["after"] = opset_of(made)
    result["sourceBytes"] = source_bytes
    result["seconds"] = round(time.monotonic() - began, 2)
    result["peakRssMiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return result


def _static(prepared, rows, settings, exclude, limits, events):
    ranges, batch = collect_ranges(prepared, os.path.dirname(prepared), rows, settings, events)
    model = load_model_with_shape_infer(Path(prepared))
    made = quantise(model, ranges, settings, exclude)
    quantised = quantised_nodes(made, settings)
    if not quantised:
        kinds = ", ".join(sorted({node.op_type for node in model.graph.node}))
        raise ToolError(
            "NOT_SUPPORTED",
            f"there is nothing to quantise in this model for {settings.target}: its operators are {kinds}",
            "Leave the model as it is, or exclude less.",
        )
    if settings.target == "tensorrt":
        check_symmetric(made)
    found = {"quantised": list(quantised), "calibrationRows": rows.count, "batch": batch}
    bounds = {name: [float(bound.reshape(())) for bound in data.range_value] for name, data in ranges.items()}
    found["ranges"] = {name: pair for name, pair in bounds.items() if all(map(math.isfinite, pair))}
    layers = layer_errors(model, made, settings, rows, batch, limits["rows"], events)
    found["layers"] = layers
    if limits["layers"] > 0:
        judged = sensitivity(model, ranges, settings, exclude, layers, rows, batch, limits, events)
        found["outputs"], found["suggested"] = judged["whole"], judged["suggested"]
    return made, found


def _left_float(nodes, quantised, made):
    """How many nodes of each operator stay float; one that is no more in the model was fused with another."""
    there = {node.name for node in made.graph.node}
    left = (node.op_type for node in nodes if node.name in there and node.name not in set(quantised))
    return dict(Counter(left).most_common())
