# torchao.optim and torch.optim in eager mode on one large parameter. Speaks the lines of contender.ts: setup { threads }, then jobs
# { optimizer, parameters, steps }.
import os
import time

from serve import serve

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # torchao's step calls torch.compile by itself


def start(setup):
    import torch
    import torchao
    import torchao.optim

    torch.set_num_threads(setup["threads"])
    made = {}

    def optimizer_of(name, n):
        if (name, n) not in made:
            made.clear()
            i = torch.arange(n, dtype=torch.float64)
            p, g = (torch.sin(i * i * 0.37 + seed).mul_(torch.cos(i * 0.01) ** 4).float() for seed in (1, 2))
            p = torch.nn.Parameter(p)
            p.grad = g
            lowbit = getattr(torchao.optim, name, None)
            made[name, n] = lowbit([p]) if lowbit else getattr(torch.optim, name)([p], fused=True)
        return made[name, n]

    def run(job):
        optimizer = optimizer_of(job["optimizer"], job["parameters"])
        begin = time.perf_counter()
        for _ in range(job["steps"]):
            optimizer.step()
        return {"seconds": (time.perf_counter() - begin) / job["steps"]}

    return run, {"engine": f"torchao {torchao.__version__}, torch {torch.__version__}", "threads": torch.get_num_threads()}


serve(start)
