"""The Python side of torchao.ts and experts.ts: what transformers and torchao give for a folder, greedy and in float32.

    python peer.py run FOLDER REQUEST.json OUT          loads FOLDER
    python peer.py make MODEL REQUEST.json OUT SAVED    quantizes MODEL with torchao, saves it to SAVED

REQUEST: { prompts: ids, length, follow?: ids, config?: torchao's JSON, options?, load? (arguments of from_pretrained) }. OUT.json: the
ids that follow each prompt; OUT.f32: logits [T, V] of `follow`; OUT.noise.f32: the same where the embeddings are off by one part in
2^20, which is what a scheme makes of differences in rounding.
"""

import json
import sys

import torch
from torchao.core.config import config_from_dict
from transformers import AutoModelForCausalLM, TorchAoConfig

mode, folder, request, out = sys.argv[1:5]
asked = json.load(open(request))
extra = {}
if mode == "make":
    extra["quantization_config"] = TorchAoConfig(config_from_dict(asked["config"]), **asked.get("options", {}))
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **extra, **asked.get("load", {})).eval()
if mode == "make":
    model.save_pretrained(sys.argv[5])
kinds = sorted({type(p).__name__ for p in model.parameters()})


@torch.no_grad()
def greedy(ids, length):
    past, new, step = None, [], torch.tensor([ids])
    for _ in range(length):
        result = model(step, past_key_values=past, use_cache=True)
        past = result.past_key_values
        new.append(int(result.logits[0, -1].argmax()))
        step = torch.tensor([[new[-1]]])
    return new


follow = asked.get("follow") or asked["prompts"][0]
with torch.no_grad():
    model(torch.tensor([follow])).logits[0].float().numpy().tofile(f"{out}.f32")
    handle = model.get_input_embeddings().register_forward_hook(
        lambda m, i, o: o * (1 + 2.0**-20 * torch.randn(o.shape, generator=torch.Generator().manual_seed(0)))
    )
    model(torch.tensor([follow])).logits[0].float().numpy().tofile(f"{out}.noise.f32")
    handle.remove()
json.dump({"tokens": [greedy(p, asked["length"]) for p in asked["prompts"]], "kinds": kinds}, open(f"{out}.json", "w"))
