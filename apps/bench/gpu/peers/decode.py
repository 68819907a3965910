# The Llama of llama.ts in torch: decoding with one sequence at 16 and 8,192 tokens, reading 2,048 tokens; bfloat16, and torchao's schemes where
# it is there (AO_TORCHAO_PATH: where to look). Layers are compiled, steps replayed as CUDA graphs. Steps stand still at their position, so
# that keys need no mask.
import json
import os
import sys
import time

if "AO_TORCHAO_PATH" in os.environ:
    sys.path.insert(0, os.environ["AO_TORCHAO_PATH"])
import torch
import torch.nn.functional as F
from torch import nn

LAYERS = int(os.environ.get("AO_BENCH_LAYERS", 32))
NAMED = os.environ.get("AO_BENCH_SCHEMES")
NAME = "Llama 8B" if LAYERS == 32 else f"Llama 8B of {LAYERS} layers"
H, I, HEADS, KV, D, V = 4096, 14336, 32, 8, 128, 128256


def say(part, name, unit, value, **more):
    print(json.dumps({"part": part, "by": f"torch {torch.__version__}", "name": name, "unit": unit, "value": value, **more}), flush=True)


def rope(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda n, k: nn.Linear(k, n, bias=False)
        self.qkv, self.o = linear((HEADS + 2 * KV) * D, H), linear(H, HEADS * D)
        self.gate_up, self.down = linear(2 * I, H), linear(H, I)
        self.norm1, self.norm2 = nn.RMSNorm(H, 1e-5), nn.RMSNorm(H, 1e-5)

    def forward(self, x, cos, sin, at, keys, values, length: int):
        q, k, v = self.qkv(self.norm1(x)).split((HEADS * D, KV * D, KV * D), -1)
        b, t, _ = x.shape
        heads = lambda y, n: y.view(b, t, n, D).transpose(1, 2)
        q, k, v = rope(heads(q, HEADS), cos, sin), rope(heads(k, KV), cos, sin), heads(v, KV)
        keys.index_copy_(2, at, k)
        values.index_copy_(2, at, v)
        y = F.scaled_dot_product_attention(q, keys[:, :, :length], values[:, :, :length], is_causal=t > 1, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, HEADS * D))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, length):
        super().__init__()
        self.embed, self.layers = nn.Embedding(V, H), nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = nn.RMSNorm(H, 1e-5), nn.Linear(H, V, bias=False)
        angles = torch.outer(torch.arange(length).float(), 500000 ** (-torch.arange(0, D, 2).float() / D))
        self.cos, self.sin = angles.cos(), angles.sin()
        self.caches = [[torch.zeros(1, KV, length, D) for _ in range(2)] for _ in range(LAYERS)]

    def forward(self, ids, at, length):
        x = self.embed(ids)
        cos, sin = self.cos[at], self.sin[at]
        for layer, (k, v) in zip(self.layers, self.caches):
            x = layer(x, cos, sin, at, k, v, length)
        return self.head(self.norm(x[:, -1:])).argmax(-1)


def configs():
    yield "bfloat16", None
    try:
        from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, Int4WeightOnlyConfig, Int8WeightOnlyConfig, PerRow
    except ImportError as error:
        print(f"without torchao: {error}", file=sys.stderr)
        return
    yield "int8wo", Int8WeightOnlyConfig()
    yield "int4wo-128", Int4WeightOnlyConfig(group_size=128, int4_packing_format="tile_packed_to_4d")
    yield "float8dq_e4m3_row", Float8DynamicActivationFloat8WeightConfig(granularity=PerRow())


def measure(scheme, config):
    torch._dynamo.reset()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = Llama(8208)
        for p in model.parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.02)
    model.cos, model.sin = model.cos.float(), model.sin.float()
    if config is not None:
        from torchao.quantization import quantize_

        quantize_(model, config)
    for layer in model.layers:
        layer.forward = torch.compile(layer.forward, dynamic=False)
    steps = [] if "float8" in scheme else [(1, 17), (1, 8193)]
    reads = [] if scheme == "int8wo" else [(2048, 2048)]
    for count, length in steps + reads:
        ids = torch.randint(V, (1, count), device="cuda")
        at = torch.arange(length - count, length, device="cuda")
        run = lambda: model(ids, at, length)
        for _ in range(3):
            run()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        turns = 100 if count == 1 else 7
        for _ in range(2):
            graph.replay()
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(turns):
            graph.replay()
        torch.cuda.synchronize()
        ms = (time.perf_counter() - start) * 1000 / turns
        if count == 1:
            say("decode", f"{NAME} decode {scheme} at {length - 1} tokens", "tok/s", 1000 / ms)
        else:
            say("prefill", f"{NAME} prefill {scheme} of {count} tokens", "ms", ms)


with torch.no_grad():
    for scheme, config in configs():
        if NAMED is None or scheme in NAMED.split(","):
            try:
                measure(scheme, config)
            except Exception as error:
                print(f"{scheme}: {error}", file=sys.stderr)
            torch.cuda.empty_cache()
