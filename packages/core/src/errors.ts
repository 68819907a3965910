/** AoError: the one error type. `code` tells kinds of failure apart; op, module, tensor and fix say where and what to do. */
export type ErrorCode =
  | 'ERR_AO_SHAPE'
  | 'ERR_AO_DTYPE'
  | 'ERR_AO_KERNEL'
  | 'ERR_AO_CONFIG'
  | 'ERR_AO_FORMAT'
  | 'ERR_AO_MEMORY'
  | 'ERR_AO_DISPOSED'
  | 'ERR_AO_DEVICE'
  | 'ERR_AO_STREAM';

export interface ErrorDetails {
  readonly op?: string | undefined;
  readonly module?: string | undefined;
  readonly tensor?: string | undefined;
  readonly fix?: string | undefined;
  readonly cause?: unknown;
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** `linear: weight has 3 columns, x has 4 (module layers.0.q_proj, tensor weight). Fix: transpose the weight.` */
function compose(message: string, d: ErrorDetails): string {
  const where = [d.module && `module ${d.module}`, d.tensor && `tensor ${d.tensor}`].filter(Boolean).join(', ');
  const body = where ? `${message.replace(/\.$/, '')} (${where})` : message;
  const head = d.op ? `${d.op}: ${body}` : body;
  return d.fix ? `${sentence(head)} Fix: ${sentence(d.fix)}` : head;
}

export class AoError extends Error {
  readonly code: ErrorCode;
  declare readonly op?: string;
  declare readonly module?: string;
  declare readonly tensor?: string;
  declare readonly fix?: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(compose(message, details), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AoError';
    this.code = code;
    const { op, module, tensor, fix } = details;
    for (const [key, value] of Object.entries({ op, module, tensor, fix })) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true });
    }
  }
}

/** By code, so that an error of another copy of this package (ESM beside CJS, a worker) is recognized too. */
export function isAoError(error: unknown, code?: ErrorCode): error is AoError {
  if (typeof error !== 'object' || error === null) return false;
  const own = (error as { code?: unknown }).code;
  return typeof own === 'string' && (code === undefined ? own.startsWith('ERR_AO_') : own === code);
}
