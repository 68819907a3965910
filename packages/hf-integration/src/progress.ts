// One progress event for all long work: downloading, loading, quantizing, saving, evaluating.
export interface ProgressEvent {
  readonly phase: 'download' | 'load' | 'quantize' | 'save' | 'eval';
  /** The tensor or file that is worked on. */
  readonly name?: string;
  /** Bytes, or windows when evaluating. */
  readonly loaded: number;
  readonly total: number;
  /** Of a download, over the last seconds. */
  readonly bytesPerSecond?: number;
  /** Of a download, at that rate. */
  readonly secondsLeft?: number;
}

export type OnProgress = (event: ProgressEvent) => void;
