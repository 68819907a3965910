"""Writes small mixtures of experts with random weights, as transformers saves them: python tiny_experts.py FOLDER."""

import sys

import torch
from transformers import MixtralConfig, MixtralForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

torch.manual_seed(0)
COMMON = dict(
    vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    head_dim=16, max_position_embeddings=128, initializer_range=0.3, num_experts_per_tok=2,
)
MODELS = {
    "mixtral": MixtralForCausalLM(MixtralConfig(num_local_experts=4, **COMMON)),
    "qwen3-moe": Qwen3MoeForCausalLM(Qwen3MoeConfig(num_experts=6, moe_intermediate_size=64, **COMMON)),
}
for name, model in MODELS.items():
    model.to(torch.float32).save_pretrained(f"{sys.argv[1]}/{name}")
