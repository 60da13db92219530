"""Quantises an ONNX model for `subten quantize`, which starts this and talks to it by lines of JSON.

Standard input: one line with the request (src/quantize/request.ts says what is in it), and then nothing until the end;
when it ends, so does this process. Standard output: events, one a line (src/quantize/events.ts).
"""

import os
import sys

# ONNX Runtime sends usage data and keeps an identifier unless this is set before it starts.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from subten_tools.protocol import serve  # noqa: E402


def work(request, events):
    from subten_tools.environment import check_packages

    versions = check_packages(os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements.txt"))
    from subten_tools.job import run

    return run(request, events, versions)


if __name__ == "__main__":
    serve(work)
