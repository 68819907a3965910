// An ONNX model that runs one MatMulNBits (ONNX Runtime's int4 linear) `rounds` times over the same x, in a Loop: one call
// of the session then times kernels, not calls.   y [m, n] = x [m, k] * w^T, w int4 in blocks of `block` along k
import protobuf from 'protobufjs';

/** The part of onnx.proto3 that is needed; names and numbers are ONNX's. */
const SCHEMA = `
syntax = "proto3";
message Dimension { int64 dim_value = 1; }
message Shape { repeated Dimension dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Type { TensorType tensor_type = 1; }
message ValueInfo { string name = 1; Type type = 2; }
message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
message Attribute { string name = 1; int64 i = 3; Graph g = 6; int32 type = 20; }
message Node { repeated string input = 1; repeated string output = 2; string op_type = 4; repeated Attribute attribute = 5; string domain = 7; }
message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated ValueInfo input = 11; repeated ValueInfo output = 12; }
message OperatorSet { string domain = 1; int64 version = 2; }
message Model { int64 ir_version = 1; Graph graph = 7; repeated OperatorSet opset_import = 8; }
`;
const Model = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('Model');

const [FLOAT, UINT8, INT64, BOOL] = [1, 2, 7, 9];
const [INT_ATTRIBUTE, GRAPH_ATTRIBUTE] = [2, 5];

export interface MatMulNBits {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly block: number;
  /** Without: weights are symmetric. */
  readonly zeroPoints: boolean;
}

/** Inputs x [m, k] and rounds (int64 scalar), output y [m, n]. Level 4 = int8 activations. */
export function matMulNBitsModel({ m, n, k, block, zeroPoints }: MatMulNBits, accuracyLevel = 4): Uint8Array {
  const blocks = k / block;
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 97 + (i >> 7)) & 255);
  const scales = new Float32Array(n * blocks).fill(0.01);
  const weights = [
    tensor('codes', UINT8, [n, blocks, block / 2], bytes(n * blocks * (block / 2))),
    tensor('scales', FLOAT, [n * blocks], new Uint8Array(scales.buffer)),
    ...(zeroPoints ? [tensor('zeros', UINT8, [n * Math.ceil(blocks / 2)], bytes(n * Math.ceil(blocks / 2)))] : []),
  ];
  const body = {
    name: 'body',
    input: [value('round', INT64, []), value('go', BOOL, []), value('last', FLOAT, [m, n])],
    output: [value('still', BOOL, []), value('next', FLOAT, [m, n])],
    initializer: weights,
    node: [
      { op_type: 'Identity', input: ['go'], output: ['still'] },
      {
        op_type: 'MatMulNBits',
        domain: 'com.microsoft',
        input: ['x', ...weights.map((w) => w.name)],
        output: ['next'],
        attribute: Object.entries({ K: k, N: n, bits: 4, block_size: block, accuracy_level: accuracyLevel }).map(
          ([name, i]) => ({ name, i, type: INT_ATTRIBUTE }),
        ),
      },
    ],
  };
  const graph = {
    name: 'matmul',
    input: [value('x', FLOAT, [m, k]), value('rounds', INT64, [])],
    output: [value('y', FLOAT, [m, n])],
    initializer: [tensor('true', BOOL, [], Uint8Array.of(1)), tensor('zero', FLOAT, [m, n], new Uint8Array(4 * m * n))],
    node: [
      {
        op_type: 'Loop',
        input: ['rounds', 'true', 'zero'],
        output: ['y'],
        attribute: [{ name: 'body', g: body, type: GRAPH_ATTRIBUTE }],
      },
    ],
  };
  const opset_import = [
    { domain: '', version: 17 },
    { domain: 'com.microsoft', version: 1 },
  ];
  return Model.encode(Model.fromObject({ ir_version: 8, graph, opset_import })).finish();
}

function tensor(name: string, data_type: number, dims: readonly number[], raw_data: Uint8Array) {
  return { name, data_type, dims, raw_data };
}

function value(name: string, elem_type: number, dims: readonly number[]) {
  return { name, type: { tensor_type: { elem_type, shape: { dim: dims.map((dim_value) => ({ dim_value })) } } } };
}
