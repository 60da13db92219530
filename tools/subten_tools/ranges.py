"""The range of every tensor that is to be quantised, over the calibration rows, by ONNX Runtime's calibrators.

Its calibrators keep all tensors of all rows when they are given them at once (ResNet-50: 180 MB a row). Here they get
a batch at a time, whose size follows from what a row takes, so that memory does not grow with the rows.
"""

import os
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

from .collector import Collector
from .model_file import session
from .protocol import ToolError

# Of one batch's tensors.
BATCH_BYTES = 128 * 1024 * 1024
MOST_ROWS = 64
BINS = 2048
# Levels of a symmetric 8-bit range. The default of ONNX Runtime, 128 of 128 bins, leaves nothing to choose between.
LEVELS = 256


class _OneBatch:
    def __init__(self, feed):
        self._feed = feed

    def get_next(self):
        feed, self._feed = self._feed, None
        return feed


def batch_rows(prepared, rows, op_types):
    """Rows of a batch whose tensors take about BATCH_BYTES."""
    model = onnx.load(prepared)
    names = {name for node in model.graph.node if node.op_type in op_types for name in node.output if name}
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(names - there))
    run = session(model, "none")
    one = next(rows.feeds(rows.batch(1), rows.batch(1)))
    taken = sum(np.asarray(value).nbytes for value in run.run(None, one)) / rows.batch(1)
    return rows.batch(int(min(MOST_ROWS, max(1, BATCH_BYTES // max(1, taken)))))


def collect_ranges(prepared, folder, rows, settings, events):
    """Tensor ranges as the quantiser takes them."""
    batch = batch_rows(prepared, rows, settings.op_types)
    exact = settings.method == "minmax"
    steps = -(-rows.count // batch) * (1 if exact else 2)
    done = 0

    def collect(calibrator):
        nonlocal done
        for feed in rows.feeds(batch):
            calibrator.collect_data(_OneBatch(feed))
            done += 1
            events.progress("calibrate", done, steps)

    extremes = _calibrator(prepared, folder, CalibrationMethod.MinMax, settings)
    collect(extremes)
    ranges = extremes.compute_data()
    ignored = _check_finite(prepared, ranges, settings)
    if exact:
        return ranges, batch
    method = CalibrationMethod.Entropy if settings.method == "entropy" else CalibrationMethod.Percentile
    calibrator = _calibrator(prepared, folder, method, settings)
    calibrator.collector = _collector(settings, ranges)
    calibrator.tensors_to_calibrate = set(calibrator.tensors_to_calibrate) - ignored
    collect(calibrator)
    return calibrator.compute_data(), batch


def _calibrator(prepared, folder, method, settings):
    extra = {"symmetric": False}
    if method is CalibrationMethod.Entropy:
        extra.update(num_bins=BINS, num_quantized_bins=LEVELS)
    if method is CalibrationMethod.Percentile:
        extra.update(num_bins=BINS, percentile=settings.percentile)
    path = os.path.join(folder, f"collect-{method.name}.onnx")
    return create_calibrator(Path(prepared), settings.op_types, path, method, extra_options=extra)


def _collector(settings, ranges):
    """A collector whose histograms have their bounds from the start: they would grow, without limit, with each batch."""
    collector = Collector(
        method=settings.method,
        symmetric=False,
        num_bins=BINS,
        num_quantized_bins=LEVELS,
        percentile=settings.percentile,
        scenario="same",
    )
    for name, data in ranges.items():
        low, high = (np.asarray(bound).reshape(()) for bound in data.range_value)
        bound = max(abs(low), abs(high))
        if 0 < bound < np.inf:
            edges = np.linspace(-bound, bound, BINS + 1).astype(low.dtype)
            collector.histogram_dict[name] = (np.zeros(BINS, dtype=np.int64), edges, low, high, bound)
    return collector


def _check_finite(prepared, ranges, settings):
    """Tensors without a finite range, which no node that is to be quantised may touch: masks of attention have them."""
    unbounded = {name for name, data in ranges.items() if not np.isfinite(data.range_value).all()}
    for node in onnx.load(prepared, load_external_data=False).graph.node:
        if node.op_type not in settings.op_types or node.name in settings.exclude:
            continue
        name = next((each for each in [*node.output, *node.input] if each in unbounded), None)
        if name is not None:
            raise ToolError(
                "MODEL_INVALID",
                f'the model computes NaN or an infinity at the tensor "{name}" of the node "{node.name}" ({node.op_type})',
                f"Look at the calibration rows; where the infinity is meant, as in a mask, --exclude '{node.name}'.",
                tensor=name,
                node=node.name,
            )
    return unbounded
