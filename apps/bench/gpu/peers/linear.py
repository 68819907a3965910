# torch's bfloat16 linears on the shapes of parts/linear.ts, replayed as CUDA graphs over ten weights; and the memory's rates.
import json

import torch
import triton.testing as timing


def say(name, unit, value, **more):
    print(json.dumps({"part": "linear", "by": f"torch {torch.__version__}", "name": name, "unit": unit, "value": value, **more}), flush=True)


def milliseconds(run):
    return timing.do_bench(run, warmup=20, rep=60, return_mode="median")


source = torch.empty(2**31, dtype=torch.uint8, device="cuda").random_()
target = torch.empty_like(source)
say("copy", "GB/s", 2 * source.numel() / milliseconds(lambda: target.copy_(source)) / 1e6)
say("read", "GB/s", source.numel() / milliseconds(lambda: source.view(torch.bfloat16).sum()) / 1e6)
del source, target
for n, k in ((28672, 4096), (4096, 14336), (6144, 4096)):
    weights = [torch.randn(n, k, device="cuda", dtype=torch.bfloat16) for _ in range(10)]
    for m in (1, 4, 16, 64, 2048):
        x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
        torch.nn.functional.linear(x, weights[0])
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for w in weights:
                torch.nn.functional.linear(x, w)
        say(f"linear bfloat16 [{m}, {k}] x [{n}, {k}]", "us", milliseconds(graph.replay) * 100, bytes=2 * n * k)
