// A progress bar on stderr for long work; silent where stderr is no terminal, and with --quiet.
import type { SingleBar } from 'cli-progress';
import { bytes } from './output.ts';
import { settings } from './settings.ts';

export interface ProgressEvent {
  readonly phase: string;
  readonly name?: string;
  readonly loaded: number;
  readonly total: number;
  readonly bytesPerSecond?: number;
  readonly secondsLeft?: number;
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
      const format = '{phase} {bar} {percentage}%  {facts}{name}';
      bar = new SingleBar(
        { format, stream: process.stderr, clearOnComplete: true, hideCursor: true, fps: 10 },
        Presets.shades_classic,
      );
      bar.start(event.total, 0, { phase, facts: '', name: '' });
    }
    bar.setTotal(event.total);
    bar.update(event.loaded, { phase, facts: facts(event), name: (event.name ?? '').slice(0, 48) });
  };
  return { update, stop };
}

/** What a download tells besides: '1.20 GB of 3.40 GB, 45.0 MB/s, 0:49 left  '. */
export function facts({ loaded, total, bytesPerSecond, secondsLeft }: ProgressEvent): string {
  if (bytesPerSecond === undefined) return '';
  const parts = [`${bytes(loaded)} of ${bytes(total)}`, `${bytes(Math.round(bytesPerSecond))}/s`];
  if (secondsLeft !== undefined) parts.push(`${duration(secondsLeft)} left`);
  return `${parts.join(', ')}  `;
}

function duration(seconds: number): string {
  const s = Math.ceil(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  return s < 3600
    ? `${Math.floor(s / 60)}:${two(s % 60)}`
    : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}
