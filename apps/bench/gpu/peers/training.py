# torch and torchao.float8, compiled, on the step of parts/training.ts: four layers of Llama 8B, four texts of 2,048 tokens, forward and
# backward. AO_PEER_RECIPES limits which.
import json
import os

import torch
import torchao
import triton.testing as timing
from torch import nn
from torch.nn import functional as F
from torchao.float8 import Float8LinearConfig, convert_to_float8_training

LAYERS, BATCH, LENGTH, VOCABULARY = 4, 4, 2048, 256
HIDDEN, MIDDLE, HEADS, KV_HEADS, DIM = 4096, 14336, 32, 8, 128


def rotated(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda n, k: nn.Linear(k, n, bias=False)
        self.q, self.k, self.v = linear(HEADS * DIM, HIDDEN), linear(KV_HEADS * DIM, HIDDEN), linear(KV_HEADS * DIM, HIDDEN)
        self.o = linear(HIDDEN, HEADS * DIM)
        self.gate, self.up, self.down = linear(MIDDLE, HIDDEN), linear(MIDDLE, HIDDEN), linear(HIDDEN, MIDDLE)
        self.before, self.between = nn.RMSNorm(HIDDEN, eps=1e-5), nn.RMSNorm(HIDDEN, eps=1e-5)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        n = self.before(x)
        heads = lambda y, count: y.view(b, t, count, DIM).transpose(1, 2)
        q, k, v = rotated(heads(self.q(n), HEADS), cos, sin), rotated(heads(self.k(n), KV_HEADS), cos, sin), heads(self.v(n), KV_HEADS)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, HEADS * DIM))
        n = self.between(x)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(HIDDEN, eps=1e-5)
        angles = torch.outer(torch.arange(LENGTH), 500000.0 ** (-torch.arange(0, DIM, 2) / DIM))
        self.register_buffer("cos", torch.cat((angles.cos(), angles.cos()), -1))
        self.register_buffer("sin", torch.cat((angles.sin(), angles.sin()), -1))

    def forward(self, ids):
        h = self.embed(ids)
        for layer in self.layers:
            h = layer(h, self.cos, self.sin)
        return self.norm(h).mean()


ids = torch.randint(VOCABULARY, (BATCH, LENGTH), device="cuda")
for recipe in os.environ.get("AO_PEER_RECIPES", "bfloat16 tensorwise rowwise rowwise_with_gw_hp").split():
    torch.manual_seed(0)
    torch._dynamo.reset()
    with torch.device("cuda"):
        model = Model().to(torch.bfloat16)
    if recipe != "bfloat16":
        convert_to_float8_training(model.layers, config=Float8LinearConfig.from_recipe_name(recipe))
    compiled = torch.compile(model)

    def step():
        model.zero_grad(set_to_none=True)
        compiled(ids).backward()

    ms = timing.do_bench(step, warmup=400, rep=1200, return_mode="median")
    by = f"torch {torch.__version__}, torchao {torchao.__version__}, compiled"
    for unit, value in (("ms", ms), ("tok/s", BATCH * LENGTH / ms * 1e3)):
        print(json.dumps({"part": "training", "by": by, "name": f"training {recipe}", "unit": unit, "value": value}), flush=True)
    del model, compiled
    torch.cuda.empty_cache()
