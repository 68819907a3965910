"""torch eager's time for what kernels/cpu/ops/bench/backward.cc measures, under the same names, 2 threads:
  python backward.py [text in the name] [rounds]
Each line is the least of the rounds, of the backward alone."""
import sys
import time

import torch

only = sys.argv[1] if len(sys.argv) > 1 else ""
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
F = torch.nn.functional
torch.set_num_threads(2)


def measure(name, run):
    least = 1e9
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - begin)
    print(f"  {name:34s} {least * 1e6:9.1f} us", flush=True)


def case(name, make):
    """make() gives a function to time, or (output, inputs, gradient of the output)."""
    if only not in name:
        return
    made = make()
    if callable(made):
        return measure(name, made)
    out, inputs, g = made
    measure(name, lambda: torch.autograd.grad(out, inputs, g, retain_graph=True))


ATTENTION = (
    ("6x48-t256-b8", 8, 256, 6, 6, 48),
    ("9/3x64-t512-b2", 2, 512, 9, 3, 64),
    ("9/3x64-t1024-b1", 1, 1024, 9, 3, 64),
    ("8x128-t1024-b1", 1, 1024, 8, 8, 128),
)
for dtype, kind in ((torch.float32, "f32-"), (torch.bfloat16, "bf16-")):

    def r(*shape):
        return torch.randn(*shape).to(dtype)

    def p(*shape):
        return r(*shape).requires_grad_()

    def norm(f, *weights):
        x = p(2048, 576)
        return f(x, *weights), (x, *weights), r(2048, 576)

    def unary(f):
        x = p(2048, 1536)
        return f(x), (x,), r(2048, 1536)

    def silu_mul():
        gate, up = p(2048, 1536), p(2048, 1536)
        return F.silu(gate) * up, (gate, up), r(2048, 1536)

    def in_place(f):
        g, x = r(2048, 1536), r(2048, 1536)
        return lambda: f(g, x)

    def cross_entropy():
        x, targets = p(512, 32000), torch.arange(512) * 61 % 32000
        return F.cross_entropy(x, targets, reduction="none"), (x,), torch.full((512,), 0.01).to(dtype)

    def embedding():
        w, ids = p(49152, 576), (torch.rand(2048) * torch.rand(2048) * torch.rand(2048) * 49152).long()
        return F.embedding(ids, w), (w,), r(2048, 576)

    def attention(b, t, h, kv, d):
        q, k, v = p(b, t, h, d), p(b, kv, t, d), p(b, kv, t, d)
        out = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, is_causal=True, enable_gqa=kv != h)
        return out.transpose(1, 2), (q, k, v), r(b, t, h, d)

    factor = torch.tensor(0.999)
    case(kind + "rms-norm", lambda: norm(lambda x, w: F.rms_norm(x, (576,), w, 1e-5), p(576)))
    case(kind + "layer-norm", lambda: norm(lambda x, w, b: F.layer_norm(x, (576,), w, b), p(576), p(576)))
    case(kind + "silu-mul", silu_mul)
    case(kind + "silu", lambda: unary(F.silu))
    case(kind + "gelu", lambda: unary(F.gelu))
    case(kind + "gelu-tanh", lambda: unary(lambda x: F.gelu(x, approximate="tanh")))
    case(kind + "softmax", lambda: unary(lambda x: F.softmax(x, -1)))
    case(kind + "sum-of-squares", lambda: in_place(lambda g, _: torch.linalg.vector_norm(g)))
    case(kind + "scale", lambda: in_place(lambda g, _: g.mul_(factor)))
    case(kind + "add", lambda: in_place(lambda g, x: g.add_(x)))
    case(kind + "cross-entropy", cross_entropy)
    case(kind + "embedding", embedding)
    for name, *sizes in ATTENTION:
        case(f"attention-{kind}{name}", lambda: attention(*sizes))
