# torchao and torch.compile on a Llama folder: prefill of a prompt to the logits of its last token; no KV cache is kept, which
# is in its favour. Speaks the lines of contender.ts: setup { model, threads, scheme }, then jobs { read: ids, write: 0 }.
import time

from serve import serve


def start(setup):
    import torch
    import torchao
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig, quantize_
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(setup["threads"])
    # constants folded and weights packed ahead, as for a model that only runs
    torch._inductor.config.freezing = True
    model = AutoModelForCausalLM.from_pretrained(setup["model"], dtype=torch.bfloat16).eval()
    configs = {
        "bfloat16": None,
        "int8dq": Int8DynamicActivationInt8WeightConfig(),
        "int8wo": Int8WeightOnlyConfig(),
    }
    config = configs[setup["scheme"]]
    if config is not None:
        quantize_(model.model, config)  # the head stays as it is, as transformers does it
    body, head = model.model, model.lm_head

    def prefill(ids):
        return head(body(input_ids=ids, use_cache=False).last_hidden_state[:, -1])

    compiled = torch.compile(prefill)

    def run(job):
        ids = torch.tensor([job["read"]])
        with torch.inference_mode(False), torch.no_grad():
            begin = time.perf_counter()
            compiled(ids)
            return {"prefill": len(job["read"]) / (time.perf_counter() - begin)}

    return run, {"engine": f"torchao {torchao.__version__}, torch {torch.__version__}", "threads": torch.get_num_threads()}


serve(start)
