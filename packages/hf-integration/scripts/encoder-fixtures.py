# encoder-fixtures.py [MINILM]: writes test/encoders/*: tiny random encoders in Hugging Face's layout, each with what
# transformers computes in float32 (expected.safetensors); and, where the folder of all-MiniLM-L6-v2 is given, the embeddings
# that sentence-transformers defines for it (minilm.safetensors). Needs torch, transformers, tokenizers,
# safetensors, pillow and, for the latter, torchao.
import json
import math
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

HERE = pathlib.Path(__file__).resolve().parent.parent / "test" / "encoders"
SIZES = dict(hidden_size=32, num_attention_heads=4, intermediate_size=64)
IMAGE = dict(image_size=24, patch_size=8, layer_norm_eps=1e-5)
TEXTS = ["a dog ran", "the cats sat by the red house, and the dog sat by the cats", "hello", "unseen xyz is unknown"]
WORDS = "a the dog cat ran sat by red house and hello un is known seen now then long ##s ##seen ##known , .".split()
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *[f"word{i}" for i in range(36)]]
LONG = "The committee met again in the morning to discuss the budget of the new library. " * 40
SENTENCES = [
    "This is an example sentence",
    "Each sentence is converted",
    "A man is eating pasta.",
    "The new movie is awesome, don't you think?",
    "Zürich’s trams run on time; café tables fill by 9 a.m.",
    "x",
    "int main() { return 0; }",
    LONG,
]


def randomize(model, seed):
    """Every parameter drawn anew and rounded to bfloat16, so that no bias is zero and no norm is one."""
    torch.manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn_like(p)
        fan = math.prod(p.shape[1:]) if p.ndim > 1 else 1
        if "embed" in name and "projection" not in name:
            p.data = noise / 2
        elif p.ndim > 1:
            p.data = noise * 1.5 / math.sqrt(fan)
        else:
            p.data = noise / 4 + (1 if "norm" in name.lower() and name.endswith("weight") else 0)
        p.data = p.data.to(torch.bfloat16).float()
    return model.eval()


def write(name, model, expected, files=None):
    folder = HERE / name
    model.to(torch.bfloat16).save_pretrained(folder)
    save_file({k: v.contiguous() for k, v in expected.items()}, folder / "expected.safetensors")
    for path, value in (files or {}).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(value, indent=2) + "\n")


def wordpiece():
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    t.add_special_tokens(VOCABULARY[:5])
    return t


def sentence_files(tokenizer, pooling, dimension, length):
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    modes = {f"pooling_mode_{m}": m == pooling for m in ("cls_token", "mean_tokens", "max_tokens")}
    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    return {
        "tokenizer.json": json.loads(tokenizer.to_str()),
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "model_max_length": 48}
        | {f"{k}_token": v for k, v in special.items()},
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": dimension} | modes,
    }


def pooled(hidden, mask, pooling):
    """Pooling and Normalize of sentence-transformers."""
    weights = mask[:, :, None].float()
    mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(mean if pooling == "mean_tokens" else hidden[:, 0], dim=1)


def bert(name, pooling, layers, length, with_pooler, seed):
    config = BertConfig(**SIZES, num_hidden_layers=layers, vocab_size=len(VOCABULARY), max_position_embeddings=48)
    model = randomize(BertModel(config, add_pooling_layer=with_pooler), seed)
    tokenizer = wordpiece()
    files = sentence_files(tokenizer, pooling, config.hidden_size, length)
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(pad_id=0)
    rows = tokenizer.encode_batch(TEXTS)
    ids, mask = torch.tensor([r.ids for r in rows]), torch.tensor([r.attention_mask for r in rows])
    types = torch.zeros_like(ids)
    types[:, 2:] = 1
    plain, typed = model(ids, mask), model(ids, mask, types)
    expected = {
        "input_ids": ids.int(),
        "attention_mask": mask.int(),
        "token_type_ids": types.int(),
        "last_hidden_state": plain.last_hidden_state,
        "typed_hidden_state": typed.last_hidden_state,
        "embeddings": pooled(plain.last_hidden_state, mask, pooling),
    }
    if with_pooler:
        expected["pooler_output"] = plain.pooler_output
    write(name, model, expected, files | {"texts.json": TEXTS})


def processor(**more):
    return {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True} | more


def image(seed, height, width):
    """A picture of waves, with noise: uint8 [3, height, width]."""
    torch.manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height) / 7, torch.arange(width) / 5, indexing="ij")
    waves = torch.stack([torch.sin(x + y), torch.cos(x - y), torch.sin(2 * x) * torch.cos(y)])
    return ((waves + 1) * 110 + torch.rand(3, height, width) * 30).clamp(0, 255).to(torch.uint8)


def resized(picture, height, width, mode):
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    return torch.from_numpy(np.array(image.resize((width, height), getattr(Image, mode.upper()))))


def vision(name, model, seed, outputs, files):
    model = randomize(model, seed)
    torch.manual_seed(seed)
    pixels = torch.randn(3, 3, 24, 24)
    result = model(pixels)
    expected = {"pixel_values": pixels} | {key: result[key] for key in outputs}
    write(name, model, expected, files)


@torch.no_grad()
def main():
    bert("minilm", "mean_tokens", 2, 12, True, 1)
    bert("bge", "cls_token", 1, 48, False, 2)
    square = {"size": {"height": 24, "width": 24}, "resample": 2}
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    config = ViTConfig(**SIZES, **IMAGE, num_hidden_layers=2)
    vision("vit", ViTModel(config), 3, ["last_hidden_state", "pooler_output"],
           {"preprocessor_config.json": processor(image_processor_type="ViTImageProcessor", **square, **half)})
    config = ViTConfig(**SIZES, **IMAGE, num_hidden_layers=1, num_labels=3, qkv_bias=False)
    vision("vit-classifier", ViTForImageClassification(config), 4, ["logits"], {})
    config = CLIPVisionConfig(**SIZES, **IMAGE, num_hidden_layers=1, hidden_act="gelu")
    vision("clip-vision", CLIPVisionModel(config), 5, ["last_hidden_state", "pooler_output"], {})
    config = CLIPVisionConfig(**SIZES, **IMAGE, num_hidden_layers=2, projection_dim=16)
    crop = {"size": {"shortest_edge": 24}, "resample": 3, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}}
    clip = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    vision("clip-projection", CLIPVisionModelWithProjection(config), 6, ["last_hidden_state", "image_embeds"],
           {"preprocessor_config.json": processor(image_processor_type="CLIPImageProcessor", **crop, **clip)})
    picture = image(7, 40, 61)
    images = {"image": picture.permute(1, 2, 0)}
    for mode in ("nearest", "bilinear", "bicubic", "lanczos"):
        images[f"{mode}_down"] = resized(picture, 24, 36, mode)
        images[f"{mode}_up"] = resized(picture, 44, 66, mode)
    save_file({k: v.contiguous() for k, v in images.items()}, HERE / "images.safetensors")
    if len(sys.argv) > 1:
        minilm(sys.argv[1])


def minilm(folder):
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig, quantize_

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def embeddings(config=None):
        model = BertModel.from_pretrained(folder, dtype=torch.float32).eval()
        if config is not None:
            quantize_(model, config)
        rows = []
        for text in SENTENCES:
            inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
            rows.append(pooled(model(**inputs).last_hidden_state, inputs["attention_mask"], "mean_tokens")[0])
        return torch.stack(rows)

    schemes = {"int8wo": Int8WeightOnlyConfig(), "int8dq": Int8DynamicActivationInt8WeightConfig()}
    all_schemes = {"float32": embeddings()} | {name: embeddings(config) for name, config in schemes.items()}
    for name, rows in all_schemes.items():
        print(name, [round(x, 6) for x in (rows * all_schemes["float32"]).sum(1).tolist()])
    save_file(all_schemes, HERE / "minilm.safetensors")
    (HERE / "minilm-sentences.json").write_text(json.dumps(SENTENCES, indent=2, ensure_ascii=False) + "\n")


main()
