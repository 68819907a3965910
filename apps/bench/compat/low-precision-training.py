# Five steps of a small MLP in each way of low-precision training that torchao's goldens lack, by torchao 0.18 on the CPU: losses and a row of each
# weight after them, as JSON on stdout. Kernels that torchao has for GPUs only are replaced by its own PyTorch references of them.
#   python apps/bench/compat/low-precision-training.py > packages/float8/test/golden/low-precision-training.json
import json
import sys
from unittest.mock import MagicMock

import torch
import torchao
from torchao.prototype.moe_training.mxfp8_linear import mx_mm
from torchao.prototype.mx_formats.config import MXFP8Dim0CastKernelChoice, MXFP8Dim1CastKernelChoice, ScaleCalculationMode
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale
from torchao.prototype.quantized_training.bitnet import BitNetTrainingLinearWeight, _BitNetTrainingLinear
from torchao.prototype.quantized_training.int8_mixed_precision import (
    Int8MixedPrecisionTrainingConfig,
    _Int8MixedPrecisionTrainingLinearFunction,
)
from torchao.quantization.quantize_.common.kernel_preference import KernelPreference

# the module of the references also declares Triton kernels, which do not run here
sys.modules["triton"] = sys.modules["triton.language"] = MagicMock()
from torchao.prototype.blockwise_fp8_training.kernels import (  # noqa: E402
    torch_blockwise_scale_act_quant_lhs,
    torch_blockwise_scale_act_quant_rhs,
    torch_blockwise_scale_weight_quant,
)

SIZE, STEPS, LR = 128, 5, 0.2
SIGNS = [1, -1, 1, 1, -1, -1, 1, -1, 1, 1, 1, -1, -1, 1, -1, -1]


def values(step, offset):
    i = torch.arange(SIZE * SIZE, dtype=torch.float64)
    return (((i * step + offset) % 1009) / 1009 - 0.5).reshape(SIZE, SIZE)


def mxfp8(mode, hp):
    def linear(x, w):
        f8 = torch.float8_e4m3fn
        dim0, dim1 = MXFP8Dim0CastKernelChoice.TORCH, MXFP8Dim1CastKernelChoice.TORCH
        return mx_mm.apply(x, w, f8, f8, f8, 32, KernelPreference.EMULATED, dim0, dim1, mode, hp)

    return linear


class Blockwise(torch.autograd.Function):
    """fp8_blockwise_mm with torchao's reference casts, products of the decoded operands in float32."""

    @staticmethod
    def lhs(x):
        q, s = torch_blockwise_scale_act_quant_lhs(x.contiguous())
        return q.float() * s.repeat_interleave(128, 1)

    @staticmethod
    def weight(w):
        q, s = torch_blockwise_scale_weight_quant(w.contiguous())
        return q.float() * s.repeat_interleave(128, 0).repeat_interleave(128, 1)

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return (Blockwise.lhs(x) @ Blockwise.weight(w).t()).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        q, s = torch_blockwise_scale_act_quant_rhs(x.contiguous())
        rhs = q.float() * s.repeat_interleave(128, 0)
        return (Blockwise.lhs(g) @ Blockwise.weight(w)).to(g.dtype), (Blockwise.lhs(g.t()) @ rhs).to(g.dtype)


def hadamard():
    h = torch.ones(1, 1)
    while h.shape[0] < 16:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)], 0)
    return torch.diag(torch.tensor(SIGNS, dtype=torch.float32)) @ h / 4


class Nvfp4(torch.autograd.Function):
    """nvfp4_mm_triton with gradients rounded to the nearest; casts by torchao's NVFP4Tensor."""

    @staticmethod
    def rows(x):
        t = per_tensor_amax_to_scale(x.abs().max())
        return NVFP4Tensor.to_nvfp4(x.float().contiguous(), per_tensor_scale=t).dequantize(torch.float32)

    @staticmethod
    def spread(x):
        return Nvfp4.rows((x.float().reshape(-1, 16) @ hadamard()).reshape(x.shape))

    @staticmethod
    def weight(w):
        n, k = w.shape
        tiles = w.float().reshape(n // 16, 16, k // 16, 16).permute(0, 2, 1, 3)
        t = per_tensor_amax_to_scale(w.float().abs().max())
        peak = tiles.abs().amax((2, 3), keepdim=True)
        scale = (peak / 6 / t).clamp(2**-6, 448).to(torch.float8_e4m3fn).float()
        v = (tiles * (1 / t / scale)).clamp(-6, 6)
        step = torch.exp2(torch.floor(torch.log2(v.abs().clamp(min=1)))) / 2
        return ((v / step).round() * step * (t * scale)).permute(0, 2, 1, 3).reshape(n, k)

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return (Nvfp4.rows(x) @ Nvfp4.weight(w).t()).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        grad_w = Nvfp4.spread(g.t().contiguous()) @ Nvfp4.spread(x.t().contiguous()).t()
        return (Nvfp4.rows(g) @ Nvfp4.weight(w)).to(g.dtype), grad_w.to(g.dtype)


def int8_mixed(**options):
    config = Int8MixedPrecisionTrainingConfig(**options)
    return lambda x, w: _Int8MixedPrecisionTrainingLinearFunction.apply(x, w, None, config)


WAYS = {
    "mxfp8/RCEIL": mxfp8(ScaleCalculationMode.RCEIL, False),
    "mxfp8/FLOOR": mxfp8(ScaleCalculationMode.FLOOR, False),
    "mxfp8/RCEIL/wgrad_with_hp": mxfp8(ScaleCalculationMode.RCEIL, True),
    "float8_blockwise": Blockwise.apply,
    "nvfp4": Nvfp4.apply,
    "int8_mixed_precision": int8_mixed(),
    "int8_mixed_precision/output": int8_mixed(grad_input=False, grad_weight=False),
    "bitnet": None,
    "plain": lambda x, w: x @ w.t(),
}


class BitNet(torch.autograd.Function):
    """_BitNetTrainingLinear on a plain weight: its forward wants the subclass, its gradient goes to the plain one."""

    @staticmethod
    def forward(ctx, x, w, bias):
        return _BitNetTrainingLinear.forward(ctx, x, BitNetTrainingLinearWeight(w.detach()), bias)

    @staticmethod
    def backward(ctx, g):
        return _BitNetTrainingLinear.backward(ctx, g)


WAYS["bitnet"] = lambda x, w: BitNet.apply(x, w, None)


def run(linear, dtype):
    w1, w2, x, t = (values(*at).to(dtype) for at in ((37, 11), (53, 5), (71, 3), (97, 7)))
    w1.requires_grad_()
    w2.requires_grad_()
    losses = []
    for _ in range(STEPS):
        y = linear(torch.relu(linear(x, w1)), w2)
        loss = (y - t).float().square().mean()
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= LR * w.grad
                w.grad = None
        losses.append(loss.item())
    row = lambda w: [float(f"{v:.8g}") for v in w[0, :64].tolist()]
    return {"losses": losses, "w1": row(w1), "w2": row(w2)}


found = {
    f"{name}/{str(dtype)[6:]}": run(linear, dtype) for name, linear in WAYS.items() for dtype in (torch.float32, torch.bfloat16)
}
json.dump({"made_with": {"torch": torch.__version__, "torchao": torchao.__version__}, "size": SIZE, "lr": LR, "cases": found}, sys.stdout)
