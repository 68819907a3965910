# convert.py FROM TO: the one GGUF in folder FROM, a Llama model, becomes
#   TO/model.safetensors (bfloat16), config.json, tokenizer.json, tokenizer_config.json    a Hugging Face folder
#   TO/smollm2.{Q4_0,Q8_0,BF16}.gguf    the same weights as llama.cpp runs them fastest; embedding and head Q8_0 in the first two
# A GGUF keeps the two halves of each rotary head interleaved, Hugging Face one after the other.
import json
import pathlib
import shutil
import sys

import gguf
import ml_dtypes
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
INSIDE = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
FILE_TYPES = {Type.Q4_0: 2, Type.Q8_0: 7, Type.BF16: 32}
CONTROL_TOKEN = 3


def hugging_face_name(name):
    part = name.removesuffix(".weight")
    if not part.startswith("blk."):
        return f"{OUTSIDE[part]}.weight"
    _, layer, part = part.split(".")
    return f"model.layers.{layer}.{INSIDE[part]}.weight"


def apart(weight, heads):
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_folder(weights, meta, folder):
    heads = {"attn_q": meta["llama.attention.head_count"], "attn_k": meta["llama.attention.head_count_kv"]}
    tensors = {}
    for name, weight in weights.items():
        part = name.split(".")[-2]
        weight = apart(weight, heads[part]) if part in heads else weight
        tensors[hugging_face_name(name)] = np.ascontiguousarray(weight).astype(ml_dtypes.bfloat16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    tokens = meta["tokenizer.ggml.tokens"]
    bos, eos = meta["tokenizer.ggml.bos_token_id"], meta["tokenizer.ggml.eos_token_id"]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "vocab_size": len(tokens),
        "hidden_size": meta["llama.embedding_length"],
        "intermediate_size": meta["llama.feed_forward_length"],
        "num_hidden_layers": meta["llama.block_count"],
        "num_attention_heads": heads["attn_q"],
        "num_key_value_heads": heads["attn_k"],
        "head_dim": meta["llama.embedding_length"] // heads["attn_q"],
        "rms_norm_eps": meta["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": meta["llama.rope.freq_base"],
        "max_position_embeddings": meta["llama.context_length"],
        "tie_word_embeddings": "lm_head.weight" not in tensors,
        "bos_token_id": bos,
        "eos_token_id": eos,
    }
    write(folder / "config.json", config)

    special = [i for i, kind in enumerate(meta["tokenizer.ggml.token_type"]) if kind == CONTROL_TOKEN]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i], **flags} for i in special],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in meta["tokenizer.ggml.merges"]],
        },
    }
    write(folder / "tokenizer.json", tokenizer)
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[bos],
        "eos_token": tokens[eos],
        "chat_template": meta.get("tokenizer.chat_template"),
    }
    write(folder / "tokenizer_config.json", about)


def write_gguf(weights, reader, kind, path):
    writer = gguf.GGUFWriter(path, "llama")
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = FILE_TYPES[kind] if key == "general.file_type" else field.contents()
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, field.types[0], sub_type=inner)
    for name, weight in weights.items():
        embedding = name == "token_embd.weight" and kind == Type.Q4_0
        to = Type.F32 if weight.ndim == 1 else Type.Q8_0 if embedding else kind
        writer.add_tensor(name, gguf.quantize(weight, to), raw_dtype=to)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2))


source, target = (pathlib.Path(arg) for arg in sys.argv[1:3])
target.mkdir(parents=True, exist_ok=True)
[file] = source.glob("*.gguf")
reader = gguf.GGUFReader(file)
weights = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
write_folder(weights, {key: field.contents() for key, field in reader.fields.items()}, target)
for kind in FILE_TYPES:
    write_gguf(weights, reader, kind, target / f"smollm2.{kind.name}.gguf")
shutil.copy(file, target)
