"""Logits of transformers on a tiny random model of each family, in float32, for test/families.test.ts.

    ~/.cache/ao-peers/py/bin/python packages/hf-integration/test/golden/families.py [NAME ...]

A fixture holds the config as hub repositories write it and as this transformers saves it, the names and shapes of the saved
tensors, and per prompt the logits and the greedy continuation (no cache: the whole sequence anew for each token). Weights are
not stored: a tensor's values follow from its name by the generator below, in bfloat16, which the test has too.
"""

import base64
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from torchao.quantization import FqnToConfig, Int8WeightOnlyConfig

BASE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
MOE = {"num_experts_per_tok": 2, "num_hidden_layers": 2, "max_position_embeddings": 64}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
LONGROPE = {"type": "longrope", "short_factor": [1.0, 1.2, 1.5], "long_factor": [1.1, 2.5, 4.0]}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}

FAMILIES = {
    "llama3": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rope_theta": 500000.0, "rope_scaling": LLAMA3},
    "smollm": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "tie_word_embeddings": True},
    "smollm3": {
        "architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "no_rope_layer_interval": 2, "use_sliding_window": True, "sliding_window": 8,
        "tie_word_embeddings": True,
    },
    "tinyllama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True},
    "mistral": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 8, "head_dim": 16},
    "phi3": {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "sliding_window": 8, "original_max_position_embeddings": 64},
    "phi4-mini": {
        "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "partial_rotary_factor": 0.75, "rope_scaling": LONGROPE,
        "original_max_position_embeddings": 16, "sliding_window": 32, "tie_word_embeddings": True,
    },
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1, "tie_word_embeddings": True},
    "qwen2-yarn": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False, "rope_scaling": YARN},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True},
    "gemma2": {
        "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 24,
        "attn_logit_softcapping": 1.5, "final_logit_softcapping": 3.0, "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True,
    },
    "gemma3": {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "head_dim": 16, "sliding_window": 8, "sliding_window_pattern": 2,
        "query_pre_attn_scalar": 16, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True,
    },
    "olmo2": {"architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2"},
    "mixtral": {**MOE, "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": 4, "intermediate_size": 32, "sliding_window": 8},
    "qwen2-moe": {
        **MOE, "architectures": ["Qwen2MoeForCausalLM"], "model_type": "qwen2_moe", "num_experts": 5, "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 64, "mlp_only_layers": [1],
    },
    "qwen3-moe": {
        **MOE, "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "num_experts": 20, "num_experts_per_tok": 3,
        "moe_intermediate_size": 32, "num_hidden_layers": 1, "norm_topk_prob": True, "head_dim": 16,
    },
}
# (prompt length, new tokens); LongRoPE is read by its short factors up to 16 positions, by its long ones beyond
PROMPTS = {"phi4-mini": [(12, 2), (26, 10)]}


# (what transformers 5.23 saves of such a Mixtral names its experts twice, differently)
QUANTIZED_EXPERTS = ["qwen3-moe"]


def prompt_of(length):
    return [(i * i * 31 + i * 7 + 3) % BASE["vocab_size"] for i in range(length)]


def noise(name, n):
    state = 7
    for c in name:
        state = (state * 31 + ord(c)) & 0xFFFFFFFF
    out = np.empty(n)
    for i in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state / 2**31 - 1
    return out.astype(np.float32)


def values(name, shape, centre):
    x = noise(name, int(np.prod(shape))).astype(np.float64)
    x = centre + x / 8 if "norm" in name else x / 4
    return torch.tensor(x.astype(np.float32)).reshape(shape).to(torch.bfloat16)


def quantized_experts(folder, ids):
    """What transformers saves where torchao has quantized 3-D experts, without the bytes, and the logits of that."""
    rules = {r"re:.*experts\.(gate_up_proj|down_proj)": Int8WeightOnlyConfig(version=2), "_default": None}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager",
        quantization_config=transformers.TorchAoConfig(FqnToConfig(rules)),
    )
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        config = json.loads((Path(saved) / "config.json").read_text())
        with safe_open(Path(saved) / "model.safetensors", "pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}
            tensors = {key: [s.get_dtype(), list(s.get_shape())] for key, s in slices.items()}
            metadata = file.metadata()
    return {"config": config, "metadata": metadata, "tensors": tensors, "logits": encoded(logits)}


def encoded(x):
    return base64.b64encode(x.to(torch.float32).numpy().tobytes()).decode()


def make(name):
    config = {**BASE, **FAMILIES[name]}
    centre = 0 if name.startswith("gemma") else 1
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        parsed = transformers.AutoConfig.from_pretrained(folder)
        transformers.AutoModelForCausalLM.from_config(parsed, dtype=torch.bfloat16).save_pretrained(folder)
        saved = json.loads((Path(folder) / "config.json").read_text())
        with safe_open(Path(folder) / "model.safetensors", "pt") as file:
            shapes = {key: list(file.get_slice(key).get_shape()) for key in file.keys()}
        save_file({k: values(k, s, centre) for k, s in shapes.items()}, Path(folder) / "model.safetensors", {"format": "pt"})
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        experts = quantized_experts(folder, prompt_of(24)) if name in QUANTIZED_EXPERTS else None

    def logits(ids):
        with torch.no_grad():
            return model(torch.tensor([ids]), use_cache=False).logits[0]

    cases, margins = [], []
    for length, new in PROMPTS.get(name, [(24, 12)]):
        ids = prompt_of(length)
        prompt, greedy = logits(ids), []
        for _ in range(new):
            last = logits(ids + greedy)[-1]
            top = last.topk(2).values
            margins.append(float(top[0] - top[1]))
            greedy.append(int(last.argmax()))
        cases.append({"ids": ids, "greedy": greedy, "logits": encoded(prompt)})
    fixture = {
        "transformers": transformers.__version__,
        "config": config,
        "saved": saved,
        "norm_centre": centre,
        "tensors": shapes,
        "cases": cases,
    }
    if experts:
        fixture["int8_experts"] = experts
    path = Path(__file__).parent / "families" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(f"{name}: {len(shapes)} tensors, {path.stat().st_size} bytes, least greedy margin {min(margins):.4f}, largest logit {prompt.abs().max():.2f}")


for name in sys.argv[1:] or FAMILIES:
    make(name)
