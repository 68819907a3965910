"""Writes stacks.safetensors: 3-D expert weights that torchao quantized, flattened as its files are. python stacks.py (torchao 0.18).

torchao rounds int4 by mslk, which needs a GPU; its row formula stands in here, and torchao stacks what it gives.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import Float8WeightOnlyConfig, FqnToConfig, Int4WeightOnlyConfig, Int8WeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerGroup, PerTensor
from torchao.quantization.quantize_.workflows.int4 import int4_tensor


def int4_row_quantize_zp(x, group_size):
    groups = x.to(torch.float32).reshape(-1, group_size)
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    scale = torch.clamp(high - low, min=1e-6) / 15
    codes = torch.clamp(torch.round((groups - low) / scale), 0, 15) - 8
    turned = lambda t: t.reshape(x.shape[0], -1).t().contiguous()
    return codes.to(torch.int8).reshape(x.shape), turned(scale), turned(low + 8 * scale)


def pack_int4(x):
    return torch.bitwise_or(torch.bitwise_and(x[:, ::2], 0xF), torch.bitwise_left_shift(x[:, 1::2], 4)).contiguous()


int4_tensor.int4_row_quantize_zp = int4_row_quantize_zp
int4_tensor.pack_int4 = pack_int4

CONFIGS = {
    "int8wo": Int8WeightOnlyConfig(),
    "int8wo-tensor": Int8WeightOnlyConfig(granularity=PerTensor()),
    "int8wo-32": Int8WeightOnlyConfig(granularity=PerGroup(32)),
    "int4wo-32": Int4WeightOnlyConfig(group_size=32),
    "float8wo": Float8WeightOnlyConfig(),
    "float8wo-tensor": Float8WeightOnlyConfig(granularity=PerTensor()),
    "float8wo-32": Float8WeightOnlyConfig(granularity=PerGroup(32)),
}

torch.manual_seed(3)
weight = torch.randn(3, 8, 64, dtype=torch.bfloat16)
weight[1] *= 4
model = nn.Module()
for name in CONFIGS:
    model.add_module(name, nn.Module())
    model.get_submodule(name).gate_up_proj = nn.Parameter(weight.clone())
quantize_(model, FqnToConfig({f"{name}.gate_up_proj": c for name, c in CONFIGS.items()}), filter_fn=None)
tensors, metadata = flatten_tensor_state_dict({"weight": weight, **{f"experts.{k}": v for k, v in model.state_dict().items()}})
save_file(tensors, Path(__file__).with_name("stacks.safetensors"), metadata=metadata)
