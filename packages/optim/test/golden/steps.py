"""Writes steps.json beside this file: steps of torch.optim and schedules of transformers. Needs torch and transformers."""

import json
import pathlib

import torch
from transformers.optimization import get_scheduler

N, STEPS = 24, 6
torch.manual_seed(0)
start, grads = torch.randn(N), torch.randn(STEPS, N)

CASES = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, weight_decay=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3)),
    ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("Adam", dict(lr=0.01, weight_decay=0.1)),
    ("Adam", dict(lr=0.01, amsgrad=True)),
    ("AdamW", dict(lr=0.01, amsgrad=True, betas=[0.8, 0.9], eps=1e-4)),
]


def train(name, options):
    p = torch.nn.Parameter(start.clone())
    optimizer = getattr(torch.optim, name)([p], **options)
    halfway = None
    for i, g in enumerate(grads):
        p.grad = g.clone()
        optimizer.step()
        if i == STEPS // 2 - 1:
            state = {k: v.tolist() for k, v in optimizer.state_dict()["state"].get(0, {}).items() if v is not None}
            halfway = {"p": p.tolist(), "state": state}
    return {"name": name, "options": options, "halfway": halfway, "p": p.tolist()}


SCHEDULES = [
    ("constant", dict()),
    ("constant_with_warmup", dict(num_warmup_steps=4)),
    ("linear", dict(num_warmup_steps=3, num_training_steps=12)),
    ("cosine", dict(num_warmup_steps=3, num_training_steps=12)),
    ("cosine_with_restarts", dict(num_warmup_steps=2, num_training_steps=12, scheduler_specific_kwargs=dict(num_cycles=2))),
    ("polynomial", dict(num_warmup_steps=2, num_training_steps=10, scheduler_specific_kwargs=dict(power=2.0, lr_end=1e-4))),
    ("inverse_sqrt", dict(num_warmup_steps=5)),
]


def rates(name, options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.02)
    scheduler = get_scheduler(name, optimizer, **options)
    out = []
    for _ in range(14):
        out.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return {"name": name, "options": options, "lr": out}


data = {
    "start": start.tolist(),
    "grads": grads.tolist(),
    "optimizers": [train(*c) for c in CASES],
    "schedules": [rates(*c) for c in SCHEDULES],
}
pathlib.Path(__file__).with_name("steps.json").write_text(json.dumps(data, indent=1) + "\n")
