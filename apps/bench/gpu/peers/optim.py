# torch's fused AdamW and torchao's quantized ones (compiled by themselves) on the sixteen matrices of parts/optim.ts; and the memory's copy rate.
import json
import statistics
import sys

import torch

MATRICES, SIDE, TURNS = 16, 8192, 12


def say(name, unit, value, **more):
    print(json.dumps({"part": "optim", "by": by, "name": name, "unit": unit, "value": value, **more}), flush=True)


def step_ms(optimizer):
    times = []
    for i in range(TURNS + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        optimizer.step()
        end.record()
        torch.cuda.synchronize()
        if i >= 3:
            times.append(start.elapsed_time(end))
    return statistics.median(times)


by = f"torch {torch.__version__}"
source = torch.empty(2**31, dtype=torch.uint8, device="cuda").random_()
target = torch.empty_like(source)
times = []
for _ in range(20):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    target.copy_(source)
    end.record()
    torch.cuda.synchronize()
    times.append(start.elapsed_time(end))
say("copy", "GB/s", 2 * source.numel() / statistics.median(times) / 1e6)
del source, target
params = [torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16).mul_(0.02).requires_grad_() for _ in range(MATRICES)]
for p in params:
    p.grad = torch.randn_like(p).mul_(1e-3)
fused = torch.optim.AdamW(params, fused=True)
say("AdamW step, 2^30 parameters", "ms", step_ms(fused))
del fused
try:
    import torchao
    from torchao.optim import AdamW4bit, AdamW8bit, AdamWFp8
except ImportError as error:
    print(f"torchao's optimizers are not measured: {error}", file=sys.stderr)
    sys.exit(0)
by = f"torchao {torchao.__version__}"
for Class in (AdamW8bit, AdamW4bit, AdamWFp8):
    say(f"{Class.__name__} step, 2^30 parameters", "ms", step_ms(Class(params)))
    say(f"{Class.__name__}, stochastic rounding step, 2^30 parameters", "ms", step_ms(Class(params, bf16_stochastic_round=True)))
