# Writes configs.json: json.dumps(config_to_dict(config)) of every config class of torchao 0.18, with its defaults and with
# other values in every field. Run with torch 2.13 and torchao 0.18:
#   python make-configs.py > ../test/golden/configs.json
import json
import warnings
from collections import OrderedDict

warnings.filterwarnings("ignore")
import torch
from torchao.core.config import config_to_dict
from torchao.float8.inference import Float8MMConfig
from torchao.prototype.awq import AWQConfig
from torchao.prototype.float8_opaque_tensor.inference_workflow import Float8DynamicActivationFloat8WeightOpaqueTensorConfig
from torchao.prototype.gptq.api import GPTQConfig
from torchao.prototype.moe_training.config import Float8TrainingOpConfig, MXFP8TrainingOpConfig
from torchao.prototype.mx_formats import (
    MXDynamicActivationMXWeightConfig, NVFP4DynamicActivationNVFP4WeightConfig, NVFP4WeightOnlyConfig,
)
from torchao.prototype.parq.quant.config_torchao import StretchedIntxWeightConfig
from torchao.prototype.quantization.codebook.codebook_quantized_tensor import CodebookWeightOnlyConfig
from torchao.prototype.quantization.codebook_groupwise.api import GroupwiseLutWeightConfig
from torchao.prototype.quantization.gguf.api import GGUFWeightOnlyConfig
from torchao.prototype.quantization.quant_api import (
    Float8StaticActivationFloat8WeightConfig, Int8DynamicActivationUIntxWeightConfig, UIntxWeightOnlyConfig,
)
from torchao.prototype.quantized_training.bitnet import BitNetTrainingConfig
from torchao.prototype.quantized_training.int8 import Int8WeightOnlyQuantizedTrainingConfig
from torchao.prototype.quantized_training.int8_mixed_precision import Int8MixedPrecisionTrainingConfig
from torchao.prototype.smoothquant import SmoothQuantConfig
from torchao.quantization import (
    Float8DynamicActivationFloat8WeightConfig, Float8DynamicActivationInt4WeightConfig, Float8WeightOnlyConfig, FqnToConfig,
    Int4WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig, Int8DynamicActivationIntxWeightConfig,
    Int8StaticActivationInt8WeightConfig, Int8WeightOnlyConfig, IntxWeightOnlyConfig, MappingType, PerAxis, PerBlock, PerGroup,
    PerRow, PerTensor,
)
from torchao.quantization.qat import QATConfig
from torchao.quantization.quantize_.common import KernelPreference
from torchao.sparsity.sparse_api import BlockSparseWeightConfig, SemiSparseWeightConfig

int8 = Int8WeightOnlyConfig()
int4 = Int4WeightOnlyConfig(group_size=64, int4_packing_format="tile_packed_to_4d", int4_choose_qparams_algorithm="hqq")
e5m2 = torch.float8_e5m2
blocks = [PerBlock([1, 128]), PerBlock([128, 128])]

configs = [
    int8, Int8WeightOnlyConfig(granularity=PerGroup(64), set_inductor_config=False), Int8WeightOnlyConfig(granularity=PerTensor()),
    Int4WeightOnlyConfig(), int4, Int4WeightOnlyConfig(group_size=32, int4_packing_format="plain", set_inductor_config=False),
    Int8DynamicActivationInt8WeightConfig(),
    Int8DynamicActivationInt8WeightConfig(act_mapping_type=MappingType.ASYMMETRIC, granularity=[PerTensor(), PerRow()], reduce_range=True),
    Int8StaticActivationInt8WeightConfig(),
    Int8StaticActivationInt8WeightConfig(granularity=PerTensor(), act_mapping_type=MappingType.ASYMMETRIC, set_inductor_config=False),
    IntxWeightOnlyConfig(),
    IntxWeightOnlyConfig(
        weight_dtype=torch.int3, granularity=PerGroup(32), mapping_type=MappingType.SYMMETRIC_NO_CLIPPING_ERR,
        scale_dtype=torch.bfloat16, intx_choose_qparams_algorithm="hqq_scale_only"),
    Int8DynamicActivationIntxWeightConfig(),
    Int8DynamicActivationIntxWeightConfig(
        weight_dtype=torch.int4, weight_granularity=PerAxis(0), weight_mapping_type=MappingType.ASYMMETRIC, weight_scale_dtype=torch.float16),
    Float8WeightOnlyConfig(), Float8WeightOnlyConfig(weight_dtype=e5m2, granularity=PerTensor(), set_inductor_config=False),
    Float8DynamicActivationFloat8WeightConfig(), Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()),
    Float8DynamicActivationFloat8WeightConfig(granularity=blocks),
    Float8DynamicActivationFloat8WeightConfig(
        granularity=PerTensor(), activation_value_lb=0.5, activation_value_ub=1e-6, kernel_preference=KernelPreference.TORCH,
        mm_config=Float8MMConfig(emulate=True, use_fast_accum=False, pad_inner_dim=True)),
    Float8StaticActivationFloat8WeightConfig(), Float8StaticActivationFloat8WeightConfig(step="prepare"),
    Float8DynamicActivationInt4WeightConfig(), Float8DynamicActivationInt4WeightConfig(int4_packing_format="plain"),
    Float8DynamicActivationFloat8WeightOpaqueTensorConfig(),
    MXDynamicActivationMXWeightConfig(),
    MXDynamicActivationMXWeightConfig(
        activation_dtype=torch.float4_e2m1fn_x2, weight_dtype=torch.float4_e2m1fn_x2, kernel_preference=KernelPreference.EMULATED),
    NVFP4DynamicActivationNVFP4WeightConfig(), NVFP4WeightOnlyConfig(), NVFP4WeightOnlyConfig(use_dynamic_per_tensor_scale=False),
    UIntxWeightOnlyConfig(), UIntxWeightOnlyConfig(group_size=None, bit_width=8, packing_bitwidth=32, set_inductor_config=False),
    Int8DynamicActivationUIntxWeightConfig(), GGUFWeightOnlyConfig(), GGUFWeightOnlyConfig(n_blocks_per_superblock=4),
    CodebookWeightOnlyConfig(dtype=torch.uint4, block_size=[1, 1], scale_block_size=64),
    GroupwiseLutWeightConfig(), GroupwiseLutWeightConfig(lut_block_shape=[-1, 64], use_qdq_reference=True),
    StretchedIntxWeightConfig(), StretchedIntxWeightConfig(granularity=PerGroup(32), b=2, quant_min=-2, quant_max=1),
    AWQConfig(int4, "prepare"), AWQConfig(int8, "convert", scale_search_space_size=10),
    SmoothQuantConfig(Int8DynamicActivationInt8WeightConfig(), "prepare"),
    SmoothQuantConfig(Int8DynamicActivationInt8WeightConfig(), "prepare_for_loading", alpha=0.75),
    GPTQConfig(base_config=int8), GPTQConfig(step="convert", base_config=Int8WeightOnlyConfig(granularity=PerTensor()), percdamp=0.05, gptq_quantize_block_size=128),
    QATConfig(int4, step="prepare"), QATConfig(Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4), step="convert"),
    Int8MixedPrecisionTrainingConfig(), Int8WeightOnlyQuantizedTrainingConfig(), BitNetTrainingConfig(),
    Float8TrainingOpConfig(), MXFP8TrainingOpConfig(),
    BlockSparseWeightConfig(), BlockSparseWeightConfig(blocksize=32), SemiSparseWeightConfig(),
    FqnToConfig(OrderedDict([("re:.*down_proj", int8), ("lm_head", None), ("m.experts.w1", int4), ("_default", Float8WeightOnlyConfig())])),
    FqnToConfig(OrderedDict()),
]
texts = []
for config in configs:
    try:
        texts.append(json.dumps(config_to_dict(config)))
    except Exception as error:
        raise SystemExit(f"{config}: {error!r}")
print(json.dumps(texts, indent=1))
