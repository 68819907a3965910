// What --device and --device-map take.
import { InvalidArgumentError } from 'commander';

export const DEVICES = ['auto', 'cpu', 'cuda', 'reference'];

/** 'auto', a device, or JSON: a device for each module. */
export function parseDeviceMap(text: string): string | Record<string, string> {
  if (!text.startsWith('{')) return text;
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    throw new InvalidArgumentError(
      'It must be auto, a device, or JSON such as \'{"": "cpu", "model.layers.0": "cuda"}\'.',
    );
  }
}
