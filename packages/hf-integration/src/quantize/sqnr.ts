// sqnr(w, q): 20 log10(|w| / |w - dequantize(q)|) in dB, on w's device.
import { cast, dequantize, float32, mul, scope, sub, sum, type Tensor } from '@ao/core';

export async function sqnr(weight: Tensor, quantized: Tensor): Promise<number> {
  const [signal, noise] = scope(() => {
    const w = cast(weight, float32);
    const error = sub(w, cast(dequantize(quantized), float32));
    return [sum(mul(w, w)), sum(mul(error, error))] as const;
  });
  const ratio = Number((await signal.data())[0]) / Number((await noise.data())[0]);
  signal.dispose();
  noise.dispose();
  return 10 * Math.log10(ratio);
}
