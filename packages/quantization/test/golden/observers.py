"""Writes observers.json: what torchao's observers make of small batches. python observers.py (torchao 0.18)."""

import json
from pathlib import Path

import torch
from torchao.quantization import MappingType
from torchao.quantization.granularity import PerAxis, PerRow, PerTensor
from torchao.quantization.observer import AffineQuantizedMinMaxObserver, AffineQuantizedMSEObserver

torch.manual_seed(6)
batches = [torch.randn(6, 32) + 0.2, torch.randn(6, 32) * 1.5]
for b in batches:
    b[2, 5] = 9.0  # an outlier
    b[4] *= 0.01
granularities = {"PerTensor": PerTensor(), "PerRow": PerRow(), "PerAxis": PerAxis(1)}
cases = []


def case(observer, mapping, granularity, count, **limits):
    make = {"minmax": AffineQuantizedMinMaxObserver, "mse": AffineQuantizedMSEObserver}[observer]
    dtype = limits.pop("target", torch.int8)
    o = make(
        MappingType[mapping],
        dtype,
        granularities[granularity],
        eps=2**-23,
        scale_dtype=torch.float32,
        zero_point_dtype=torch.int32 if dtype == torch.int8 else torch.float32,
        **limits,
    )
    for b in batches[:count]:
        o(b)
    scale, zero = o.calculate_qparams()
    cases.append(
        dict(
            observer=observer,
            mapping=mapping,
            granularity=granularity,
            batches=count,
            target=str(dtype).removeprefix("torch."),
            limits=limits,
            scale=scale.flatten().tolist(),
            zero=zero.flatten().tolist(),
        )
    )


for mapping in ["SYMMETRIC", "ASYMMETRIC"]:
    for granularity in granularities:
        case("minmax", mapping, granularity, 2)
        case("mse", mapping, granularity, 1)
case("minmax", "SYMMETRIC", "PerTensor", 2, quant_min=-64, quant_max=63)
case("mse", "SYMMETRIC", "PerTensor", 1, quant_min=-64, quant_max=63)
case("minmax", "SYMMETRIC", "PerTensor", 2, target=torch.float8_e4m3fn)

data = dict(shape=[6, 32], batches=[b.flatten().tolist() for b in batches], cases=cases)
Path(__file__).with_name("observers.json").write_text(json.dumps(data) + "\n")
