/** Why a product with activations of this format is emulated. */
export const emulated = (format: string): string =>
  `no backend multiplies ${format}: activations are rounded to it, and both sides decoded for a product of floats`;
