"""Writes steps.json beside this file: steps of torchao's prototype/parq on one matrix and one vector. Needs torch and torchao 0.18."""

import json
import pathlib

import torch
from torchao.prototype.parq.optim import ProxBinaryRelax, ProxHardQuant, ProxPARQ, QuantOptimizer
from torchao.prototype.parq.quant import (
    Int4UnifTorchaoQuantizer,
    LSBQuantizer,
    MaxUnifQuantizer,
    StretchedUnifTorchaoQuantizer,
    TernaryUnifQuantizer,
    UnifQuantizer,
    UnifTorchaoQuantizer,
)
from torchao.quantization import MappingType

ROWS, COLUMNS, STEPS = 4, 16, 8
torch.manual_seed(0)
start, bias = torch.randn(ROWS, COLUMNS), torch.randn(ROWS)
pull, push = torch.randn(STEPS, ROWS, COLUMNS), torch.randn(STEPS, ROWS)

PROX = {
    "ProxHardQuant": ProxHardQuant,
    "ProxPARQ": ProxPARQ,
    "ProxBinaryRelax": ProxBinaryRelax,
}
QUANTIZERS = {
    "UnifQuantizer": UnifQuantizer,
    "MaxUnifQuantizer": MaxUnifQuantizer,
    "TernaryUnifQuantizer": TernaryUnifQuantizer,
    "LSBQuantizer": LSBQuantizer,
    "UnifTorchaoQuantizer": UnifTorchaoQuantizer,
    "StretchedUnifTorchaoQuantizer": StretchedUnifTorchaoQuantizer,
    "Int4UnifTorchaoQuantizer": Int4UnifTorchaoQuantizer,
}
anneal = dict(anneal_start=2, anneal_end=7)
soft = ("ProxPARQ", anneal)
hard = ("ProxHardQuant", {})
relax = ("ProxBinaryRelax", anneal)
rows = dict(quant_per_channel=True, quant_period=3)
# quantizer, its options, bits, block, map, options of QuantOptimizer, base optimizer
CASES = [
    ("UnifQuantizer", {}, 2, None, hard, {}, "SGD"),
    ("UnifQuantizer", {}, 2, None, soft, rows, "SGD"),
    ("UnifQuantizer", dict(center=True), 3, 8, soft, rows, "AdamW"),
    ("UnifQuantizer", dict(scale_method="max"), 4, None, relax, rows, "AdamW"),
    ("MaxUnifQuantizer", {}, 2, 8, soft, dict(rows, warmup_steps=2), "SGD"),
    ("TernaryUnifQuantizer", {}, 0, None, hard, rows, "SGD"),
    ("TernaryUnifQuantizer", {}, 0, None, soft, dict(quant_period=3), "AdamW"),
    ("LSBQuantizer", {}, 1, None, soft, rows, "SGD"),
    ("LSBQuantizer", {}, 3, 8, relax, rows, "SGD"),
    ("LSBQuantizer", dict(center=True), 2, None, soft, dict(quant_period=3), "AdamW"),
    ("LSBQuantizer", {}, 0, None, hard, dict(rows, quant_shrink=True), "SGD"),
    ("UnifTorchaoQuantizer", {}, 4, 8, soft, rows, "AdamW"),
    ("UnifTorchaoQuantizer", dict(mapping_type="ASYMMETRIC"), 3, None, hard, rows, "SGD"),
    ("StretchedUnifTorchaoQuantizer", dict(b=2), 2, 8, soft, rows, "SGD"),
    ("Int4UnifTorchaoQuantizer", {}, 4, 8, relax, rows, "SGD"),
    ("UnifQuantizer", {}, 2, 8, soft, dict(rows, anneal_wd_frac=0.5), "AdamW"),
]
BASES = {
    "SGD": (torch.optim.SGD, dict(lr=0.4, momentum=0.9, weight_decay=0.01)),
    "AdamW": (torch.optim.AdamW, dict(lr=0.05, weight_decay=0.1)),
}


def train(quantizer, options, bits, block, prox, wrapper, base):
    w, b = torch.nn.Parameter(start.clone()), torch.nn.Parameter(bias.clone())
    group = {"params": [w], "quant_bits": bits}
    if block is not None:
        group["quant_block_size"] = block
    made = dict(options)
    if "mapping_type" in made:
        made["mapping_type"] = MappingType[made["mapping_type"]]
    kind, settings = BASES[base]
    inner = kind([group, {"params": [b]}], **settings)
    optimizer = QuantOptimizer(inner, QUANTIZERS[quantizer](**made), PROX[prox[0]](**prox[1]), **wrapper)
    trajectory = []
    for i in range(STEPS):
        w.grad, b.grad = pull[i] + 0.3 * w.detach(), push[i].clone()
        optimizer.step()
        if i in (0, 3, 5, STEPS - 1):
            trajectory.append({"step": i, "w": w.flatten().tolist()})
    optimizer.restore_latent_params()
    return {
        "quantizer": [quantizer, options],
        "bits": bits,
        "block": block,
        "prox": prox,
        "wrapper": wrapper,
        "base": [base, settings],
        "trajectory": trajectory,
        "latent": w.flatten().tolist(),
        "b": b.tolist(),
    }


def rounded(x):
    if isinstance(x, float):
        return float(f"{x:.9g}")
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    return [rounded(v) for v in x] if isinstance(x, (list, tuple)) else x


data = {"start": start.tolist(), "bias": bias.tolist(), "pull": pull.tolist(), "push": push.tolist()}
cases = ",\n".join(json.dumps(rounded(train(*c))) for c in CASES)
head = json.dumps(rounded(data))[:-1]
pathlib.Path(__file__).with_name("steps.json").write_text(f'{head}, "cases": [\n{cases}\n]}}\n')
