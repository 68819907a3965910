// One progress event for all long work: loading, quantizing, saving, evaluating.
export interface ProgressEvent {
  readonly phase: 'load' | 'quantize' | 'save' | 'eval';
  /** The tensor or file that is worked on. */
  readonly name?: string;
  /** Bytes, or windows when evaluating. */
  readonly loaded: number;
  readonly total: number;
}

export type OnProgress = (event: ProgressEvent) => void;
