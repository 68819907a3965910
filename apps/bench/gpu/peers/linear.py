# The linears of parts/linear.ts by torch, replayed as CUDA graphs over ten weights: bfloat16 ones, and torchao's weight-only ones where it is
# installed (int4 by tinygemm; int8 and float8, on one shape, by torch.compile). And the memory's rates.
import json

import torch
import triton.testing as timing


def say(name, unit, value, **more):
    print(json.dumps({"part": "linear", "by": f"torch {torch.__version__}", "name": name, "unit": unit, "value": value, **more}), flush=True)


def milliseconds(run):
    return timing.do_bench(run, warmup=20, rep=60, return_mode="median")


def measure(name, layers, m, k, n, bits):
    x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
    layers[0](x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for layer in layers:
            layer(x)
    say(f"linear {name} [{m}, {k}] x [{n}, {k}]", "us", milliseconds(graph.replay) * 1000 / len(layers), bytes=n * k * bits / 8)


source = torch.empty(2**31, dtype=torch.uint8, device="cuda").random_()
target = torch.empty_like(source)
say("copy", "GB/s", 2 * source.numel() / milliseconds(lambda: target.copy_(source)) / 1e6)
say("read", "GB/s", source.numel() / milliseconds(lambda: source.view(torch.bfloat16).sum()) / 1e6)
del source, target
SHAPES = ((28672, 4096), (4096, 14336), (6144, 4096), (4096, 4096), (128256, 4096))
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 2048)


def linears(n, k, count):
    layers = []
    for _ in range(count):
        layer = torch.nn.Linear(k, n, bias=False, device="cuda", dtype=torch.bfloat16)
        torch.nn.init.normal_(layer.weight, std=0.02)
        layers.append(layer)
    return layers


torch.set_grad_enabled(False)
for n, k in SHAPES:
    count = 3 if n > 100000 else 10
    layers = linears(n, k, count)
    for m in (1,) if n > 100000 else ROWS:
        measure("bfloat16", layers, m, k, n, 16)
    del layers
try:
    from torchao.quantization import Float8WeightOnlyConfig, Int4WeightOnlyConfig, Int8WeightOnlyConfig, quantize_
except ImportError as error:
    print(f"skipped, torchao: {error}")
    raise SystemExit

CONFIGS = (
    ("int4", 4.125, lambda: Int4WeightOnlyConfig(group_size=128, int4_packing_format="tile_packed_to_4d"), False),
    ("int8", 8, Int8WeightOnlyConfig, True),
    ("float8", 8, Float8WeightOnlyConfig, True),
)
for name, bits, config, compiled in CONFIGS:
    for n, k in SHAPES[:1] if compiled else SHAPES[:4]:
        try:
            model = torch.nn.Sequential(*linears(n, k, 10))
            quantize_(model, config())
            layers = list(model)
            if compiled:
                one = torch.compile(lambda layer, x: layer(x), dynamic=False)
                layers = [lambda x, layer=layer: one(layer, x) for layer in layers]
                for layer in layers:
                    layer(torch.randn(1, k, device="cuda", dtype=torch.bfloat16))
            for m in (1,) if compiled else (1, 16, 64):
                measure(name, layers, m, k, n, bits)
        except Exception as error:  # what is not installed for a scheme is a line, not the end
            print(f"skipped, torchao {name}: {str(error)[:200]}")
