"""Fixtures of torch.save, and of older torchao, each with what its tensors are (sha256 of their bytes, row-major).

    python make.py plain
    pip install --target AO --no-deps torchao==0.13.0    # then 0.15.0, 0.17.0
    PYTHONPATH=AO python make.py torchao

In an environment with torch and safetensors; torch 2.13 made those that are here.
"""

import argparse
import hashlib
import json
import os
import sys
from collections import OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).parent


def digest(t):
    t = t.detach().contiguous()
    return dict(dtype=str(t.dtype)[6:], shape=list(t.shape), sha256=hashlib.sha256(t.view(torch.uint8).numpy().tobytes() if t.ndim else t.reshape(1).view(torch.uint8).numpy().tobytes()).hexdigest())


def expect(file, tensors):
    path = HERE / "expected.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[file] = {name: digest(t) for name, t in tensors.items()}
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def plain():
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    tensors = OrderedDict(
        contiguous=base,
        transposed=base.t(),
        sliced=base[1:4],
        columns=base[:, 2:5],
        strided=base[::2, ::3],
        permuted=torch.randn(2, 3, 4).permute(2, 0, 1),
        parameter=torch.nn.Parameter(torch.randn(3)),
        bf16=torch.randn(4, 4).to(torch.bfloat16),
        f16=torch.randn(5).half(),
        f64=torch.randn(2).double(),
        i64=torch.tensor([1, -2, 2**40]),
        i32=torch.tensor([[7]], dtype=torch.int32),
        i16=torch.tensor([-3], dtype=torch.int16),
        i8=torch.tensor([-128, 127], dtype=torch.int8),
        u8=torch.tensor([255], dtype=torch.uint8),
        u32=torch.tensor([2**31], dtype=torch.uint32),
        flag=torch.tensor([True, False]),
        float8=torch.randn(4).to(torch.float8_e4m3fn),
        scalar=torch.tensor(1.5),
        empty=torch.zeros(0, 4),
    )
    with_rest = OrderedDict(tensors, step=3, note="text", ratio=0.5, big=2**70, nothing=None, list=[1, (2, "x")], names={"a", "b"})
    with_rest._metadata = {"": {"version": 1}}
    for protocol in (2, 3, 4, 5):
        file = f"plain-{protocol}.bin"
        torch.save(with_rest, HERE / file, pickle_protocol=protocol)
        expect(file, tensors)
    # two names of one tensor, and views of one storage
    torch.save({"model": {"embed.weight": base, "head.weight": base, "half.weight": base.view(-1)[:24].view(3, 8)}, "epoch": 2}, HERE / "nested.pt")
    expect("nested.pt", {"embed.weight": base, "head.weight": base, "half.weight": base[:3]})
    torch.save({"args": argparse.Namespace(lr=0.1), "state_dict": {"w": base}}, HERE / "namespace.pt")
    expect("namespace.pt", {"w": base})

    class Evil:
        def __reduce__(self):
            return os.system, ("echo this must never run > ao-evil",)

    torch.save({"w": base, "x": Evil()}, HERE / "evil.pt")
    torch.save({"w": base}, HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), HERE / "module.pt")


def torchao():
    import torchao
    import torchao.quantization as q
    from torchao.dtypes import AffineQuantizedTensor

    version = torchao.__version__
    torch.manual_seed(0)
    w = torch.randn(8, 64)

    def quantized(config, dtype=torch.bfloat16):
        model = torch.nn.Sequential(torch.nn.Linear(64, 8, bias=False)).to(dtype)
        model[0].weight.data = w.to(dtype)
        q.quantize_(model, config)
        return model[0].weight

    def values(t):
        inner = t.original_weight_tensor if hasattr(t, "original_weight_tensor") else t
        return inner.dequantize()

    cases = {}
    if version.startswith("0.13"):
        cases["int8wo"] = quantized(q.Int8WeightOnlyConfig())
        cases["int8wo-f32"] = quantized(q.Int8WeightOnlyConfig(), torch.float32)
        cases["int8dq"] = quantized(q.Int8DynamicActivationInt8WeightConfig())
        cases["8da4w"] = quantized(q.Int8DynamicActivationInt4WeightConfig(group_size=32))
        cases["intx3"] = quantized(q.IntxWeightOnlyConfig(weight_dtype=torch.int3, granularity=q.PerGroup(32), mapping_type=q.MappingType.ASYMMETRIC))
        cases["float8wo"] = quantized(q.Float8WeightOnlyConfig(version=1))
    else:
        cases["int8wo"] = quantized(q.Int8WeightOnlyConfig(**({} if version.startswith("0.15") else {"version": 2})))
        cases["intx4"] = quantized(q.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=q.PerGroup(32)))
        cases["8da4w"] = quantized(q.Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4, weight_granularity=q.PerGroup(32)))
        cases["float8wo"] = quantized(q.Float8WeightOnlyConfig())
        if not version.startswith("0.15"):
            cases["int8dq"] = quantized(q.Int8DynamicActivationInt8WeightConfig(version=2))
    cases = {f"{k}.weight": v for k, v in cases.items()}
    file = f"torchao-{version}.bin"
    torch.save(OrderedDict(cases), HERE / file)
    expect(file, {k: values(v) for k, v in cases.items()})
    try:
        from safetensors.torch import save_file
        from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

        known = {k: v for k, v in cases.items() if not isinstance(v, AffineQuantizedTensor)}
        flat, metadata = flatten_tensor_state_dict(known)
        save_file(flat, HERE / f"torchao-{version}.safetensors", metadata=metadata)
        expect(f"torchao-{version}.safetensors", {k: values(v) for k, v in known.items()})
    except Exception as error:
        print(version, "writes no safetensors of these:", type(error).__name__, error)


{"plain": plain, "torchao": torchao}[sys.argv[1]]()
