"""ONNX Runtime's Python API on a model, in turns: for each line "COUNT" on stdin, COUNT runs one after another.

    python bench/python_runs.py MODEL THREADS SPIN(0|1)     →  one line of JSON a turn: microseconds of each run

The first line says the version. The input is one row of random numbers, always the same array.
"""

import json
import sys
import time

import numpy as np
import onnxruntime as ort


def main() -> None:
    path, threads, spin = sys.argv[1:]
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.add_session_config_entry("session.intra_op.allow_spinning", spin)
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    spec = session.get_inputs()[0]
    shape = [dim if isinstance(dim, int) else 1 for dim in spec.shape]
    feeds = {spec.name: np.random.default_rng(1).random(shape, dtype=np.float32)}
    print(json.dumps({"version": ort.__version__}), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter_ns()
            session.run(None, feeds)
            times.append((time.perf_counter_ns() - start) / 1000)
        print(json.dumps({"us": times}), flush=True)


main()
