# Loads files of ours in torchao 0.18 and compares what they dequantize to with our numbers:
#   AO_FILES=$FOLDER vitest run packages/quantization/test/files-table.test.ts
#   python packages/quantization/scripts/load-in-torchao.py $FOLDER
import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import numpy
import torch
from safetensors import safe_open
from torchao.prototype.safetensors.safetensors_support import unflatten_tensor_state_dict

failed = 0
for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
    with safe_open(path, framework="pt") as f:
        tensors, metadata = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()
    try:
        state, left = unflatten_tensor_state_dict(tensors, metadata)
        weight = state["m.weight"]
        assert not left, f"leftover {list(left)}"
        kind = type(weight).__name__
    except Exception as error:
        failed += 1
        print(f"{path.stem}: does not load: {error!r}"[:300])
        continue
    ours = torch.from_numpy(numpy.fromfile(path.with_suffix(".f32"), dtype=numpy.float32)).reshape(weight.shape)
    try:
        values = weight.dequantize().float()
    except Exception as error:
        print(f"{path.stem}: loads as {kind}; dequantize is not for this machine ({type(error).__name__})")
        continue
    difference = (values - ours).abs().max().item()
    ok = difference <= 2e-2 * ours.abs().max().item()
    failed += not ok
    print(f"{path.stem}: loads as {kind}; largest difference {difference:.3g}{'' if ok else ' FAILED'}")
sys.exit(failed > 0)
