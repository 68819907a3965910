"""Fixtures of other libraries' checkpoints: a Llama of 30 thousand weights, quantized and packed by each library itself, and what
its weights are, from the codes, scales and zero points before packing.

    pip install --target LIB --no-deps compressed-tensors bitsandbytes mlx mlx-cpu loguru psutil termcolor
    pip download --no-deps auto-gptq==0.7.1 autoawq==0.2.9 hqq==0.2.8.post1   # unpacked to SRC; single files of them are imported
    PYTHONPATH=LIB:SRC/hqq-0.2.8.post1 python make.py SRC

In an environment with torch and transformers. expected.json: sha256 of each weight's bytes in the checkpoint's dtype, and the
last row of logits in float32, of weights that are not rounded to it.
"""

import hashlib
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

SRC = Path(sys.argv[1])
ONLY = sys.argv[2:]
HERE = Path(__file__).parent
GROUP = 32
LINEARS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
CONFIG = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, vocab_size=32,
    max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
)
IDS = [1, 5, 9, 30, 2, 17, 8, 3]


def base():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG)).float().eval()
    for name, p in model.named_parameters():
        p.data = p.data * 6 if "norm" not in name else 1 + torch.randn_like(p) / 8
    return model


def file_module(path, name, stubs={}):
    for key, value in stubs.items():
        sys.modules.setdefault(key, value)
    spec = importlib.util.spec_from_file_location(name, SRC / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(name, quantize, config, dtype=torch.float16, embedding=None):
    """quantize(fqn, weight float32 [N, K]) -> (tensors by suffix of the module, dequantized weight)."""
    if ONLY and name not in ONLY:
        return
    model = base()
    tensors, expected = {}, {}
    for fqn, p in list(model.named_parameters()):
        module = fqn.removesuffix(".weight")
        linear = any(module.endswith(part) for part in LINEARS)
        if linear or (embedding and "embed" in fqn):
            parts, w = quantize(module, p.data)
            tensors.update({f"{module}.{key}": t.contiguous() for key, t in parts.items()})
            rounded = w.to(dtype).contiguous()
            expected[fqn] = hashlib.sha256(rounded.view(torch.uint8).numpy().tobytes()).hexdigest()
        else:
            w = p.data.to(dtype)
            tensors[fqn] = w.contiguous()
        p.data = w.float()
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    full = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": str(dtype)[6:], **CONFIG, **config}
    (folder / "config.json").write_text(json.dumps(full, indent=2) + "\n")
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0, -1]
    row = [float(f"{x:.6g}") for x in logits]
    (folder / "expected.json").write_text(json.dumps({"ids": IDS, "weights": expected, "logits": row}, indent=1) + "\n")
    print(name, sum(f.stat().st_size for f in folder.iterdir()) // 1024, "KB")


def affine(w, bits, group, sym=False, index=None):
    """Codes [N, K] 0..2^b-1, zero points and float16 scales [N, G]; index [K] says the group of each column."""
    n, k = w.shape
    g = k // group
    index = torch.arange(k) // group if index is None else index
    q, z, s = torch.zeros(n, k), torch.zeros(n, g), torch.zeros(n, g)
    top = 2**bits - 1
    for i in range(g):
        part = w[:, index == i]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        if sym:
            s[:, i] = (torch.maximum(-low, high) * 2 / top).half().float()
            z[:, i] = (top + 1) // 2
        else:
            s[:, i] = ((high - low) / top).half().float()
            z[:, i] = torch.round(-low / s[:, i]).clamp(0, top)
        q[:, index == i] = torch.round(part / s[:, i : i + 1] + z[:, i : i + 1]).clamp(0, top)
    return q, z, s, index


def exact(q, z, s, index):
    return (q - z[:, index]) * s[:, index]


def gptq(name, bits, sym, actorder=False, v2=False, ragged=False):
    source = file_module("auto_gptq/nn_modules/qlinear/qlinear_cuda.py", "qlinear_cuda")

    def quantize(module, w):
        k = w.shape[1]
        index = torch.arange(k) // GROUP
        if actorder:
            index = index[torch.randperm(k, generator=torch.Generator().manual_seed(k))]
        if ragged:
            index[0] = k // GROUP - 1
        q, z, s, index = affine(w, bits, GROUP, sym, index)
        layer = source.QuantLinear(bits, GROUP, k, w.shape[0], False, weight_dtype=torch.float16)
        linear = torch.nn.Linear(k, w.shape[0], bias=False)
        linear.weight.data = exact(q, z, s, index)
        layer.pack(linear, s.clone(), z.clone(), index.int())
        state = dict(layer.state_dict())
        state["scales"] = state["scales"].half()
        state["g_idx"] = index.int()
        if v2:
            # gptqmodel's version 2: every stored zero point is one higher, modulo its bits
            words = state["qzeros"].numpy().astype(np.uint32)
            fields = [((words >> (bits * i)) + 1) & (2**bits - 1) for i in range(32 // bits)]
            state["qzeros"] = torch.from_numpy(sum(f << np.uint32(bits * i) for i, f in enumerate(fields)).astype(np.uint32).view(np.int32))
        return state, exact(q, z, s, index)

    config = dict(quant_method="gptq", bits=bits, group_size=GROUP, desc_act=actorder, sym=sym, checkpoint_format="gptq_v2" if v2 else "gptq")
    write(name, quantize, dict(quantization_config=config))


def awq():
    stubs = {"awq": types.ModuleType("awq"), "awq.utils": types.ModuleType("awq.utils"), "awq.utils.module": types.ModuleType("m"), "awq.utils.utils": types.ModuleType("u")}
    stubs["awq.utils.module"].try_import = lambda name: (None, "")
    stubs["awq.utils.utils"].get_best_device = lambda: "cpu"
    stubs["awq.utils.packing_utils"] = file_module("autoawq-0.2.9/awq/utils/packing_utils.py", "packing_utils")
    gemm = file_module("autoawq-0.2.9/awq/modules/linear/gemm.py", "awq_gemm", stubs)

    def quantize(module, w):
        q, z, s, index = affine(w, 4, GROUP)
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        linear.weight.data = exact(q, z, s, index)
        layer = gemm.WQLinear_GEMM.from_linear(linear, 4, GROUP, scales=s.t().contiguous(), zeros=z.t().contiguous())
        return dict(layer.state_dict()), exact(q, z, s, index)

    write("awq", quantize, dict(quantization_config=dict(quant_method="awq", bits=4, group_size=GROUP, zero_point=True, version="gemm")))


def hqq(name, bits, axis=1):
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer

    def quantize(module, w):
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        linear.weight.data = w.clone()
        config = BaseQuantizeConfig(nbits=bits, group_size=GROUP, axis=axis)
        layer = HQQLinear(linear, config, compute_dtype=torch.float16, device="cpu")
        meta = layer.meta
        q = Quantizer.unpack[meta["packing"]](layer.W_q, dtype=torch.float32)[: w.numel() // GROUP if axis == 1 else GROUP]
        s, z = meta["scale"].double(), meta["zero"].double()
        # the formula in double, its second term rounded to float32 as the reader keeps it; hqq itself rounds twice to float16
        shift = ((2 ** (bits - 1) - z) * s).float()
        value = ((q.double() - 2 ** (bits - 1)) * s).float() + shift
        own = layer.dequantize().float()
        worst = (value.reshape(w.shape) - own).abs().max() / own.abs().max()
        assert worst < 2e-3, worst
        return {k: v for k, v in layer.state_dict().items() if v is not None}, value.reshape(w.shape)

    params = dict(nbits=bits, channel_wise=True, group_size=GROUP, optimize=True, round_zero=False, axis=axis)
    write(name, quantize, dict(quantization_config=dict(quant_method="hqq", quant_config=dict(weight_quant_params=params))))


def bnb4(name, double, quant_type="nf4"):
    import bitsandbytes.functional as F

    def quantize(module, w):
        packed, state = F.quantize_4bit(w.to(torch.bfloat16), blocksize=64, compress_statistics=double, quant_type=quant_type)
        parts = {"weight": packed, **{f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}}
        own = F.dequantize_4bit(packed, state)
        bytes_ = packed.flatten()
        q = torch.stack([bytes_ >> 4, bytes_ & 15], 1).flatten().long()
        absmax = state.absmax
        if double:
            absmax = state.state2.code[state.absmax.long()] * state.state2.absmax.repeat_interleave(state.state2.blocksize)[: absmax.numel()] + state.offset
        value = (state.code[q] * absmax.repeat_interleave(64)[: q.numel()]).reshape(w.shape)
        # its CPU kernel misreads rows that are no multiple of the block; the blocks are those of the flat weight
        if w.shape[1] % 64 == 0:
            assert torch.equal(value.to(torch.bfloat16), own), "bitsandbytes gives other values"
        assert (value - w).abs().max() < w.abs().max() / 4
        return parts, value

    config = dict(quant_method="bitsandbytes", load_in_4bit=True, load_in_8bit=False, bnb_4bit_quant_type=quant_type, bnb_4bit_use_double_quant=double, bnb_4bit_compute_dtype="bfloat16")
    write(name, quantize, dict(quantization_config=config), dtype=torch.bfloat16)


def bnb8():
    def quantize(module, w):
        scb = w.abs().amax(1)
        q = torch.round(w * (127 / scb)[:, None]).to(torch.int8)
        parts = {"weight": q, "SCB": scb, "weight_format": torch.tensor(0, dtype=torch.uint8)}
        return parts, q.float() * (scb * 7.874015718698502e-3)[:, None]

    write("bnb-int8", quantize, dict(quantization_config=dict(quant_method="bitsandbytes", load_in_8bit=True, load_in_4bit=False, llm_int8_threshold=6.0)))


def compressed(name, format, weights, activations=None, dtype=torch.bfloat16, actorder=False):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights), input_activations=activations and QuantizationArgs(**activations))
    compressor = BaseCompressor.get_value_from_registry(format)

    def quantize(module, w):
        n, k = w.shape
        bits, symmetric, strategy = weights["num_bits"], weights["symmetric"], weights["strategy"]
        if weights["type"] == "float":
            block = {"tensor": (n, k), "channel": (1, k), "block": tuple(weights.get("block_structure") or ())}[strategy]
            tiles = w.reshape(n // block[0], block[0], k // block[1], block[1])
            scale = (tiles.abs().amax((1, 3)) / 448).to(dtype)
            state = dict(weight=w.clone(), weight_scale=scale.reshape(1) if strategy == "tensor" else scale)
            parts = compressor.compress(state, scheme)
            code = parts["weight"].float().reshape(tiles.shape)
            return parts, (code * scale.float()[:, None, :, None]).reshape(w.shape)
        group = weights.get("group_size") or k
        index = torch.arange(k) // group
        if actorder:
            index = index[torch.randperm(k, generator=torch.Generator().manual_seed(k))]
        q, z, s, _ = affine(w, bits, group, symmetric, index)
        s = s.to(dtype).float()
        half = 2 ** (bits - 1)
        state = dict(weight=exact(q, z, s, index).double().float(), weight_scale=s.to(dtype))
        if not symmetric:
            state["weight_zero_point"] = (z - half).to(torch.int8)
        if actorder:
            # compressed-tensors wrote this until version 0.19; its packing is the same
            from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

            packed = pack_to_int32((q - half).to(torch.int8), bits)
            parts = dict(weight_packed=packed, weight_scale=s.to(dtype), weight_shape=torch.tensor([n, k]), weight_g_idx=index.int())
        else:
            # codes as they are: the compressor rounds (w / s) + z, and w is a multiple of s
            parts = compressor.compress(state, scheme)
            own = compressor.decompress(parts, scheme)["weight"]
            assert torch.equal(own.to(dtype), exact(q, z, s, index).to(dtype)), "compressed-tensors gives other values"
        return {k_: v for k_, v in parts.items() if v is not None}, exact(q, z, s, index)

    group = dict(targets=["Linear"], weights=weights, input_activations=activations, output_activations=None)
    config = dict(quant_method="compressed-tensors", format=format, quantization_status="compressed", ignore=["lm_head"], config_groups=dict(group_0=group))
    write(name, quantize, dict(quantization_config=config), dtype=dtype)


def mlx(name, bits):
    import mlx.core as mx

    def quantize(module, w):
        q, s, b = mx.quantize(mx.array(w.numpy()).astype(mx.float16), group_size=GROUP, bits=bits)
        one = np.array(mx.dequantize(q, mx.ones_like(s), mx.zeros_like(b), group_size=GROUP, bits=bits)).astype(np.float64)
        s_, b_ = (torch.from_numpy(np.array(t).astype(np.float64)).repeat_interleave(GROUP, 1) for t in (s, b))
        half = 2 ** (bits - 1)
        value = ((torch.from_numpy(one) - half) * s_).float() + (b_ + half * s_).float()
        own = torch.from_numpy(np.array(mx.dequantize(q, s, b, group_size=GROUP, bits=bits)).astype(np.float32))
        worst = (value - own).abs().max() / own.abs().max()
        assert worst < 2e-3, worst
        parts = dict(weight=torch.from_numpy(np.array(q).view(np.uint32)), scales=torch.from_numpy(np.array(s)), biases=torch.from_numpy(np.array(b)))
        return parts, value

    write(name, quantize, dict(quantization=dict(group_size=GROUP, bits=bits)), embedding=True)


INT = dict(type="int", symmetric=True, dynamic=False)
gptq("gptq-4bit", 4, sym=True)
gptq("gptq-4bit-actorder-v2", 4, sym=False, actorder=True, v2=True)
gptq("gptq-4bit-ragged", 4, sym=False, ragged=True)
gptq("gptq-8bit", 8, sym=False)
gptq("gptq-3bit", 3, sym=False)
gptq("gptq-2bit", 2, sym=False)
awq()
hqq("hqq-4bit", 4)
hqq("hqq-3bit", 3)
hqq("hqq-8bit-axis0", 8, axis=0)
bnb4("bnb-nf4-double", True)
bnb4("bnb-fp4", False, "fp4")
bnb8()
compressed("ct-int4", "pack-quantized", dict(num_bits=4, strategy="group", group_size=GROUP, **INT))
compressed("ct-int4-asym", "pack-quantized", {**INT, "num_bits": 4, "strategy": "group", "group_size": GROUP, "symmetric": False})
compressed("ct-int4-actorder", "pack-quantized", dict(num_bits=4, strategy="group", group_size=GROUP, **INT), actorder=True)
compressed("ct-int8", "int-quantized", dict(num_bits=8, strategy="channel", **INT), dict(num_bits=8, type="int", symmetric=True, strategy="token", dynamic=True))
compressed("ct-fp8", "float-quantized", dict(num_bits=8, type="float", symmetric=True, strategy="channel", dynamic=False), dict(num_bits=8, type="float", symmetric=True, strategy="token", dynamic=True))
compressed("ct-fp8-block", "naive-quantized", dict(num_bits=8, type="float", symmetric=True, strategy="block", block_structure=[GROUP, GROUP], dynamic=False))
mlx("mlx-4bit", 4)
mlx("mlx-6bit", 6)
