// A progress bar on stderr for long work; silent where stderr is no terminal, and with --quiet.
import type { SingleBar } from 'cli-progress';
import { settings } from './settings.ts';

export interface ProgressEvent {
  readonly phase: string;
  readonly name?: string;
  readonly loaded: number;
  readonly total: number;
}

export interface Progress {
  readonly update: (event: ProgressEvent) => void;
  stop(): void;
}

export async function progress(): Promise<Progress> {
  if (!process.stderr.isTTY || settings.quiet) return { update() {}, stop() {} };
  const { Presets, SingleBar } = await import('cli-progress');
  let bar: SingleBar | undefined;
  let phase = '';
  const stop = (): void => {
    bar?.stop();
    bar = undefined;
  };
  const update = (event: ProgressEvent): void => {
    if (event.phase !== phase) stop();
    phase = event.phase;
    if (!bar) {
      const format = '{phase} {bar} {percentage}%  {name}';
      bar = new SingleBar(
        { format, stream: process.stderr, clearOnComplete: true, hideCursor: true, fps: 10 },
        Presets.shades_classic,
      );
      bar.start(event.total, 0, { phase, name: '' });
    }
    bar.update(event.loaded, { phase, name: (event.name ?? '').slice(0, 48) });
  };
  return { update, stop };
}
