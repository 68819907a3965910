// launch: starts one process a rank with torchrun's variables, passes signals on, and ends all when one of them fails.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { AoError } from '@ao/core';

export interface LaunchOptions {
  /** Processes of this machine: one a GPU. */
  readonly nproc: number;
  /** A file that Node runs. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Of Node itself, such as --conditions; default: those of this process. */
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Machines, which of them this is, and where rank 0 is met; one machine and a free port unless given. */
  readonly nnodes?: number;
  readonly nodeRank?: number;
  readonly masterAddr?: string;
  readonly masterPort?: number;
  /** 'inherit' (default), or 'pipe' with `onOutput`. */
  onOutput?(rank: number, text: string): void;
  /** What happened, for people; default: stderr. */
  say?(message: string): void;
}

export interface LaunchResult {
  /** 0 where all ranks ended with 0, else that of the first that failed. */
  readonly code: number;
  /** The first rank that failed. */
  readonly rank?: number;
}

/** Signals that go to all ranks. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Seconds from the request to end to the end by force. */
const GRACE = 5;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

const bad = (problem: string, fix: string): AoError => new AoError('ERR_AO_CONFIG', problem, { op: 'launch', fix });

/** torchrun: resolves when all ranks have ended. A rank that fails ends the others (SIGTERM, after 5 s SIGKILL), and a message names it. */
export async function launch(options: LaunchOptions): Promise<LaunchResult> {
  const {
    nproc,
    script,
    args = [],
    execArgv = process.execArgv,
    nnodes = 1,
    nodeRank = 0,
    say = (m) => process.stderr.write(`${m}\n`),
  } = options;
  for (const [name, value, least] of [
    ['nproc', nproc, 1],
    ['nnodes', nnodes, 1],
    ['nodeRank', nodeRank, 0],
  ] as const)
    if (!Number.isInteger(value) || value < least)
      throw bad(`${name} is ${value}`, `give a whole number from ${least}`);
  if (nnodes > 1 && (options.masterAddr === undefined || options.masterPort === undefined))
    throw bad(`${nnodes} machines without masterAddr and masterPort`, 'give the host of rank 0 and a free port there');
  const size = nproc * nnodes;
  const threads = String(Math.max(1, Math.floor(availableParallelism() / nproc)));
  const base = {
    AO_NUM_THREADS: threads,
    ...process.env,
    ...options.env,
    MASTER_ADDR: options.masterAddr ?? '127.0.0.1',
    MASTER_PORT: String(options.masterPort ?? (await freePort())),
    WORLD_SIZE: String(size),
    LOCAL_WORLD_SIZE: String(nproc),
  };
  const { onOutput } = options;
  const children = Array.from({ length: nproc }, (_, localRank) => {
    const rank = nodeRank * nproc + localRank;
    const env = { ...base, RANK: String(rank), LOCAL_RANK: String(localRank), AO_CUDA_DEVICE: String(localRank) };
    const child = spawn(process.execPath, [...execArgv, script, ...args], {
      env,
      stdio: onOutput ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    });
    if (onOutput)
      for (const stream of [child.stdout!, child.stderr!])
        stream.setEncoding('utf8').on('data', (text: string) => onOutput(rank, text));
    return { rank, child };
  });
  const end = (signal: NodeJS.Signals): void => {
    for (const { child } of children) if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  };
  const handlers = SIGNALS.map((signal) => [signal, () => end(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  let first: LaunchResult | undefined;
  let force: NodeJS.Timeout | undefined;
  await Promise.all(
    children.map(async ({ rank, child }) => {
      const how = await ended(child);
      if (how.code === 0 || first !== undefined) return;
      first = { code: how.code, rank };
      say(`rank ${rank} of ${size} (process ${child.pid ?? 'none'}) ${how.text}; the other ranks are ended`);
      end('SIGTERM');
      force = setTimeout(() => end('SIGKILL'), GRACE * 1000);
    }),
  );
  clearTimeout(force);
  for (const [signal, handler] of handlers) process.off(signal, handler);
  return first ?? { code: 0 };
}

function ended(child: ChildProcess): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((done) => {
    child.once('error', (e) => done({ code: 1, text: `did not start: ${e.message}` }));
    child.once('close', (code, signal) =>
      done(
        signal === null
          ? { code: code ?? 1, text: `exited with code ${code}` }
          : { code: 1, text: `was ended by ${signal}` },
      ),
    );
  });
}
