# Training steps of a Llama folder in eager torch: transformers' model with SDPA, fused AdamW, clip_grad_norm_ at 1; bfloat16 by autocast over
# float32 parameters. Speaks the lines of contender.ts: setup of training-engine.ts, then jobs { steps }.
import time

from serve import serve


def start(setup):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(setup["threads"])
    model = AutoModelForCausalLM.from_pretrained(setup["model"], dtype=torch.float32).train()
    model.config.use_cache = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    rows, tokens = setup["rows"], setup["tokens"]
    ids = torch.tensor(setup["ids"]).reshape(rows, tokens + 1)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].reshape(-1)
    cast = setup["dtype"] == "bfloat16"

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cast):
            logits = model(input_ids=inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.float().view(rows * tokens, -1), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def run(job):
        begin = time.perf_counter()
        losses = [step() for _ in range(job["steps"])]
        seconds = time.perf_counter() - begin
        return {"tokensPerSecond": job["steps"] * rows * tokens / seconds, "losses": [x.item() for x in losses]}

    return run, {"engine": f"torch {torch.__version__}", "threads": torch.get_num_threads()}


serve(start)
