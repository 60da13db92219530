"""ResNet-50 in PyTorch with the weights of scripts/models/resnet50.py: eager and CUDA graphs, as JSON on stdout.

    python bench/gpu/pytorch.py FOLDER [SECONDS]      FOLDER has weights.json
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "models"))
from resnet50_weights import draw  # noqa: E402

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


class ResNet50:
    """The same graph as resnet50.py's, weights in the order of the draws."""

    def __init__(self, weights: dict, dtype: torch.dtype, channels_last: bool):
        form = torch.channels_last if channels_last else torch.contiguous_format
        self.w = []
        for tensor in weights.values():
            t = torch.from_numpy(tensor).to("cuda", dtype)
            self.w.append(t.contiguous(memory_format=form) if t.dim() == 4 else t)
        self.dtype, self.form = dtype, form

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        rest = iter(self.w)
        conv = lambda x, stride=1: F.conv2d(
            x, (w := next(rest)), next(rest), stride=stride, padding=w.shape[-1] // 2
        )
        x = F.relu(conv(image.to(self.dtype).contiguous(memory_format=self.form), 2))
        x = F.max_pool2d(x, 3, 2, 1)
        for _, blocks, first in STAGES:
            for block in range(blocks):
                stride = first if block == 0 else 1
                y = F.relu(conv(x))
                y = F.relu(conv(y, stride))
                y = conv(y)
                short = conv(x, stride) if block == 0 else x
                x = F.relu(y + short)
        x = x.mean((2, 3))
        return torch.addmm(self.w[-1], x, self.w[-2]).float()


def quantiles(times: list) -> dict:
    us = lambda q: round(float(np.quantile(times, q)) * 1e6)
    return {"count": len(times), "p50": us(0.5), "p99": us(0.99), "p999": us(0.999)}


def measure(net, rows: int, graph: bool, seconds: float) -> dict:
    host = torch.randn(rows, 3, 224, 224).pin_memory()
    answer = torch.empty(rows, 1000).pin_memory()
    image = torch.empty_like(host, device="cuda")
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream), torch.inference_mode():
        for _ in range(10):
            image.copy_(host, non_blocking=True)
            out = net(image)
        stream.synchronize()
        run = lambda: net(image)
        if graph:
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured, stream=stream):
                out = net(image)

            def run():
                captured.replay()
                return out

        def once():
            image.copy_(host, non_blocking=True)
            answer.copy_(run(), non_blocking=True)
            stream.synchronize()

        for _ in range(10):
            once()
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            once()
            times.append(time.perf_counter() - start)
        spans = []
        for _ in range(50):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            a.record()
            run()
            b.record()
            b.synchronize()
            spans.append(a.elapsed_time(b) * 1000)
    return {"rows": rows, "device": round(float(np.median(spans))), **quantiles(times)}


def main() -> None:
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    weights = draw(Path(sys.argv[1]))
    torch.backends.cudnn.benchmark = True
    cases = []
    for name, dtype, tf32, last in (
        ("FP32", torch.float32, False, False),
        ("TF32, channels last", torch.float32, True, True),
        ("FP16, channels last", torch.float16, False, True),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        net = ResNet50(weights, dtype, last)
        for graph in (False, True):
            for rows in (1, 8, 32):
                found = measure(net, rows, graph, seconds / 2)
                cases.append({"name": f"{name}, {'CUDA graph' if graph else 'eager'}", **found})
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    with torch.inference_mode():
        picture = torch.from_numpy(np.sin(np.arange(3 * 224 * 224)).astype(np.float32)).reshape(1, 3, 224, 224)
        logits = ResNet50(weights, torch.float32, False)(picture.cuda()).cpu().numpy().ravel().tolist()
    big = torch.empty(256 << 20, dtype=torch.uint8).pin_memory()
    target = torch.empty_like(big, device="cuda")
    target.copy_(big)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(5):
        target.copy_(big, non_blocking=True)
    torch.cuda.synchronize()
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "cuda": torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
                "device": torch.cuda.get_device_name(0),
                "hostToDeviceGBs": round(5 * big.numel() / (time.perf_counter() - start) / 1e9, 1),
                "logits": logits,
                "cases": cases,
            }
        )
    )


if __name__ == "__main__":
    main()
