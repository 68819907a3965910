"""The Python side of peft.ts: the same fine-tuning with torch and PEFT.

    python peer-lora.py train FOLDER REQUEST.json OUT.json          LoRA steps over the dense model in FOLDER from a given adapter
    python peer-lora.py generate FOLDER REQUEST.json OUT.json       greedy tokens of the model with a given adapter

REQUEST: { adapter, dtype, threads, batches?: [[ids]], lr?, weight_decay?, prompts?, length? }.
"""

import json
import sys
import time

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

mode, folder, request, out = sys.argv[1:5]
asked = json.load(open(request))
torch.set_num_threads(asked["threads"])
base = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, asked["dtype"]))


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


if mode == "train":
    model = PeftModel.from_pretrained(base, asked["adapter"], is_trainable=True, autocast_adapter_dtype=True)
    model.train()
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=asked["lr"], weight_decay=asked["weight_decay"])
    losses, seconds = [], []
    for batch in asked["batches"]:
        start = time.perf_counter()
        ids = torch.tensor(batch)
        logits = model(input_ids=ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    answer = {"losses": losses, "seconds": seconds, "peak": peak()}
else:
    model = PeftModel.from_pretrained(base, asked["adapter"]).eval()
    with torch.no_grad():
        tokens = []
        for prompt in asked["prompts"]:
            ids = torch.tensor([prompt])
            for _ in range(asked["length"]):
                token = model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)
                if token.item() == base.generation_config.eos_token_id:
                    break
                ids = torch.cat([ids, token], 1)
            tokens.append(ids[0, len(prompt) :].tolist())
    answer = {"tokens": tokens}
json.dump(answer, open(out, "w"))
