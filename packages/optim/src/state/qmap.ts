// The values that codes of quantized optimizer state stand for (torchao.optim's quant_utils.create_dynamic_map), ascending.
//   256 signed, for i = 0..6: middles of the 2^i steps from 0.1 to 1, times 10^(i - 6), with both signs, and 0 and 1
//   256 unsigned: the same of 2^(i + 1) steps, positive alone;   16 signed: i = 0..2, times 10^(i - 2)
//   16 unsigned: k / 16, k = 1..16
// float32 arithmetic as torch does it: linspace counts from the nearer end and rounds start + step i once.
const f32 = Math.fround;

/** torch.linspace(0.1, 1, points) in float32. */
function linspace(points: number): number[] {
  const [start, end] = [f32(0.1), 1];
  const step = f32(f32(end - start) / (points - 1));
  return Array.from({ length: points }, (_, i) =>
    i < points / 2 ? f32(start + step * i) : f32(end - step * (points - 1 - i)),
  );
}

function dynamicMap(signed: boolean, decades: number): Float32Array {
  const values = [0, 1];
  for (let i = 0; i < decades; i++) {
    const edges = linspace(2 ** (signed ? i : i + 1) + 1);
    const factor = f32(10 ** (i + 1 - decades));
    for (let k = 0; k + 1 < edges.length; k++) {
      const value = f32(factor * f32(f32(edges[k]! + edges[k + 1]!) / 2));
      values.push(value);
      if (signed) values.push(-value);
    }
  }
  return Float32Array.from(values).sort();
}

/** What the codes of a state stand for, 256 or 16 values. */
export function qmapOf(bits: 8 | 4, signed: boolean): Float32Array {
  if (bits === 8) return dynamicMap(signed, 7);
  return signed ? dynamicMap(true, 3) : Float32Array.from({ length: 16 }, (_, k) => (k + 1) / 16);
}
