// The encoder families that AutoModel loads.
import type { ModelFamily } from '../family.ts';
import { bert } from './bert.ts';
import { clipVision } from './clip-vision.ts';
import type { TextEncoder } from './text-encoder.ts';
import type { VisionEncoder } from './vision-encoder.ts';
import { vit } from './vit.ts';

export type Encoder = TextEncoder | VisionEncoder;

export const encoderFamilies: readonly ModelFamily[] = /*@__PURE__*/ Object.freeze([bert, vit, clipVision]);
