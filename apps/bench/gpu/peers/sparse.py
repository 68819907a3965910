# cuSPARSELt through ctypes, on the shapes of parts/sparse.ts: prune (along rows, as ours) and compress of a weight, and products x . w^T of
# bfloat16 and int8 by its own choice of algorithm and by the best it finds, beside torch's dense ones.
import ctypes
import glob
import json
import os
import site
import sys

import torch
import triton.testing as timing

SHAPES = ((4096, 4096), (6144, 4096), (28672, 4096), (4096, 14336))
found = [f for folder in site.getsitepackages() for f in glob.glob(os.path.join(folder, "nvidia", "**", "libcusparseLt.so.0"), recursive=True)]
if not found:
    print("cuSPARSELt is not measured: libcusparseLt.so.0 is not among Python's packages", file=sys.stderr)
    sys.exit(0)
lt = ctypes.CDLL(found[0])
major, minor, patch = (ctypes.c_int() for _ in range(3))
for i, value in enumerate((major, minor, patch)):
    lt.cusparseLtGetProperty(i, ctypes.byref(value))
by = f"cuSPARSELt {major.value}.{minor.value}.{patch.value}"
R_BF16, R_I8, R_I32, COL, ROW, COMPUTE_I32, COMPUTE_F32, STRIP = 14, 3, 10, 1, 2, 0, 2, 1


def say(name, unit, value, who=None, **more):
    print(json.dumps({"part": "sparse", "by": who or by, "name": name, "unit": unit, "value": value, **more}), flush=True)


def check(status, what):
    if status != 0:
        raise RuntimeError(f"{what}: status {status}")


def opaque():
    return (ctypes.c_uint8 * 16384)()


def at(t):
    return ctypes.c_void_p(t.data_ptr())


def microseconds(run):
    return timing.do_bench(run, warmup=10, rep=40, return_mode="median") * 1000


handle = opaque()
check(lt.cusparseLtInit(handle), "init")


class Product:
    """out [m, n] = x [m, k] . w [n, k]^T as column-major out^T = w . x^T."""

    def __init__(self, m, n, k, int8):
        kind, result = (R_I8, R_I32) if int8 else (R_BF16, R_BF16)
        self.a, self.b, self.c, self.desc, self.algorithm, self.plan = (opaque() for _ in range(6))
        i64, u32 = ctypes.c_int64, ctypes.c_uint32
        check(lt.cusparseLtStructuredDescriptorInit(handle, self.a, i64(n), i64(k), i64(k), u32(16), kind, ROW, 0), "a")
        check(lt.cusparseLtDenseDescriptorInit(handle, self.b, i64(k), i64(m), i64(k), u32(16), kind, COL), "b")
        check(lt.cusparseLtDenseDescriptorInit(handle, self.c, i64(n), i64(m), i64(n), u32(16), result, COL), "c")
        compute = COMPUTE_I32 if int8 else COMPUTE_F32
        check(lt.cusparseLtMatmulDescriptorInit(handle, self.desc, 0, 0, self.a, self.b, self.c, self.c, compute), "product")
        check(lt.cusparseLtMatmulAlgSelectionInit(handle, self.algorithm, self.desc, 0), "algorithm")
        check(lt.cusparseLtMatmulPlanInit(handle, self.plan, self.desc, self.algorithm), "plan")
        size, buffer, workspace = (ctypes.c_size_t() for _ in range(3))
        check(lt.cusparseLtSpMMACompressedSize(handle, self.plan, ctypes.byref(size), ctypes.byref(buffer)), "size")
        check(lt.cusparseLtMatmulGetWorkspace(handle, self.plan, ctypes.byref(workspace)), "workspace")
        room = lambda n: torch.empty(max(n, 16), dtype=torch.uint8, device="cuda")
        self.compressed, self.buffer, self.workspace = room(size.value), room(buffer.value), room(1 << 26)
        self.one, self.zero = (ctypes.c_float(x) for x in (1, 0))

    def prune(self, w, out):
        check(lt.cusparseLtSpMMAPrune(handle, self.desc, at(w), at(out), STRIP, stream()), "prune")

    def compress(self, w):
        check(lt.cusparseLtSpMMACompress(handle, self.plan, at(w), at(self.compressed), at(self.buffer), stream()), "compress")

    def run(self, x, out, search=False):
        call = lt.cusparseLtMatmulSearch if search else lt.cusparseLtMatmul
        streams = (ctypes.c_void_p * 1)(stream())
        check(
            call(handle, self.plan, ctypes.byref(self.one), at(self.compressed), at(x), ctypes.byref(self.zero), at(out), at(out), at(self.workspace), streams, 1),
            "search" if search else "run",
        )


def stream():
    return ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)


n, k = 4096, 14336
w = torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
pruned, p = torch.empty_like(w), Product(4096, n, k, False)
both = microseconds(lambda: (p.prune(w, pruned), p.compress(pruned)))
say(f"prune and compress bfloat16 [{n}, {k}]", "us", both, bytes=2 * n * k + n * k + n * k // 8)
say(f"compress bfloat16 [{n}, {k}]", "us", microseconds(lambda: p.compress(pruned)))
del w, pruned, p
for int8 in (False, True):
    code = "int8" if int8 else "bfloat16"
    for n, k in SHAPES:
        w = torch.randn(n, k, device="cuda").mul_(30).to(torch.int8) if int8 else torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
        for m in (64, 256, 1024, 4096):
            x = torch.randn(m, k, device="cuda").mul_(30).to(torch.int8) if int8 else torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
            out = torch.empty(m, n, device="cuda", dtype=torch.int32 if int8 else torch.bfloat16)
            name = f"[{m}, {k}] x [{n}, {k}]"
            dense = (lambda: torch._int_mm(x, w.t())) if int8 else (lambda: torch.nn.functional.linear(x, w))
            say(f"dense {code} {name}", "us", microseconds(dense), who=f"torch {torch.__version__}")
            try:
                p, pruned = Product(m, n, k, int8), torch.empty_like(w)
                p.prune(w, pruned)
                p.compress(pruned)
                p.run(x, out)
                wanted = torch._int_mm(x, pruned.t()) if int8 else torch.nn.functional.linear(x, pruned)
                off = ((out.float() - wanted.float()).norm() / wanted.float().norm()).item()
                say(f"2:4 {code} {name}", "us", microseconds(lambda: p.run(x, out)), note=f"relative error {off:.1e}")
                p.run(x, out, search=True)
                say(f"2:4, searched, {code} {name}", "us", microseconds(lambda: p.run(x, out)))
            except RuntimeError as error:
                print(f"{code} {name}: {error}", file=sys.stderr)
