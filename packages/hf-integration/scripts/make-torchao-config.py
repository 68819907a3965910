# Writes torchao-config.json: what Python's transformers and torchao write for TorchAoConfig, and which weights they quantize.
#   configs: TorchAoConfig(...).to_json_string(), by case
#   plain:   config.json of a tiny llama, tied or not, before quantizing
#   saved:   by case, after quantizing while loading and saving: the weights that are quantized, and config.json
# Run with torch 2.13, torchao 0.18 and transformers 5.23: python make-torchao-config.py > ../test/golden/torchao-config.json
import json
import os
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from collections import OrderedDict
from safetensors import safe_open
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, TorchAoConfig
from torchao.quantization import (
    FqnToConfig, Int4WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig, Int8DynamicActivationIntxWeightConfig,
    Int8WeightOnlyConfig, IntxWeightOnlyConfig, PerAxis, PerGroup, PerRow, PerTensor, Float8WeightOnlyConfig,
)

int8 = Int8WeightOnlyConfig()
int8dq = Int8DynamicActivationInt8WeightConfig()
int4 = Int4WeightOnlyConfig(group_size=32)
intx4 = IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32))
embed = IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))
da4w = Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4, weight_granularity=PerGroup(32))
per_module = FqnToConfig(OrderedDict([
    ("re:.*down_proj", int8), ("model.layers.0.self_attn.q_proj", None), ("_default", intx4),
]))
untied = FqnToConfig(OrderedDict([("model.embed_tokens", embed), ("lm_head", da4w), ("_default", da4w)]))

configs = {
    "int8": TorchAoConfig(int8),
    "int8dq": TorchAoConfig(int8dq, modules_to_not_convert=["lm_head"]),
    "int8dq-asym": TorchAoConfig(Int8DynamicActivationInt8WeightConfig(granularity=[PerTensor(), PerRow()])),
    "int4": TorchAoConfig(int4),
    "intx4": TorchAoConfig(intx4, include_input_output_embeddings=True),
    "8da4w": TorchAoConfig(da4w, modules_to_not_convert=[]),
    "float8": TorchAoConfig(Float8WeightOnlyConfig()),
    "per-module": TorchAoConfig(per_module, modules_to_not_convert=["model.layers.1.mlp"]),
    "untied": TorchAoConfig(untied, include_input_output_embeddings=True, untie_embedding_weights=True),
}

skips = {
    "none": None, "empty": [], "head": ["lm_head"], "layer": ["model.layers.1"], "module": ["model.layers.0.mlp.up_proj"],
    "parameter": ["model.layers.0.mlp.up_proj.weight"], "end": ["up_proj"], "end-weight": ["up_proj.weight"],
    "regex": ["model.layers.*.up_proj"], "regex-all": [".*_proj"], "prefix": ["model.lay"], "boundary": ["model.layers.1.mlp.up"],
    "alternatives": ["model.layers.0.mlp|model.layers.1.self_attn"], "nothing": ["absent"],
}
cases = [(f"skip-{k}", tied, TorchAoConfig(int8, modules_to_not_convert=v)) for k, v in skips.items() for tied in (True, False)]
cases += [(k, tied, configs[k]) for k in ("int8", "int8dq", "intx4", "8da4w", "per-module", "untied") for tied in (True, False)]
cases += [("include-skip", False, TorchAoConfig(int8, modules_to_not_convert=["lm_head", "model.layers.0"], include_input_output_embeddings=True))]
cases += [("untie-only", True, TorchAoConfig(intx4, untie_embedding_weights=True))]
cases += [("untie-include", True, TorchAoConfig(embed, include_input_output_embeddings=True, untie_embedding_weights=True))]

def quantized(folder):
    with safe_open(f"{folder}/model.safetensors", framework="pt") as f:
        tensors = {k: json.loads(v)["_type"] for k, v in (f.metadata() or {}).items() if v.startswith("{")}
        return sorted(k for k, t in tensors.items() if t != "Tensor")

def text(path):
    with open(path) as f: return f.read()

out = {"configs": {k: c.to_json_string() for k, c in configs.items()}, "plain": {}, "saved": {}}
with tempfile.TemporaryDirectory() as tmp:
    for tied in (True, False):
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                             num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=tied, dtype="bfloat16",
                             architectures=["LlamaForCausalLM"], bos_token_id=1, eos_token_id=2)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(f"{tmp}/{tied}")
        out["plain"]["tied" if tied else "untied"] = text(f"{tmp}/{tied}/config.json")
    for name, tied, config in cases:
        key = f"{name}{'' if tied else ' untied'}"
        try:
            model = AutoModelForCausalLM.from_pretrained(f"{tmp}/{tied}", dtype="auto", quantization_config=config)
            model.save_pretrained(f"{tmp}/out {key}")
            entry = {"quantized": quantized(f"{tmp}/out {key}")}
            if not name.startswith("skip"): entry["config"] = text(f"{tmp}/out {key}/config.json")
            out["saved"][key] = entry
        except Exception as e:
            out["saved"][key] = {"error": f"{type(e).__name__}: {str(e)[:60]}"}
json.dump(out, sys.stdout, indent=1)
print()
