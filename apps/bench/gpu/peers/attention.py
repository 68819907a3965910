# torch's scaled_dot_product_attention on the shapes of parts/attention.ts, forward and backward, by its own choice of backend.
import json

import torch
import triton.testing as timing

HEADS, KV_HEADS, DIM = 32, 8, 128


def say(name, value):
    print(json.dumps({"part": "attention", "by": f"torch {torch.__version__}", "name": name, "unit": "us", "value": value}), flush=True)


for batch, tokens in ((1, 2048), (4, 2048), (1, 8192)):
    q = torch.randn(batch, tokens, HEADS, DIM, device="cuda", dtype=torch.bfloat16).transpose(1, 2).requires_grad_()
    k, v = (torch.randn(batch, KV_HEADS, tokens, DIM, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
    attend = lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    with torch.no_grad():
        say(f"attention forward {batch} x {tokens}", 1000 * timing.do_bench(attend, return_mode="median"))
    out = attend()
    g = torch.randn_like(out)
    say(f"attention backward {batch} x {tokens}", 1000 * timing.do_bench(lambda: torch.autograd.grad(out, (q, k, v), g, retain_graph=True), return_mode="median"))
