"""Writes sampling.json: what transformers' logits processors and warpers make of random logits, and what its greedy
generate says on stories-7m under them. Presence and frequency penalties, which transformers lacks, are vLLM's three lines
(vllm/model_executor/layers/utils.py, apply_penalties), put after the repetition penalty as vLLM does.

    python packages/hf-integration/test/golden/make-sampling.py      (torch, transformers)
"""
import json
import pathlib

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessor, LogitsProcessorList

here = pathlib.Path(__file__).parent
stories = here.parents[3] / "apps" / "stories-7m"
model = AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32).eval()
V, PROMPT = 64, 6
torch.manual_seed(5)
scores = torch.randn(2, V) * 3
ids = torch.randint(0, 9, (2, 14))


class VllmPenalties(LogitsProcessor):
    def __init__(self, prompt, frequency, presence):
        self.prompt, self.frequency, self.presence = prompt, frequency, presence

    def __call__(self, input_ids, logits):
        counts = torch.zeros(logits.shape, dtype=torch.int64)
        new = input_ids[:, self.prompt:]
        counts.scatter_add_(1, new, torch.ones_like(new))
        logits = logits - self.frequency * counts
        return logits - self.presence * (counts > 0)


def processors(prompt, frequency=0.0, presence=0.0, **options):
    config = GenerationConfig(**{"eos_token_id": 7, "max_new_tokens": 64, **options})
    model._prepare_special_tokens(config, device="cpu")
    found = list(model._get_logits_processor(config, input_ids_seq_length=prompt, device="cpu"))
    penalties = VllmPenalties(prompt, frequency, presence)
    at = next((i + 1 for i, p in enumerate(found) if type(p).__name__ == "RepetitionPenaltyLogitsProcessor"), None)
    if at is None:
        at = sum(type(p).__name__ == "SequenceBiasLogitsProcessor" for p in found)
    return LogitsProcessorList([*found[:at], penalties, *found[at:]])


BIAS = {3: 2.5, 11: -4.0, 60: 0.125}
CASES = {
    "repetition": {"repetition_penalty": 1.3},
    "repetition below 1": {"repetition_penalty": 0.7},
    "frequency and presence": {"frequency": 0.4, "presence": -0.9},
    "no pair twice": {"no_repeat_ngram_size": 2},
    "no triple twice": {"no_repeat_ngram_size": 3},
    "no id twice": {"no_repeat_ngram_size": 1},
    "nine new tokens": {"min_new_tokens": 9},
    "eight new tokens": {"min_new_tokens": 8},
    "bias": {"sequence_bias": {(k,): v for k, v in BIAS.items()}},
    "all": {
        "repetition_penalty": 1.2,
        "frequency": 0.3,
        "presence": 0.6,
        "no_repeat_ngram_size": 2,
        "min_new_tokens": 20,
        "sequence_bias": {(k,): v for k, v in BIAS.items()},
    },
}


def plain(options):
    return {k: (BIAS if k == "sequence_bias" else v) for k, v in options.items()}


def numbers(t):
    return [[None if x == float("-inf") else x for x in row] for row in t.tolist()]


processed = [
    {"name": name, "options": plain(options), "scores": numbers(processors(PROMPT, **options)(ids, scores.clone()))}
    for name, options in CASES.items()
]
WARPERS = [
    {"temperature": 1.5, "min_p": 0.1},
    {"temperature": 2.0, "top_k": 20, "min_p": 0.05},
    {"temperature": 1.7, "top_p": 0.9, "min_p": 0.08},
    {"temperature": 0.8, "top_k": 12, "top_p": 0.95, "min_p": 0.02},
]
warped = [
    {"options": o, "probabilities": processors(PROMPT, do_sample=True, **{"top_k": 0, **o})(ids, scores.clone()).softmax(-1).tolist()}
    for o in WARPERS
]

GREEDY = [
    {},
    {"repetition_penalty": 1.4},
    {"no_repeat_ngram_size": 2, "min_new_tokens": 40},
    {"repetition_penalty": 1.1, "frequency": 0.5, "presence": 0.8, "sequence_bias": {(k,): v for k, v in BIAS.items()}},
]
prompts = [[326, 411, 278, 345], [34, 77, 1203, 5, 900, 77]]
greedy = []
for options in GREEDY:
    for prompt in prompts:
        penalties = {k: options.get(k, 0.0) for k in ("frequency", "presence")}
        rest = {k: v for k, v in options.items() if k not in penalties}
        chain = processors(len(prompt), eos_token_id=0, **penalties, **rest)
        text, logprobs = torch.tensor([prompt]), []
        with torch.no_grad():
            while text.shape[1] < len(prompt) + 32:
                logits = model(text).logits[:, -1].float()
                chosen = chain(text, logits.clone()).argmax(-1)
                logp = logits.log_softmax(-1)[0]
                top = logp.topk(3)
                logprobs.append([logp[chosen[0]].item(), top.indices.tolist(), top.values.tolist()])
                text = torch.cat([text, chosen[None]], 1)
                if chosen[0] == 0:
                    break
        tokens = text[0, len(prompt):].tolist()
        greedy.append({"options": plain(options), "prompt": prompt, "tokens": tokens, "logprobs": logprobs})
        if not penalties["frequency"]:
            with torch.no_grad():
                own = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
                                     max_new_tokens=32, do_sample=False, eos_token_id=0, **rest)
            assert own[0, len(prompt):].tolist() == tokens, (options, own, tokens)

out = {
    "transformers": transformers.__version__,
    "scores": scores.tolist(),
    "ids": ids.tolist(),
    "prompt": PROMPT,
    "eos": 7,
    "processed": processed,
    "warped": warped,
    "greedy": greedy,
}
(here / "sampling.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
