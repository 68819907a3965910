# gguf-fixtures.py: test/gguf/blocks.safetensors, by the gguf package (0.19): for each quantized type TYPE
#   TYPE.bytes [rows, bytes] uint8, TYPE.values [rows, K] float32     blocks and what they mean
#   TYPE.x [rows, K] float32                                          where the package quantizes too: what bytes were made of
# The others are random bytes with scales of a usual size.
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

# bytes of a block that are float16 scales
SCALES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,)}
MADE = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")

rng = np.random.default_rng(6)
out = {}
for name in (*MADE, *SCALES):
    kind = Type[name]
    if name in MADE:
        x = rng.normal(0, 0.05, (6, 64)).astype(np.float32)
        x[0, :32] = 0
        x[1] *= 1e-6
        x[2, 5] = 3
        raw = gguf.quantize(x, kind)
        out[f"{name}.x"] = x
    else:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        raw = rng.integers(0, 256, (4, 2 * size), dtype=np.uint8)
        for first in SCALES[name]:
            for at in (first, first + size):
                d = rng.normal(0, 0.001, 4).astype(np.float16)
                raw[:, at : at + 2] = d.view(np.uint8).reshape(4, 2)
    out[f"{name}.bytes"] = np.ascontiguousarray(raw)
    out[f"{name}.values"] = np.ascontiguousarray(gguf.dequantize(raw, kind).astype(np.float32))
folder = pathlib.Path(__file__).parent.parent / "test" / "gguf"
folder.mkdir(exist_ok=True)
save_file(out, folder / "blocks.safetensors")
