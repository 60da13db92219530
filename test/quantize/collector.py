"""Holds the collector of tools/ to its parent, on numbers of several kinds."""

import os
import sys

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

from onnxruntime.quantization.calibrate import HistogramCollector  # noqa: E402
from subten_tools.collector import Collector  # noqa: E402

random = np.random.default_rng(0)
settings = dict(method="entropy", symmetric=False, num_bins=512, num_quantized_bins=128, percentile=99, scenario="same")
samples = [random.normal(size=50_000), np.maximum(random.normal(size=20_000), 0), random.laplace(size=5_000) ** 3, np.ones(3)]
for sample in samples:
    values = sample.astype(np.float32)
    bound = float(np.abs(values).max())
    hist, edges = np.histogram(values, 512, range=(-bound, bound))
    histogram = (hist, edges.astype(np.float32), values.min(), values.max())
    one = HistogramCollector(**settings).get_entropy_threshold(histogram, 128)
    other = Collector(**settings).get_entropy_threshold(histogram, 128)
    assert one == other, (one, other)
    collector = Collector(**settings)
    collector.histogram_dict["t"] = (np.zeros(512, np.int64), edges, values.min(), values.max(), np.float32(bound))
    collector.collect_value({"t": [values[: values.size // 2]]})
    collector.collect_value({"t": [values[values.size // 2 :]]})
    counted = collector.histogram_dict["t"][0]
    assert counted.sum() == values.size
    ordered, within = np.sort(values.astype(np.float64)), bound * 1e-6
    least = np.searchsorted(ordered, edges[1:] - within)
    most = np.searchsorted(ordered, edges[1:] + within, side="right")
    below = np.cumsum(counted)
    assert (below >= least).all() and (below <= most).all(), "a number is in another bin than beside its bound"
print("alike")
